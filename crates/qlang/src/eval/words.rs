//! Primitives that need the evaluator itself.

use super::{
    globals::{qualify, slot},
    interp::interp,
};
use crate::{
    Frame, Kind, QError, R,
    ctx::{Ctx, Def},
    registry::registry,
    syntax::{self, tree},
    value::{Derived, Iterator, Value},
};

/// Primitives that need the evaluator itself.
pub static TABLE: &[Def] = &[
    Def::operator(":", |_, _, y| Ok(y)),
    Def::many("@", (2, 4), super::trap::at).typed(102).infix(),
    Def::many(".", (2, 4), super::trap::dot).typed(102).infix(),
    shown("k){x'y}", Def::dyad("each", |ctx, f, x| interp(ctx)?.each(&f, vec![x]))),
    Def::dyad("peach", |ctx, f, x| {
        let i = interp(ctx)?;
        if super::iterate::is_unary(&f) { i.peach(&f, x) } else { i.each(&f, vec![x]) }
    }),
    shown("k){x/y}", Def::dyad("over", |ctx, f, x| interp(ctx)?.accumulate(&f, vec![x], false))),
    Def::dyad("scan", |ctx, f, x| interp(ctx)?.accumulate(&f, vec![x], true)),
    Def::dyad("prior", |ctx, f, x| interp(ctx)?.derived(&derived(f, Iterator::Prior), vec![x])),
    Def::unary("value", ".:", value),
    Def::unary("get", ".:", value),
    Def::unary("eval", "eval", |ctx, x| interp(ctx)?.eval_tree(&x)),
    Def::unary("reval", "reval", reval),
    Def::monad("parse", parse),
    Def::monad("view", super::views::view),
    Def::monad("views", super::views::views),
    Def::monad("system", super::system::system),
    Def::unary("exit", "exit", exit),
    Def::monad("show", super::console::show),
    Def::unary("getenv", "getenv", super::console::getenv),
    Def::operator("setenv", super::console::setenv),
    Def::many(".Q.trp", (3, 3), super::trap::trp),
    Def::many(".Q.trpd", (3, 3), super::trap::trpd),
    Def::monad(".Q.sbt", super::trap::sbt),
    Def::monad(".Q.bt", bt),
];

/// A row that the console shows as kdb+ does.
const fn shown(text: &'static str, mut def: Def) -> Def {
    def.text = text;
    def
}

fn derived(f: Value, iterator: Iterator) -> Derived {
    Derived { operand: f, iterator }
}

/// A primitive that the crate itself defines.
pub(crate) fn primitive(word: &[u8]) -> Value {
    registry().find(word).map_or(Value::Nil, Value::Prim)
}

/// `value x`, `get x`.
pub(crate) fn value(ctx: &mut dyn Ctx, x: Value) -> R {
    match &x {
        Value::Sym(name) if name.bytes().starts_with(b":") => match registry().find(b".get") {
            Some(p) => interp(ctx)?.primitive(p, vec![x]),
            None => Err(QError::access()),
        },
        Value::Sym(name) => {
            let i = interp(ctx)?;
            let full = qualify(i.context, *name);
            if let Some(v) = i.globals.get(full) {
                return Ok(v);
            }
            i.miss(slot(full), *name)
        }
        Value::Char(_) => ctx.run(&String::from_utf8_lossy(&x.as_text().unwrap_or_default())),
        Value::Vector(v) if x.is_string() => {
            let text = String::from_utf8_lossy(v.as_chars().unwrap_or_default()).into_owned();
            run_line(ctx, &text)
        }
        Value::Vector(v) => match &v.data {
            crate::value::Data::Enum(..) => Ok(v.resolved()),
            crate::value::Data::Sym(names) if !names.is_empty() => apply_list(ctx, &x),
            _ if v.is_empty() => Ok(x),
            _ => apply_list(ctx, &x),
        },
        Value::Enum(e) => Ok(e.value()),
        Value::Dict(d) => Ok(d.values.clone()),
        Value::List(l) if l.is_empty() => Ok(x),
        Value::List(_) => apply_list(ctx, &x),
        Value::Lambda(l) => Ok(super::reflect::lambda(l)),
        Value::Projection(p) => {
            let mut all = vec![p.function.clone()];
            all.extend(p.args.iter().map(|a| if matches!(a, Value::Hole) { Value::Nil } else { a.clone() }));
            Ok(Value::list(all))
        }
        Value::Composition(fs) => Ok(Value::list(fs.to_vec())),
        Value::Derived(d) => Ok(d.operand.clone()),
        Value::Prim(p) => Ok(super::reflect::number(p)),
        Value::Nil => Ok(Value::Long(0)),
        Value::Iterator(i) => Ok(Value::Long(*i as i64)),
        Value::Table(_) | Value::Mapped(_) => Ok(x),
        _ => Err(QError::type_()),
    }
}

/// Text that may be a system command.
pub(crate) fn run_line(ctx: &mut dyn Ctx, text: &str) -> R {
    let trimmed = text.trim_start();
    if let Some(command) = trimmed.strip_prefix('\\') {
        return interp(ctx)?.system(command);
    }
    ctx.run(text)
}

/// A list: the first item applied to the others.
fn apply_list(ctx: &mut dyn Ctx, x: &Value) -> R {
    let mut items = x.items();
    let head = items.remove(0);
    let f = match &head {
        Value::Sym(_) => value(ctx, head)?,
        h if h.is_string() || matches!(h, Value::Char(_)) => value(ctx, head)?,
        _ => head,
    };
    if items.is_empty() {
        return if f.is_function() { ctx.apply(&f, vec![Value::Nil]) } else { Ok(f) };
    }
    ctx.apply(&f, items)
}

/// `reval x`: as `eval`, where nothing may be amended.
fn reval(ctx: &mut dyn Ctx, x: Value) -> R {
    let i = interp(ctx)?;
    let before = std::mem::replace(&mut i.read_only, true);
    let got = i.eval_tree(&x);
    i.read_only = before;
    got
}

/// `parse x`.
fn parse(ctx: &mut dyn Ctx, x: Value) -> R {
    let text = x.as_text().ok_or_else(QError::type_)?;
    let i = interp(ctx)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let parsed = syntax::parse(&text.into(), None, 0, i).map_err(|mut e| {
        // in kdb+ `parse` is a function of q, and a level of the backtrace
        e.push(Frame { name: "(.q.parse)".into(), text: "".into(), at: usize::MAX, file: None });
        e
    })?;
    tree::of_parsed(&parsed, i)
}

/// `exit n`.
pub(crate) fn exit(ctx: &mut dyn Ctx, x: Value) -> R {
    let code = x.as_int().ok_or_else(QError::type_)?;
    if !ctx.host().may_exit() {
        return Err(QError::access());
    }
    Err(QError::of(Kind::Exit(code as i32), "exit"))
}

fn bt(ctx: &mut dyn Ctx, _: Value) -> R {
    let i = interp(ctx)?;
    let text = match i.suspended_trace() {
        Some(text) => text.into_bytes(),
        None => {
            let levels = i.active();
            super::trap::sbt(ctx, Value::list(levels))?.as_text().unwrap_or_default()
        }
    };
    ctx.host().print(1, &text)?;
    Ok(Value::Nil)
}
