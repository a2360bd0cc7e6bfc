//! The functions of `.Q` that make text or look at types, and those of time zones and file handles.

use kvalue::Type;

use super::map::deep;
use crate::{
    QError, R,
    ctx::Ctx,
    format,
    value::{Data, Sym, Table, Value},
};

/// `.Q.s x`: what the console shows.
pub(super) fn s(ctx: &mut dyn Ctx, x: Value) -> R {
    let settings = ctx.settings().clone();
    Ok(Value::string(format::console_bytes(&x, &settings, settings.console)))
}

/// `.Q.s1 x`: q text on one line.
pub(super) fn s1(ctx: &mut dyn Ctx, x: Value) -> R {
    Ok(Value::string(format::inline_bytes(&x, ctx.settings(), usize::MAX)))
}

/// `.Q.S[size;skip;x]`: the lines of `.Q.s` for a console of that size.
pub(super) fn lines(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    let [size, _, x] = args.as_slice() else { return Err(QError::rank()) };
    let side = |i| size.at(i).as_int().and_then(|n| usize::try_from(n).ok()).ok_or_else(QError::type_);
    let text = format::console_bytes(x, &ctx.settings().clone(), (side(0)?, side(1)?));
    Ok(Value::list(text.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(Value::string).collect()))
}

fn fixed(digits: usize, x: &Value) -> R<Vec<u8>> {
    let x = x.as_number().ok_or_else(QError::type_)?;
    if x.is_nan() {
        return Ok(b"0n".to_vec());
    }
    if x.is_infinite() {
        return Ok(if x > 0.0 { b"0w".to_vec() } else { b"-0w".to_vec() });
    }
    Ok(format!("{x:.digits$}").into_bytes())
}

fn size(x: &Value) -> R<usize> {
    usize::try_from(x.as_int().ok_or_else(QError::type_)?)
        .ok()
        .filter(|n| *n < 4_096)
        .ok_or_else(QError::limit)
}

/// `.Q.f[digits;x]`
pub(super) fn f(_: &mut dyn Ctx, args: Vec<Value>) -> R {
    let [digits, x] = args.as_slice() else { return Err(QError::rank()) };
    Ok(Value::string(fixed(size(digits)?.min(300), x)?))
}

/// `.Q.fmt[width;digits;x]`: stars where the width has no room.
pub(super) fn fmt(_: &mut dyn Ctx, args: Vec<Value>) -> R {
    let [width, digits, x] = args.as_slice() else { return Err(QError::rank()) };
    let (width, text) = (size(width)?, fixed(size(digits)?.min(300), x)?);
    if text.len() > width {
        return Ok(Value::string(vec![b'*'; width]));
    }
    let mut out = vec![b' '; width - text.len()];
    out.extend(text);
    Ok(Value::string(out))
}

/// `.Q.addmonths[date;months]`: days that the month does not have run into the next one.
pub(super) fn addmonths(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let month = super::cast_to(Type::Month, x.clone())?;
    let operator = |ctx: &mut dyn Ctx, name: &str, a: Value, b: Value| -> R {
        let f = ctx.lookup(Sym::new(name)).ok_or_else(QError::nyi)?;
        ctx.apply(&f, vec![a, b])
    };
    let first = super::cast_to(Type::Date, month.clone())?;
    let days = operator(ctx, "-", x, first)?;
    let later = operator(ctx, "+", month, y)?;
    let start = super::cast_to(Type::Date, later)?;
    operator(ctx, "+", start, days)
}

/// `.Q.addr x`: the number of an IP address; −1 for a name, which nobody looks up here.
pub(super) fn addr(_: &mut dyn Ctx, x: Value) -> R {
    let name = x.as_name().ok_or_else(QError::type_)?;
    if name == b"localhost" || name.is_empty() {
        return Ok(Value::Int(0x7f00_0001));
    }
    match super::parse_text(Type::Int, &name, false) {
        crate::value::Scalar::I32(n) if name.contains(&b'.') && n != i32::MIN => Ok(Value::Int(n)),
        _ => Ok(Value::Int(-1)),
    }
}

/// `.Q.ty x`: the letter of a type; upper case for a list of vectors of one type.
pub(super) fn ty(_: &mut dyn Ctx, x: Value) -> R {
    let letter = |n: i8| match n.unsigned_abs() {
        20..=76 => b's',
        n => Type::from_number(n).map_or(b' ', |t| t.letter() as u8),
    };
    Ok(Value::Char(match &x {
        Value::List(l) => match l.first() {
            Some(first @ Value::Vector(_)) if l.iter().all(|v| v.number() == first.number()) => {
                letter(first.number()).to_ascii_uppercase()
            }
            _ => b' ',
        },
        x => letter(x.number()),
    }))
}

/// `.Q.dd[x;y]`: `x` and the text of `y` as one name.
pub(super) fn dd(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let text = match &y {
        Value::Char(_) => y,
        y if y.is_string() => y.clone(),
        y => super::string::string(ctx, y.clone())?,
    };
    let tail = super::dollar(ctx, Value::Sym(Sym::NULL), text)?;
    let head = x.as_sym().ok_or_else(QError::type_)?;
    let tails: Vec<Sym> = tail.items().iter().filter_map(Value::as_sym).collect();
    super::split::sv(ctx, Value::Sym(Sym::NULL), Value::syms(std::iter::once(head).chain(tails).collect()))
}

/// `.Q.id x`: a name that needs no quotes; the columns of a table or the keys of a dictionary, none twice.
pub(super) fn id(ctx: &mut dyn Ctx, x: Value) -> R {
    match x {
        Value::Sym(s) => Ok(Value::Sym(clean(ctx, s))),
        Value::Table(t) => {
            let names = unique(t.names.iter().map(|s| clean(ctx, *s)).collect());
            Ok(Value::table(Table { names: names.into(), columns: t.columns.clone(), sorted: t.sorted }))
        }
        Value::Dict(d) if d.as_keyed().is_some() => {
            let (Value::Table(k), Value::Table(v)) = (&d.keys, &d.values) else {
                return Err(QError::type_());
            };
            let names = unique(k.names.iter().chain(v.names.iter()).map(|s| clean(ctx, *s)).collect());
            let (left, right) = names.split_at(k.names.len());
            let part = |t: &Table, names: &[Sym]| {
                Value::table(Table { names: names.into(), columns: t.columns.clone(), sorted: t.sorted })
            };
            Ok(Value::dict(crate::value::Dict {
                keys: part(k, left),
                values: part(v, right),
                sorted: d.sorted,
            }))
        }
        Value::Dict(d) => {
            let names = d
                .keys
                .items()
                .iter()
                .map(|k| k.as_sym().ok_or_else(QError::type_))
                .collect::<R<Vec<Sym>>>()?;
            let names = unique(names.into_iter().map(|s| clean(ctx, s)).collect());
            Ok(Value::dict(crate::value::Dict {
                keys: Value::syms(names),
                values: d.values.clone(),
                sorted: false,
            }))
        }
        Value::Vector(v) if matches!(v.data, Data::Sym(_)) => {
            let Data::Sym(names) = &v.data else { return Err(QError::type_()) };
            Ok(Value::syms(names.iter().map(|s| clean(ctx, *s)).collect()))
        }
        _ => Err(QError::type_()),
    }
}

/// Words that are no functions of `.q` and yet reserved.
const RESERVED: [&str; 44] = [
    "abs", "acos", "asin", "atan", "avg", "bin", "binr", "cor", "cos", "cov", "delete", "dev", "div", "do",
    "enlist", "exec", "exit", "exp", "getenv", "hopen", "if", "in", "insert", "last", "like", "log", "max",
    "min", "prd", "select", "setenv", "sin", "sqrt", "ss", "sum", "tan", "update", "var", "wavg", "while",
    "within", "wsum", "xexp", "by",
];

fn clean(ctx: &mut dyn Ctx, s: Sym) -> Sym {
    let mut out: Vec<u8> =
        s.bytes().iter().copied().filter(|b| b.is_ascii_alphanumeric() || *b == b'_').collect();
    if out.first().is_none_or(|b| !b.is_ascii_alphabetic()) {
        out.insert(0, b'a');
    }
    let word = Sym::new(&out);
    let is_word = RESERVED.iter().any(|r| r.as_bytes() == out)
        || matches!(ctx.lookup(word), Some(Value::Prim(p)) if p.word.as_bytes() == out);
    if is_word {
        out.push(b'1');
    }
    Sym::new(out)
}

/// The second use of a name gets `1` behind it, the third `2`, …
fn unique(names: Vec<Sym>) -> Vec<Sym> {
    let mut out: Vec<Sym> = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let before = names[..i].iter().filter(|n| *n == name).count();
        out.push(if before == 0 {
            *name
        } else {
            let mut text = name.bytes().to_vec();
            text.extend_from_slice(before.to_string().as_bytes());
            Sym::new(text)
        });
    }
    out
}

/// `hsym x`: a name as a file or process handle.
pub(super) fn hsym(_: &mut dyn Ctx, x: Value) -> R {
    deep(x, &mut |v| {
        let handle = |s: Sym| {
            if s.bytes().first() == Some(&b':') {
                return s;
            }
            Sym::new([b":", s.bytes()].concat())
        };
        match &v {
            Value::Sym(s) => Ok(Value::Sym(handle(*s))),
            Value::Vector(t) => match &t.data {
                Data::Sym(d) => Ok(Value::syms(d.iter().map(|s| handle(*s)).collect())),
                _ => Err(QError::type_()),
            },
            _ => Err(QError::type_()),
        }
    })
}

fn shifted(ctx: &mut dyn Ctx, x: Value, sign: i64) -> R {
    let offset = ctx.settings().offset;
    deep(x, &mut |v| {
        let mut move_by = |ns: i64| -> i64 {
            if ns == i64::MIN || ns == i64::MAX || ns == -i64::MAX {
                return ns;
            }
            let zone = match offset {
                // Up to 23 the offset is in hours, beyond in minutes.
                Some(h) if h.abs() < 24 => i64::from(h) * 3_600_000_000_000,
                Some(m) => i64::from(m) * 60_000_000_000,
                None => ctx.host().zone(ns),
            };
            ns.saturating_add(sign * zone)
        };
        let stamps = match &v {
            Value::Timestamp(_) | Value::Datetime(_) => super::cast_to(Type::Timestamp, v.clone())?,
            Value::Vector(t) if matches!(t.ty, Type::Timestamp | Type::Datetime) => {
                super::cast_to(Type::Timestamp, v.clone())?
            }
            _ => return Err(QError::type_()),
        };
        let moved = match stamps {
            Value::Timestamp(ns) => Value::Timestamp(move_by(ns)),
            Value::Vector(t) => match &t.data {
                Data::I64(d) => {
                    Value::vector(Type::Timestamp, Data::I64(d.iter().map(|&ns| move_by(ns)).collect()))
                }
                _ => return Err(QError::type_()),
            },
            _ => return Err(QError::type_()),
        };
        match &v {
            Value::Datetime(_) => super::cast_to(Type::Datetime, moved),
            Value::Vector(t) if t.ty == Type::Datetime => super::cast_to(Type::Datetime, moved),
            _ => Ok(moved),
        }
    })
}

/// `ltime x`: local time of UTC.
pub(super) fn ltime(ctx: &mut dyn Ctx, x: Value) -> R {
    shifted(ctx, x, 1)
}

/// `gtime x`: UTC of local time.
pub(super) fn gtime(ctx: &mut dyn Ctx, x: Value) -> R {
    shifted(ctx, x, -1)
}
