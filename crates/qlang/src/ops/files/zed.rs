//! Names of `.z` that the world gives: identity of the process, caller of the current request, open handles.

use crate::{
    R,
    ctx::{Ctx, Def},
    value::{Data, Dict, Value},
};

/// Rows of this file's primitives: the evaluator calls them by name when the name is asked for.
pub(super) const ROWS: &[Def] = &[
    Def::monad(".z.i", |ctx, _| Ok(Value::Int(ctx.host().identity().pid))),
    Def::monad(".z.h", |ctx, _| Ok(Value::sym(ctx.host().identity().host))),
    Def::monad(".z.u", |ctx, _| {
        Ok(match ctx.settings().caller.user {
            Some(user) => Value::Sym(user),
            None => Value::sym(ctx.host().identity().user),
        })
    }),
    Def::monad(".z.a", |ctx, _| {
        Ok(Value::Int(match ctx.settings().caller.address {
            Some(address) => address,
            None => ctx.host().identity().address,
        }))
    }),
    Def::monad(".z.w", |ctx, _| Ok(Value::Int(ctx.settings().caller.handle))),
    Def::monad(".z.W", queues),
    Def::monad(".z.H", |ctx, _| {
        let handles = ctx.host().connections().iter().map(|c| c.handle).collect::<Vec<i32>>();
        Ok(ints(handles))
    }),
    Def::monad(".z.x", |ctx, _| {
        let mut args = ctx.host().arguments();
        args.drain(..args.len().min(2));
        Ok(strings(args))
    }),
    Def::monad(".z.X", |ctx, _| Ok(strings(ctx.host().arguments()))),
    Def::monad(".z.e", |_, _| {
        Ok(Value::dict(Dict { keys: Value::syms(Vec::new()), values: Value::empty_list(), sorted: false }))
    }),
    Def::monad(".z.c", |_, _| {
        Ok(Value::Int(std::thread::available_parallelism().map_or(1, |n| n.get() as i32)))
    }),
    Def::monad(".z.l", |_, _| Ok(Value::list(Vec::new()))),
];

fn ints(items: Vec<i32>) -> Value {
    Value::vector(kvalue::Type::Int, Data::I32(items.into()))
}

fn strings(items: Vec<String>) -> Value {
    Value::list(items.into_iter().map(Value::string).collect())
}

/// `.z.W`: bytes that wait to be sent, by handle.
fn queues(ctx: &mut dyn Ctx, _: Value) -> R {
    let open = ctx.host().connections();
    let keys = ints(open.iter().map(|c| c.handle).collect());
    let waits = open.iter().map(|c| c.queued.iter().sum::<u64>() as i64).collect();
    Ok(Value::dict(Dict::new(keys, Value::longs(waits))?))
}
