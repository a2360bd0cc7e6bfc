//! Conditions on one column: comparisons with constants, `in`, `within`, `like`, evaluated where the column lies,
//! without taking the rows first and without a boxed item. Sorted columns are searched, not read.

use kvalue::{Attr, Type};

use super::{
    scope::{Rows, Scope},
    tree::{eval_in, names_in},
};
use crate::{
    R,
    ctx::Ctx,
    value::{Data, Scalar, Sym, Value, Vector, order::TOLERANCE},
};

/// Which places of the scope fulfil a condition.
pub enum Hits {
    /// neighbours: first and number
    Run(usize, usize),
    /// these
    Places(Vec<u32>),
}

#[derive(Clone, Copy, PartialEq)]
enum Op {
    Eq,
    Ne,
    Lt,
    Gt,
    Le,
    Ge,
}

impl Op {
    fn of(word: &str) -> Option<Op> {
        Some(match word {
            "=" => Op::Eq,
            "<>" => Op::Ne,
            "<" => Op::Lt,
            ">" => Op::Gt,
            "<=" => Op::Le,
            ">=" => Op::Ge,
            _ => return None,
        })
    }

    fn turned(self) -> Op {
        match self {
            Op::Lt => Op::Gt,
            Op::Gt => Op::Lt,
            Op::Le => Op::Ge,
            Op::Ge => Op::Le,
            same => same,
        }
    }
}

/// The places that fulfil a condition of a known form; `None` for any other form.
pub fn hits(ctx: &mut dyn Ctx, scope: &mut Scope, condition: &Value) -> R<Option<Hits>> {
    let Value::List(items) = condition else { return Ok(None) };
    let [Value::Prim(p), x, y] = &items[..] else { return Ok(None) };
    let place = |scope: &Scope, v: &Value| match v {
        Value::Sym(name) => scope.position(*name),
        _ => None,
    };
    let (at, other, turned) = match (place(scope, x), place(scope, y)) {
        (Some(at), None) => (at, y, false),
        (None, Some(at)) => (at, x, true),
        _ => return Ok(None),
    };
    let op = Op::of(p.word);
    if op.is_none() && (turned || !matches!(p.word, "in" | "within" | "like")) {
        return Ok(None);
    }
    // The other side must not depend on rows.
    let mut columns = false;
    names_in(other, &mut |name| {
        let end = name.bytes().iter().position(|&b| b == b'.').filter(|&d| d > 0);
        let name = end.map_or(name, |e| Sym::new(&name.bytes()[..e]));
        columns |= scope.position(name).is_some() || name.bytes() == b"i";
    });
    if columns {
        return Ok(None);
    }
    let whole = scope.whole(at)?;
    let Value::Vector(v) = &whole else { return Ok(None) };
    let constant = eval_in(ctx, other, scope)?;
    let rows = scope.rows().clone();
    Ok(match op {
        Some(op) => compare(v, if turned { op.turned() } else { op }, &constant, &rows),
        None if p.word == "in" => member(v, &constant, &rows),
        None if p.word == "within" => within(v, &constant, &rows),
        None => {
            // Patterns are matched against distinct names, not against every row.
            let Data::Sym(names) = &v.data else { return Ok(None) };
            if names.len() < 1000 || !constant.is_string() {
                return Ok(None);
            }
            let mut distinct: Vec<Sym> = Vec::new();
            let mut seen = vec![false; names.iter().map(|s| s.id() as usize + 1).max().unwrap_or(0)];
            for s in names.iter() {
                if !std::mem::replace(&mut seen[s.id() as usize], true) {
                    distinct.push(*s);
                }
            }
            let answer = ctx.apply(&items[0], vec![Value::syms(distinct.clone()), constant])?;
            let Value::Vector(bits) = &answer else { return Ok(None) };
            let Data::Bool(bits) = &bits.data else { return Ok(None) };
            distinct.iter().zip(bits.iter()).for_each(|(s, &b)| seen[s.id() as usize] = b);
            Some(pick(names, &rows, |s| seen[s.id() as usize]))
        }
    })
}

/// The places of the present rows whose item passes.
fn pick<T: Copy>(items: &[T], rows: &Rows, pass: impl Fn(T) -> bool) -> Hits {
    let places = match rows {
        Rows::All => set(items, &pass),
        Rows::Run(from, n) => set(&items[*from..from + n], &pass),
        Rows::Picked(rows) => {
            let mut out = vec![0u32; rows.len() + 1];
            let mut at = 0;
            for (place, &r) in rows.iter().enumerate() {
                out[at] = place as u32;
                at += usize::from(items.get(r as usize).is_some_and(|&x| pass(x)));
            }
            out.truncate(at);
            out
        }
    };
    match (places.first(), places.last()) {
        (Some(&first), Some(&last)) if (last - first) as usize + 1 == places.len() => {
            Hits::Run(first as usize, places.len())
        }
        _ => Hits::Places(places),
    }
}

/// Blocks keep their marks in the cache: marks are made by vector instructions, then read once.
fn set<T: Copy>(items: &[T], pass: &impl Fn(T) -> bool) -> Vec<u32> {
    const BLOCK: usize = 4096;
    let mut out: Vec<u32> = Vec::new();
    let mut marks = [false; BLOCK];
    for (b, block) in items.chunks(BLOCK).enumerate() {
        let marks = &mut marks[..block.len()];
        for (m, &x) in marks.iter_mut().zip(block) {
            *m = pass(x);
        }
        let count = marks.iter().map(|&m| u32::from(m)).sum::<u32>() as usize;
        let from = out.len();
        let base = (b * BLOCK) as u32;
        if count == 0 {
            continue;
        }
        if count == block.len() {
            out.extend(base..base + count as u32);
            continue;
        }
        // One place more than there are marks: the loop writes before it knows.
        out.resize(from + count + 1, 0);
        let target = &mut out[from..];
        let mut at = 0;
        for (i, &m) in marks.iter().enumerate() {
            target[at] = base + i as u32;
            at += usize::from(m);
            if at == count {
                break;
            }
        }
        out.truncate(from + count);
    }
    out
}

/// Places of a sorted column by binary search.
fn sorted_run<T: Copy + PartialOrd>(items: &[T], op: Op, c: T, rows: &Rows) -> Option<Hits> {
    let (from, n) = match rows {
        Rows::All => (0, items.len()),
        Rows::Run(from, n) => (*from, *n),
        Rows::Picked(_) => return None,
    };
    let part = &items[from..from + n];
    let low = part.partition_point(|x| *x < c);
    let high = part.partition_point(|x| *x <= c);
    Some(match op {
        Op::Eq => Hits::Run(low, high - low),
        Op::Lt => Hits::Run(0, low),
        Op::Le => Hits::Run(0, high),
        Op::Gt => Hits::Run(high, n - high),
        Op::Ge => Hits::Run(low, n - low),
        Op::Ne => return None,
    })
}

fn ordered<T: Copy + PartialOrd>(items: &[T], op: Op, c: T, rows: &Rows, sorted: bool) -> Hits {
    if sorted && let Some(run) = sorted_run(items, op, c, rows) {
        return run;
    }
    match op {
        Op::Eq => pick(items, rows, |x| x == c),
        Op::Ne => pick(items, rows, |x| x != c),
        Op::Lt => pick(items, rows, |x| x < c),
        Op::Gt => pick(items, rows, |x| x > c),
        Op::Le => pick(items, rows, |x| x <= c),
        Op::Ge => pick(items, rows, |x| x >= c),
    }
}

fn compare(v: &Vector, op: Op, constant: &Value, rows: &Rows) -> Option<Hits> {
    if let Data::Enum(domain, codes) = &v.data {
        let name = constant.as_sym()?;
        let Value::Vector(list) = &domain.list else { return None };
        let Data::Sym(names) = &list.data else { return None };
        if !matches!(op, Op::Eq | Op::Ne) || name.is_null() {
            return None;
        }
        let code = names.iter().position(|n| *n == name).map_or(i64::MAX, |c| c as i64);
        return Some(ordered(codes, op, code, rows, false));
    }
    let sorted = v.attr == Attr::Sorted;
    let (ty, scalar) = constant.as_scalar()?;
    match (&v.data, scalar) {
        (Data::Sym(items), Scalar::Sym(s)) if matches!(op, Op::Eq | Op::Ne) => {
            Some(if op == Op::Eq { pick(items, rows, |x| x == s) } else { pick(items, rows, |x| x != s) })
        }
        (Data::I64(items), Scalar::I64(c)) if ty == v.ty => Some(ordered(items, op, c, rows, sorted)),
        (Data::I32(items), Scalar::I32(c)) if ty == v.ty => Some(ordered(items, op, c, rows, sorted)),
        (Data::I16(items), Scalar::I16(c)) if ty == v.ty => Some(ordered(items, op, c, rows, sorted)),
        (Data::U8(items), Scalar::U8(c)) if ty == v.ty => Some(ordered(items, op, c, rows, sorted)),
        (Data::I64(items), Scalar::I32(c)) if v.ty == Type::Long && ty == Type::Int && c != i32::MIN => {
            Some(ordered(items, op, i64::from(c), rows, sorted))
        }
        (Data::I32(items), Scalar::I64(c)) if v.ty == Type::Int && ty == Type::Long => {
            let c = i32::try_from(c).ok().filter(|c| c.unsigned_abs() < i32::MAX as u32)?;
            Some(ordered(items, op, c, rows, sorted))
        }
        (Data::F64(items), s) if v.ty == Type::Float && ty.is_numeric() => {
            let c = s.as_f64().filter(|c| c.is_finite())?;
            let far = |x: f64| (x - c).abs() > TOLERANCE * x.abs().max(c.abs()) || x.is_infinite();
            Some(match op {
                Op::Eq => pick(items, rows, |x| !far(x) & !x.is_nan()),
                Op::Ne => pick(items, rows, |x| far(x) | x.is_nan()),
                Op::Gt => pick(items, rows, |x| (x > c) & far(x)),
                Op::Le => pick(items, rows, |x| !((x > c) & far(x))),
                Op::Lt => pick(items, rows, |x| x.is_nan() | ((x < c) & far(x))),
                Op::Ge => pick(items, rows, |x| !(x.is_nan() | ((x < c) & far(x)))),
            })
        }
        _ => None,
    }
}

fn member(v: &Vector, constant: &Value, rows: &Rows) -> Option<Hits> {
    let Value::Vector(set) = constant else { return None };
    match (&v.data, &set.data) {
        (Data::Sym(items), Data::Sym(wanted)) => {
            let top = wanted.iter().map(|s| s.id()).max()?;
            let mut table = vec![false; top as usize + 1];
            wanted.iter().for_each(|s| table[s.id() as usize] = true);
            Some(pick(items, rows, |s: Sym| table.get(s.id() as usize).copied().unwrap_or(false)))
        }
        (Data::Enum(domain, codes), Data::Sym(wanted)) => {
            let Value::Vector(list) = &domain.list else { return None };
            let Data::Sym(names) = &list.data else { return None };
            if wanted.contains(&Sym::NULL) {
                return None;
            }
            let wanted: ahash::HashSet<Sym> = wanted.iter().copied().collect();
            let table: Vec<bool> = names.iter().map(|n| wanted.contains(n)).collect();
            Some(pick(codes, rows, |c: i64| {
                usize::try_from(c).ok().and_then(|c| table.get(c)).copied().unwrap_or(false)
            }))
        }
        (Data::I64(items), Data::I64(wanted)) if v.ty == set.ty => Some(among(items, wanted, rows)),
        (Data::I32(items), Data::I32(wanted)) if v.ty == set.ty => Some(among(items, wanted, rows)),
        _ => None,
    }
}

fn among<T: Copy + Eq + std::hash::Hash>(items: &[T], wanted: &[T], rows: &Rows) -> Hits {
    if wanted.len() <= 8 {
        return pick(items, rows, |x| wanted.contains(&x));
    }
    let wanted: ahash::HashSet<T> = wanted.iter().copied().collect();
    pick(items, rows, |x| wanted.contains(&x))
}

fn within(v: &Vector, constant: &Value, rows: &Rows) -> Option<Hits> {
    let Value::Vector(bounds) = constant else { return None };
    if bounds.ty != v.ty || bounds.len() != 2 {
        return None;
    }
    macro_rules! range {
        ($items:expr, $b:expr) => {{
            let (low, high) = ($b[0], $b[1]);
            if v.attr == Attr::Sorted && low <= high {
                if let (Some(Hits::Run(from, _)), Some(Hits::Run(_, n))) =
                    (sorted_run($items, Op::Ge, low, rows), sorted_run($items, Op::Le, high, rows))
                {
                    return Some(Hits::Run(from, n.saturating_sub(from)));
                }
            }
            Some(pick($items, rows, |x| x >= low && x <= high))
        }};
    }
    match (&v.data, &bounds.data) {
        (Data::I64(items), Data::I64(b)) => range!(items, b),
        (Data::I32(items), Data::I32(b)) => range!(items, b),
        (Data::I16(items), Data::I16(b)) => range!(items, b),
        _ => None,
    }
}
