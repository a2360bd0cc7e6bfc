//! Phrases of aggregates of columns, for all groups at once: `sum price`, `size wavg price`,
//! `(sum price*size)%sum size`.

use super::{grouping::Grouped, scope::Scope, tree::eval_in};
use crate::{
    R,
    ctx::Ctx,
    ops::aggregate,
    value::{Groups, Value},
};

/// Functions that work item by item: of columns they give a column, of groups' answers an answer for each group.
const ITEMWISE: &[&str] = &[
    "+",
    "-",
    "*",
    "%",
    "&",
    "|",
    "=",
    "<>",
    "<",
    ">",
    "<=",
    ">=",
    "and",
    "or",
    "mod",
    "div",
    "xbar",
    "neg",
    "abs",
    "not",
    "null",
    "floor",
    "ceiling",
    "sqrt",
    "exp",
    "log",
    "signum",
    "reciprocal",
    "xexp",
    "xlog",
];

/// The value of a phrase for each group, where it is made of plain aggregates; `None` where it must be evaluated
/// group by group.
pub fn planned(ctx: &mut dyn Ctx, scope: &mut Scope, g: &mut Grouped, tree: &Value) -> R<Option<Value>> {
    over(ctx, scope, &g.groups, tree, 0)
}

fn over(
    ctx: &mut dyn Ctx,
    scope: &mut Scope,
    groups: &Groups,
    tree: &Value,
    depth: usize,
) -> R<Option<Value>> {
    let Value::List(items) = tree else { return Ok(None) };
    let Some((Value::Prim(p), args)) = items.split_first() else { return Ok(None) };
    if depth > 20 || args.is_empty() {
        return Ok(None);
    }
    if ITEMWISE.contains(&p.word) && args.len() == 2 || ITEMWISE.contains(&p.word) && args.len() == 1 {
        let mut values = Vec::with_capacity(args.len());
        let mut found = false;
        for arg in args {
            if is_constant(arg) {
                values.push(arg.clone());
                continue;
            }
            match over(ctx, scope, groups, arg, depth + 1)? {
                Some(v) => {
                    found = true;
                    values.push(v);
                }
                None => return Ok(None),
            }
        }
        return if found { ctx.apply(&items[0], values).map(Some) } else { Ok(None) };
    }
    match args {
        [Value::Sym(i)] if p.word == "count" && (i.bytes() == b"i" || scope.position(*i).is_some()) => {
            Ok(Some(Value::longs(counts(groups))))
        }
        [arg] if p.word == "count" && !is_rowwise(scope, arg) => distinct_count(ctx, scope, groups, arg),
        [arg] if p.word == "first" && is_rowwise(scope, arg) => {
            Ok(Some(eval_in(ctx, arg, scope)?.gather(&groups.firsts)))
        }
        [_] | [_, _] if AGGREGATES.contains(&p.word) && args.iter().all(|a| is_rowwise(scope, a)) => {
            let mut columns = Vec::with_capacity(args.len());
            for arg in args.iter().rev() {
                columns.insert(0, eval_in(ctx, arg, scope)?);
            }
            grouped(p.word, &columns, groups).transpose()
        }
        _ => Ok(None),
    }
}

/// Aggregates that are computed for all groups in one pass.
const AGGREGATES: &[&str] = &[
    "count", "sum", "avg", "min", "max", "last", "all", "any", "var", "dev", "svar", "sdev", "med", "cov",
    "scov", "cor", "wavg", "wsum",
];

/// Functions that give an item a row, computed for all groups in one pass.
const UNIFORM: &[&str] = &["sums", "maxs", "mins", "deltas", "prev", "fills"];

/// An aggregate of columns by group; `None` where there is no kernel for it.
pub fn grouped(word: &str, columns: &[Value], groups: &Groups) -> Option<R> {
    let refs: Vec<&Value> = columns.iter().collect();
    aggregate::grouped(word, &refs, &groups.ids, groups.len())
}

/// A running function of a column within each group, in the order of the rows; `None` where there is no kernel.
pub fn uniform(ctx: &mut dyn Ctx, scope: &mut Scope, groups: &Groups, tree: &Value) -> R<Option<Value>> {
    let Value::List(items) = tree else { return Ok(None) };
    let [Value::Prim(p), arg] = &items[..] else { return Ok(None) };
    if !UNIFORM.contains(&p.word) || !is_rowwise(scope, arg) {
        return Ok(None);
    }
    let column = eval_in(ctx, arg, scope)?;
    aggregate::grouped_uniform(p.word, &[&column], &groups.ids, groups.len()).transpose()
}

/// Rows in each group.
fn counts(groups: &Groups) -> Vec<i64> {
    let mut out = vec![0i64; groups.len()];
    groups.ids.iter().for_each(|&id| out[id as usize] += 1);
    out
}

/// `count distinct column`: the pairs of group and item, counted by group.
fn distinct_count(ctx: &mut dyn Ctx, scope: &mut Scope, groups: &Groups, arg: &Value) -> R<Option<Value>> {
    let Value::List(items) = arg else { return Ok(None) };
    let [Value::Prim(p), column] = &items[..] else { return Ok(None) };
    if p.word != "distinct" || !is_rowwise(scope, column) {
        return Ok(None);
    }
    let column = eval_in(ctx, column, scope)?;
    if !matches!(column, Value::Vector(_)) || column.count() != groups.ids.len() {
        return Ok(None);
    }
    let pairs = groups.clone().combine(Groups::of_column(&column));
    let mut counts = vec![0i64; groups.len()];
    pairs.firsts.iter().for_each(|&row| counts[groups.ids[row as usize] as usize] += 1);
    Ok(Some(Value::longs(counts)))
}

fn is_constant(tree: &Value) -> bool {
    tree.as_scalar().is_some() && !matches!(tree, Value::Sym(_))
}

/// True for a column, and for what item by item functions make of columns and constants: the value at a row depends
/// on that row alone.
fn is_rowwise(scope: &Scope, tree: &Value) -> bool {
    fn go(scope: &Scope, tree: &Value, depth: usize) -> bool {
        match tree {
            Value::Sym(name) => scope.position(*name).is_some() || name.bytes() == b"i",
            Value::List(items) if depth < 20 => {
                let Some((Value::Prim(p), args)) = items.split_first() else { return false };
                ITEMWISE.contains(&p.word)
                    && (1..=2).contains(&args.len())
                    && args.iter().all(|a| is_constant(a) || go(scope, a, depth + 1))
                    && args.iter().any(|a| !is_constant(a))
            }
            _ => false,
        }
    }
    go(scope, tree, 0)
}
