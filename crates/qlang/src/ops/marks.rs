//! `?` and `!`, whose meaning follows from the number and the kinds of their arguments, and `key`: each calls the
//! family that the case belongs to.

use crate::{
    QError, R,
    ctx::{Call, Ctx, Def},
    format,
    ops::{arith, index, list, query, text},
    value::{Sym, Value},
};

/// `?`, `!` and `key`.
pub static TABLE: &[Def] = &[
    Def { text: "?", word: "?", ty: 102, ranks: (2, 6), infix: true, call: Call::Many(ask) },
    Def { text: "!", word: "!", ty: 102, ranks: (2, 4), infix: true, call: Call::Many(bang) },
    Def::unary("key", "!:", key),
];

/// What `-n!x` is another name of.
const INTERNAL: &[(i64, &str)] = &[
    (1, "hsym"),
    (2, "attr"),
    (5, "parse"),
    (6, "eval"),
    (7, "hcount"),
    (15, "md5"),
    (20, ".Q.gc"),
    (24, "reval"),
    (29, ".j.k"),
    (31, ".j.jd"),
    (32, ".Q.btoa"),
    (33, ".Q.sha1"),
];

fn word(ctx: &mut dyn Ctx, name: &str) -> R {
    ctx.lookup(Sym::new(name)).ok_or_else(QError::nyi)
}

/// `x?y`, `?[x;y;z]`, `?[t;c;b;a]` and the longer forms.
fn ask(ctx: &mut dyn Ctx, mut args: Vec<Value>) -> R {
    match args.len() {
        2 => {
            let y = args.pop().unwrap_or(Value::Nil);
            let x = args.pop().unwrap_or(Value::Nil);
            find(ctx, x, y)
        }
        3 => {
            let z = args.pop().unwrap_or(Value::Nil);
            let y = args.pop().unwrap_or(Value::Nil);
            let x = args.pop().unwrap_or(Value::Nil);
            // `?[t;i;p]`: an expression on some rows of a table
            if matches!(x, Value::Table(_) | Value::Mapped(_) | Value::Sym(_)) || x.as_keyed().is_some() {
                let rows = index::at(ctx, &x, &y)?;
                return query::select(ctx, vec![rows, Value::empty_list(), Value::empty_list(), z]);
            }
            list::choose(ctx, x, y, z)
        }
        4..=6 => query::select(ctx, args),
        _ => Err(QError::rank()),
    }
}

fn find(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    match &x {
        Value::Vector(_) | Value::List(_) | Value::Dict(_) | Value::Table(_) | Value::Mapped(_) => {
            index::find(&x, &y)
        }
        Value::Sym(name) if name.bytes().first() == Some(&b':') => {
            let extend = word(ctx, ".extend")?;
            ctx.apply(&extend, vec![x, y])
        }
        Value::Sym(name) => text::extend(ctx, *name, y),
        n => match n.as_index() {
            Some(n) => arith::random::draw(ctx, n, y),
            None => Err(QError::type_()),
        },
    }
}

/// `x!y` and `![t;c;b;a]`.
fn bang(ctx: &mut dyn Ctx, mut args: Vec<Value>) -> R {
    match args.len() {
        2 => {
            let y = args.pop().unwrap_or(Value::Nil);
            let x = args.pop().unwrap_or(Value::Nil);
            match &x {
                Value::Sym(name) => text::link(ctx, *name, y),
                Value::Long(i64::MIN) | Value::Int(i32::MIN) => {
                    let line = format::inline(&y, ctx.settings()) + "\n";
                    ctx.host().print(1, line.as_bytes())?;
                    Ok(y)
                }
                n => match n.as_index() {
                    Some(n) if n < 0 => internal(ctx, n, y),
                    _ => list::bang(ctx, x, y),
                },
            }
        }
        4 => query::update(ctx, args),
        _ => Err(QError::rank()),
    }
}

fn internal(ctx: &mut dyn Ctx, n: i64, y: Value) -> R {
    if n == -3 {
        let text = format::inline(&y, ctx.settings());
        return Ok(Value::string(text.into_bytes()));
    }
    if n == i64::MIN {
        // `0N!x` shows `x` as the console is wide.
        let settings = ctx.settings().clone();
        let width = settings.console.1.max(5) - 1;
        let mut text = format::inline_bytes(&y, &settings, width + 1);
        if text.len() > width && !y.is_function() {
            text.truncate(width - 2);
            text.extend_from_slice(b"..");
        }
        text.push(b'\n');
        ctx.host().print(1, &text)?;
        return Ok(y);
    }
    let number = n.unsigned_abs() as i64;
    let name = INTERNAL.iter().find(|(k, _)| *k == number).map(|(_, w)| (*w).to_string());
    let f = word(ctx, &name.unwrap_or_else(|| format!("{n}!")))?;
    ctx.apply(&f, vec![y])
}

/// `key x`: see [`list::basic::key`]; of a name the keys of its value or the name itself, of a namespace its names, of a
/// path the files in it.
fn key(ctx: &mut dyn Ctx, x: Value) -> R {
    let Value::Sym(name) = &x else { return list::basic::key(ctx, x) };
    if name.bytes().first() == Some(&b':') {
        let files = word(ctx, ".key")?;
        return ctx.apply(&files, vec![x]);
    }
    let names = |v: Value| match v {
        Value::Dict(d) => d.keys.clone(),
        _ => x.clone(),
    };
    if name.is_null() || name.bytes() == b"." {
        return match ctx.global(*name) {
            Some(v) => Ok(names(v)),
            None => Ok(Value::syms(Vec::new())),
        };
    }
    let full = index::qualified(ctx, *name);
    Ok(match ctx.global(full) {
        Some(v) => names(v),
        None => Value::empty_list(),
    })
}
