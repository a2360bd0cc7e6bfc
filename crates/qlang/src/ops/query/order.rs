//! `select[n;>column]`: rows in an order, and only some of them.

use super::{
    scope::{Rows, Scope},
    tree::{eval_in, unkeyed},
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Dict, Value, sort_rows},
};

/// First place and number of places that a limit keeps of `n`.
fn window(limit: &Value, n: usize) -> R<(usize, usize)> {
    let number = |v: &Value| v.as_int().ok_or_else(QError::type_);
    if limit.is_list() {
        if limit.count() != 2 {
            return Err(QError::length());
        }
        let from = usize::try_from(number(&limit.at(0))?).unwrap_or(0).min(n);
        let count = usize::try_from(number(&limit.at(1))?).unwrap_or(0);
        return Ok((from, count.min(n - from)));
    }
    let k = number(limit)?;
    let size = usize::try_from(k.unsigned_abs()).unwrap_or(usize::MAX).min(n);
    Ok(if k < 0 { (n - size, size) } else { (0, size) })
}

/// Direction and key of an order `(grade;tree)`; the grade itself where it is another function.
fn direction(order: &Value) -> R<(Option<bool>, Value, Value)> {
    let items = order.items();
    let [grade, tree] = &items[..] else { return Err(QError::type_()) };
    let down = match grade {
        Value::Bool(down) => Some(*down),
        Value::Prim(p) => match p.word {
            "iasc" | "<" | "<:" => Some(false),
            "idesc" | ">" | ">:" => Some(true),
            _ => None,
        },
        _ => None,
    };
    Ok((down, grade.clone(), tree.clone()))
}

/// The places of rows in order; at least the first `wanted` of them.
fn places(ctx: &mut dyn Ctx, scope: &mut Scope, order: &Value, wanted: usize) -> R<Vec<u32>> {
    let (down, grade, tree) = direction(order)?;
    let key = eval_in(ctx, &tree, scope)?;
    match down {
        Some(down) if wanted < key.count() / 8 => match first_rows(&key, wanted, down) {
            Some(rows) => Ok(rows),
            None => Ok(sort_rows(&[(&key, down)], key.count())),
        },
        Some(down) => Ok(sort_rows(&[(&key, down)], key.count())),
        None => {
            let order = ctx.apply(&grade, vec![key])?;
            order
                .items()
                .iter()
                .map(|v| v.as_int().and_then(|n| u32::try_from(n).ok()).ok_or_else(QError::type_))
                .collect()
        }
    }
}

/// The first rows in order without sorting all; `None` for types whose items are no numbers.
fn first_rows(key: &Value, wanted: usize, down: bool) -> Option<Vec<u32>> {
    let Value::Vector(v) = key else { return None };
    Some(match &v.data {
        Data::I64(items) => least(items, wanted, |x| if down { !x } else { x }),
        Data::I32(items) => least(items, wanted, |x| i64::from(if down { !x } else { x })),
        Data::F64(items) => {
            let code = |x: f64| {
                let bits = (x + 0.0).to_bits() as i64;
                let code = if x.is_nan() { i64::MIN } else { bits ^ (((bits >> 63) as u64) >> 1) as i64 };
                if down { !code } else { code }
            };
            least(items, wanted, code)
        }
        _ => return None,
    })
}

/// The rows of the least codes, in order; equal ones in the order of the rows. Blocks without a code below the
/// largest one kept are passed over.
fn least<T: Copy>(items: &[T], wanted: usize, code: impl Fn(T) -> i64) -> Vec<u32> {
    const BLOCK: usize = 1024;
    let room = wanted * 2 + BLOCK;
    let mut kept: Vec<(i64, u32)> = Vec::with_capacity(room + BLOCK);
    let mut bar = i64::MAX;
    let mut full = false;
    for (b, block) in items.chunks(BLOCK).enumerate() {
        if full && !block.iter().fold(false, |any, &x| any | (code(x) < bar)) {
            continue;
        }
        let from = (b * BLOCK) as u32;
        for (i, &x) in block.iter().enumerate() {
            let c = code(x);
            if !full || c < bar {
                kept.push((c, from + i as u32));
            }
        }
        if kept.len() > room && wanted > 0 {
            kept.select_nth_unstable(wanted - 1);
            kept.truncate(wanted);
            bar = kept.iter().map(|k| k.0).max().unwrap_or(bar);
            full = true;
        }
    }
    kept.sort_unstable();
    kept.truncate(wanted);
    kept.into_iter().map(|k| k.1).collect()
}

/// Orders and limits the rows in scope.
pub fn limit_scope(
    ctx: &mut dyn Ctx,
    scope: &mut Scope,
    limit: Option<&Value>,
    order: Option<&Value>,
) -> R<()> {
    let n = scope.len();
    let kept = limit.map(|l| window(l, n)).transpose()?;
    match order {
        Some(order) => {
            let wanted = kept.map_or(n, |(from, n)| from + n);
            let mut places = places(ctx, scope, order, wanted)?;
            if let Some((from, n)) = kept {
                places.truncate(from + n);
                places.drain(..from);
            }
            scope.narrow(places);
        }
        None => {
            if let Some((from, count)) = kept.filter(|k| *k != (0, n)) {
                scope.narrow_run(from, count);
            }
        }
    }
    Ok(())
}

/// Orders and limits the rows of an answer.
pub fn limit_value(ctx: &mut dyn Ctx, v: Value, limit: Option<&Value>, order: Option<&Value>) -> R {
    let v = match order {
        Some(order) => {
            let Some((table, _)) = unkeyed(&v) else { return Err(QError::type_()) };
            let mut scope = Scope::of_table(table);
            let places = places(ctx, &mut scope, order, usize::MAX)?;
            scope.look_at(Rows::All);
            v.gather(&places)
        }
        None => v,
    };
    match limit {
        Some(limit) => {
            let (from, n) = window(limit, v.count())?;
            Ok(match &v {
                Value::Dict(d) => Value::dict(Dict {
                    keys: d.keys.slice(from, n),
                    values: d.values.slice(from, n),
                    sorted: d.sorted,
                }),
                other => other.slice(from, n),
            })
        }
        None => Ok(v),
    }
}
