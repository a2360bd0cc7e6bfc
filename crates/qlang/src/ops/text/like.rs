//! `like`, `ss`, `ssr`: patterns.

use std::sync::Arc;

use ahash::HashMap;
use kernels::like::Pattern;
use kvalue::Type;

use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Sym, Value, names},
};

/// `x like y`: whether texts match a pattern. `'nyi` where a pattern has a star that is neither at an end nor the
/// only one.
pub fn like(_: &mut dyn Ctx, x: Value, y: Value) -> R {
    let pattern = match &y {
        Value::Sym(s) => s.bytes().to_vec(),
        y => y.as_text().ok_or_else(QError::type_)?,
    };
    refuse_many_stars(&pattern)?;
    let pattern = Pattern::new(&pattern).map_err(|_| QError::new("domain"))?;
    matches(x, &pattern)
}

/// Stars in brackets stand for themselves. kdb+ takes `a*b`, `*a*`, `a*`, and refuses the rest.
fn refuse_many_stars(pattern: &[u8]) -> R<()> {
    let mut stars = Vec::new();
    let mut i = 0;
    while i < pattern.len() {
        match pattern[i] {
            b'[' => {
                let from = i + 1 + usize::from(pattern.get(i + 1) == Some(&b'^'));
                i = match pattern.get(from + 1..).and_then(|r| memchr::memchr(b']', r)) {
                    Some(end) => from + 1 + end,
                    None => pattern.len(),
                };
            }
            b'*' => stars.push(i),
            _ => {}
        }
        i += 1;
    }
    let last = pattern.len().saturating_sub(1);
    match stars.as_slice() {
        [] | [_] => Ok(()),
        [0, b] if *b == last => Ok(()),
        _ => Err(QError::nyi()),
    }
}

fn matches(x: Value, p: &Pattern) -> R {
    Ok(match x {
        Value::Sym(s) => Value::Bool(p.matches(s.bytes())),
        Value::Char(c) => Value::Bool(p.matches(&[c])),
        Value::Enum(e) => return matches(e.value(), p),
        Value::Dict(d) => {
            let values = matches(d.values.clone(), p)?;
            Value::dict(crate::value::Dict { keys: d.keys.clone(), values, sorted: false })
        }
        Value::List(l) => {
            let mut out = Vec::with_capacity(l.len());
            for item in l.iter() {
                out.push(match item {
                    Value::Sym(s) => p.matches(s.bytes()),
                    Value::Vector(v) => p.matches(v.as_chars().ok_or_else(QError::type_)?),
                    Value::Char(c) => p.matches(&[*c]),
                    Value::List(l) if l.is_empty() => p.matches(b""),
                    _ => return Err(QError::type_()),
                });
            }
            Value::bools(out)
        }
        Value::Vector(v) => match &v.data {
            Data::U8(text) if v.ty == Type::Char => Value::Bool(p.matches(text)),
            Data::Sym(d) => symbols(d, p),
            Data::Enum(domain, codes) => match &domain.list {
                Value::Vector(list) if matches!(list.data, Data::Sym(_)) => {
                    let Data::Sym(list) = &list.data else { return Err(QError::type_()) };
                    let hit: Vec<bool> = names(list).into_iter().map(|n| p.matches(n)).collect();
                    let null = p.matches(b"");
                    let one =
                        |c: &i64| usize::try_from(*c).ok().and_then(|c| hit.get(c).copied()).unwrap_or(null);
                    Value::bools(codes.iter().map(one).collect())
                }
                _ => return Err(QError::type_()),
            },
            _ if v.is_empty() => Value::bools(Vec::new()),
            _ => return Err(QError::type_()),
        },
        _ => return Err(QError::type_()),
    })
}

/// Long vectors repeat few names: each name is matched once.
fn symbols(d: &[Sym], p: &Pattern) -> Value {
    if d.len() < 64 {
        return Value::bools(names(d).into_iter().map(|n| p.matches(n)).collect());
    }
    let mut seen: HashMap<Sym, bool> = HashMap::default();
    Value::bools(d.iter().map(|&s| *seen.entry(s).or_insert_with(|| p.matches(s.bytes()))).collect())
}

/// One byte of a search pattern: `?` any, `[..]` a set.
enum One {
    Byte(u8),
    Any,
    Set(Box<[bool; 256]>),
}

/// A pattern of `ss`: of fixed length. `'length` for an empty one and for one with a star.
fn fixed(pattern: &[u8]) -> R<Vec<One>> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < pattern.len() {
        match pattern[i] {
            b'?' => out.push(One::Any),
            b'*' => return Err(QError::length()),
            b'[' => {
                let from = i + 1;
                let negated = pattern.get(from) == Some(&b'^') && pattern.get(from + 1).is_some();
                let members = from + usize::from(negated);
                let Some(end) = pattern.get(members + 1..).and_then(|r| memchr::memchr(b']', r)) else {
                    return Err(QError::domain());
                };
                let end = members + 1 + end;
                let mut set = Box::new([negated; 256]);
                let body = &pattern[members..end];
                let mut k = 0;
                while k < body.len() {
                    let (low, high) = match body.get(k + 1..k + 3) {
                        Some([b'-', high]) => {
                            k += 2;
                            (body[k - 2], *high)
                        }
                        _ => (body[k], body[k]),
                    };
                    for b in low..=high {
                        set[usize::from(b)] = !negated;
                    }
                    k += 1;
                }
                out.push(One::Set(set));
                i = end;
            }
            b => out.push(One::Byte(b)),
        }
        i += 1;
    }
    if out.is_empty() { Err(QError::length()) } else { Ok(out) }
}

/// Places where the pattern begins; a found place is left behind before the search goes on.
fn places(text: &[u8], pattern: &[One]) -> Vec<usize> {
    let n = pattern.len();
    let mut out = Vec::new();
    if let Some(literal) = pattern
        .iter()
        .map(|o| if let One::Byte(b) = o { Some(*b) } else { None })
        .collect::<Option<Vec<u8>>>()
    {
        return memchr::memmem::find_iter(text, &literal).collect();
    }
    let mut i = 0;
    while i + n <= text.len() {
        let hit = pattern.iter().zip(&text[i..]).all(|(o, b)| match o {
            One::Byte(x) => x == b,
            One::Any => true,
            One::Set(set) => set[usize::from(*b)],
        });
        if hit {
            out.push(i);
            i += n;
        } else {
            i += 1;
        }
    }
    out
}

/// `x ss y`: where a pattern is found in a string.
pub fn ss(_: &mut dyn Ctx, x: Value, y: Value) -> R {
    let text = x.as_text().ok_or_else(QError::type_)?;
    let pattern = y.as_text().ok_or_else(QError::type_)?;
    let found = places(&text, &fixed(&pattern)?);
    Ok(Value::longs(found.into_iter().map(|i| i as i64).collect()))
}

/// `ssr[x;y;z]`: each place of pattern `y` replaced by `z`, or by `z` of what was found.
pub fn ssr(ctx: &mut dyn Ctx, mut args: Vec<Value>) -> R {
    let (Some(z), Some(y), Some(x)) = (args.pop(), args.pop(), args.pop()) else {
        return Err(QError::rank());
    };
    let text = x.as_text().ok_or_else(QError::type_)?;
    let pattern = fixed(&y.as_text().ok_or_else(QError::type_)?)?;
    let n = pattern.len();
    let found = places(&text, &pattern);
    if found.is_empty() {
        return Ok(if matches!(x, Value::Char(_)) { x } else { Value::string(text) });
    }
    let by_function = z.is_function() || matches!(z, Value::Dict(_));
    let fixed_text = if by_function { Vec::new() } else { z.as_text().ok_or_else(QError::type_)? };
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for at in found {
        out.extend_from_slice(&text[from..at]);
        if by_function {
            let piece = Value::string(&text[at..at + n]);
            let new = ctx.apply(&z, vec![piece])?;
            out.extend_from_slice(&new.as_text().ok_or_else(QError::type_)?);
        } else {
            out.extend_from_slice(&fixed_text);
        }
        from = at + n;
    }
    out.extend_from_slice(&text[from..]);
    Ok(Value::Vector(Arc::new(crate::value::Vector::new(Type::Char, Data::U8(out.into())))))
}
