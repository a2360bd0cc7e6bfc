//! Lists, dictionaries and their order: `til` to `xrank`, `!` `#` `_` `,` `?` `~`.
//!
//! | file | what |
//! | --- | --- |
//! | `join` | `,` |
//! | `basic` | ends, counts, shapes, neighbours, `group`, `distinct` |
//! | `attr` | attributes |
//! | `take` | `#` `_` `cut` `sublist` `rotate` |
//! | `sets` | `in` `inter` `except` `union` `cross` `within` |
//! | `sort` | `asc` `iasc` `rank` and kin |
//! | `bin` | `bin` `binr` |
//! | `dict` | `!` |
//! | `fills` | `fills` |

pub mod attr;
pub mod basic;
pub mod bin;
pub mod dict;
mod fills;
pub mod join;
pub mod sets;
pub mod sort;
pub mod take;
#[cfg(test)]
mod tests;

pub use self::{
    basic::{count, differ, distinct, first, flip, group, last, raze, reverse, where_},
    dict::{bang, enkey},
    join::{beside, join, may_fail},
    sets::{in_, within},
    take::{drop, take},
};
use crate::{
    QError, R,
    ctx::{Call, Ctx, Def},
    ops::index,
    value::{Data, Value},
};

/// The family's primitives.
pub static TABLE: &[Def] = &[
    Def::monad("fills", fills::fills),
    Def::operator(",", join),
    Def::operator("#", take),
    Def::operator("_", drop),
    Def::operator("~", basic::matches),
    Def::unary("til", "!:", basic::til),
    Def::unary("count", "#:", count),
    Def::unary("first", "*:", first),
    Def::monad("last", last),
    Def::unary("reverse", "|:", reverse),
    Def::unary("where", "&:", where_),
    Def::unary("group", "=:", group),
    Def::unary("distinct", "?:", distinct),
    Def {
        text: "enlist",
        word: "enlist",
        ty: 101,
        ranks: (1, 255),
        infix: false,
        call: Call::Many(basic::enlist),
    },
    Def { text: ",:", word: ",:", ty: 101, ranks: (1, 1), infix: false, call: Call::Many(basic::enlist) },
    Def::unary("flip", "+:", flip),
    Def::unary("type", "@:", basic::type_of),
    Def::unary("iasc", "<:", sort::iasc),
    Def::unary("idesc", ">:", sort::idesc),
    Def::monad("raze", raze),
    Def::monad("asc", sort::asc),
    Def::monad("desc", sort::desc),
    Def::monad("rank", sort::rank),
    Def::dyad("xrank", sort::xrank),
    Def::monad("attr", attr::attr),
    Def::monad("prev", basic::prev),
    Def::monad("next", basic::next),
    Def::dyad("xprev", basic::xprev),
    Def::monad("differ", differ),
    Def::dyad("cut", take::cut),
    Def::dyad("sublist", take::sublist),
    Def::dyad("rotate", take::rotate),
    Def::operator("in", in_),
    Def::operator("within", within),
    Def::operator("bin", bin::bin),
    Def::operator("binr", bin::binr),
    Def::dyad("inter", sets::inter),
    Def::dyad("except", sets::except),
    Def::dyad("union", sets::union),
    Def::dyad("cross", sets::cross),
];

/// `?[x;y;z]`: for each bit of `x` the item of `y` or of `z`; atoms stand for every item.
pub fn choose(ctx: &mut dyn Ctx, x: Value, y: Value, z: Value) -> R {
    let bits = match &x {
        Value::Bool(b) => return Ok(if *b { y } else { z }),
        Value::Vector(v) => match &v.data {
            Data::Bool(bits) => bits,
            _ => return Err(QError::type_()),
        },
        Value::List(l) if l.is_empty() => return Ok(y.slice(0, 0)),
        _ => return Err(QError::type_()),
    };
    let n = bits.len();
    for side in [&y, &z] {
        if !side.is_atom() && side.count() != n {
            return Err(QError::length());
        }
    }
    if let Some(v) = choose_typed(bits, &y, &z) {
        return Ok(v);
    }
    if let (Value::Table(_), Value::Table(_)) = (&y, &z) {
        let both = join(ctx, y, z)?;
        let at: Vec<usize> = bits.iter().enumerate().map(|(i, b)| if *b { i } else { n + i }).collect();
        return Ok(both.gather(&at));
    }
    let item = |i: usize| if bits[i] { y.at(i) } else { z.at(i) };
    let items: Vec<Value> = (0..n).map(item).collect();
    if items.is_empty() {
        return Ok(if y.is_list() { y } else { y.repeat(1).slice(0, 0) });
    }
    Ok(Value::from_items(items))
}

fn choose_typed(bits: &[bool], y: &Value, z: &Value) -> Option<Value> {
    let as_vector = |v: &Value| match v {
        Value::Vector(v) => Some((v.clone(), false)),
        v => {
            v.as_scalar()?;
            match v.repeat(1) {
                Value::Vector(v) => Some((v, true)),
                _ => None,
            }
        }
    };
    let ((a, one_a), (b, one_b)) = (as_vector(y)?, as_vector(z)?);
    if a.number() != b.number() || matches!(a.data, Data::Enum(..)) {
        return None;
    }
    fn go<T: Copy>(bits: &[bool], a: &[T], one_a: bool, b: &[T], one_b: bool) -> Option<Vec<T>> {
        Some(match (one_a, one_b) {
            (false, false) => {
                bits.iter().zip(a.iter().zip(b)).map(|(c, (x, y))| if *c { *x } else { *y }).collect()
            }
            (true, true) => {
                let (x, y) = (*a.first()?, *b.first()?);
                bits.iter().map(|c| if *c { x } else { y }).collect()
            }
            (true, false) => {
                let x = *a.first()?;
                bits.iter().zip(b).map(|(c, y)| if *c { x } else { *y }).collect()
            }
            (false, true) => {
                let y = *b.first()?;
                bits.iter().zip(a).map(|(c, x)| if *c { *x } else { y }).collect()
            }
        })
    }
    macro_rules! layouts {
        ($($l:ident)*) => {
            match (&a.data, &b.data) {
                $((Data::$l(x), Data::$l(y)) => Data::$l(go(bits, x, one_a, y, one_b)?.into()),)*
                _ => return None,
            }
        };
    }
    Some(Value::vector(a.ty, layouts!(Bool Guid U8 I16 I32 I64 F32 F64 Sym)))
}

/// `x?y` of a list, dictionary or table: see [`index::find`].
pub fn find(_: &mut dyn Ctx, x: Value, y: Value) -> R {
    index::find(&x, &y)
}
