//! Queries by group over partitions without all rows at hand: partition by partition where the first key is the
//! partition itself, else partial aggregates of each partition that are aggregated again.

use std::sync::Arc;

use super::{
    mapped::{self, Partitioned},
    phrases::{By, Phrases},
    scope::Scope,
    select,
    tree::unkeyed,
};
use crate::{
    R,
    ctx::Ctx,
    ops::table::rekey,
    value::{Sym, Table, Value},
};

/// The answer of a query over a partitioned table that needs no rows of two partitions together; `None` for any
/// other query.
pub fn by_parts(
    ctx: &mut dyn Ctx,
    table: &Arc<dyn Partitioned>,
    c: &Value,
    by: &By,
    phrases: &Phrases,
) -> R<Option<Value>> {
    let Phrases::Columns(names, trees) = phrases else { return Ok(None) };
    let (by_names, by_trees) = match by {
        By::Columns(names, trees) => (names.clone(), trees.clone()),
        By::None => (Vec::new(), Vec::new()),
        _ => return Ok(None),
    };
    let keys = by_names.len();
    let own = matches!(by_trees.first(), Some(Value::Sym(first)) if *first == table.field());
    if own {
        let part = |c: &mut dyn Ctx, s: &mut Scope| {
            let by = By::Columns(by_names.clone(), by_trees.clone());
            select::select(c, s, 0, by, Phrases::Columns(names.clone(), trees.clone()))
        };
        return Ok(parts(ctx, table, c, part)?.map(|all| rekey(all, keys)));
    }
    let Some(plan) = Plan::of(ctx, trees)? else { return Ok(None) };
    let part = |c: &mut dyn Ctx, s: &mut Scope| {
        let partial = Phrases::Columns(plan.names.clone(), plan.partial.clone());
        let by = if keys == 0 { By::None } else { By::Columns(by_names.clone(), by_trees.clone()) };
        select::select(c, s, 0, by, partial)
    };
    let Some(all) = parts(ctx, table, c, part)? else { return Ok(None) };
    let mut scope = Scope::of_table(Arc::new(all));
    let again = match keys {
        0 => By::None,
        _ => By::Columns(by_names.clone(), by_names.into_iter().map(Value::Sym).collect()),
    };
    select::select(ctx, &mut scope, 0, again, Phrases::Columns(names.clone(), plan.whole)).map(Some)
}

/// What each partition with rows gives, end to end; `None` where none has.
fn parts(
    ctx: &mut dyn Ctx,
    table: &Arc<dyn Partitioned>,
    c: &Value,
    answer: impl Fn(&mut dyn Ctx, &mut Scope) -> R,
) -> R<Option<Table>> {
    let (partitions, rest) = mapped::prune(ctx, table, c)?;
    let mut all: Option<Value> = None;
    for at in partitions {
        ctx.check()?;
        let mut scope = mapped::part(ctx, table, at, &rest)?;
        if scope.is_empty() {
            continue;
        }
        let Some((rows, _)) = unkeyed(&answer(ctx, &mut scope)?) else { return Ok(None) };
        let rows = Value::Table(rows);
        all = Some(match all {
            None => rows,
            Some(before) => before.append(&rows),
        });
    }
    Ok(match all {
        Some(Value::Table(t)) => Some(Arc::unwrap_or_clone(t)),
        _ => None,
    })
}

/// Aggregates as aggregates of partial ones.
struct Plan {
    names: Vec<Sym>,
    partial: Vec<Value>,
    whole: Vec<Value>,
}

impl Plan {
    fn of(ctx: &mut dyn Ctx, trees: &[Value]) -> R<Option<Plan>> {
        let words = ctx.run("(sum;not;null;%)")?.items();
        let [sum, not, null, over] = &words[..] else { return Ok(None) };
        let mut plan = Plan { names: Vec::new(), partial: Vec::new(), whole: Vec::new() };
        for tree in trees {
            let Value::List(items) = tree else { return Ok(None) };
            let [head @ Value::Prim(p), x] = &items[..] else { return Ok(None) };
            let whole = match p.word {
                "sum" | "min" | "max" | "first" | "last" => {
                    let column = plan.add(tree.clone());
                    Value::list(vec![head.clone(), column])
                }
                // `count distinct x` is no sum of counts.
                "count" if matches!(x, Value::Sym(_)) => {
                    let column = plan.add(tree.clone());
                    Value::list(vec![sum.clone(), column])
                }
                "avg" if matches!(x, Value::Sym(_)) => {
                    let there = Value::list(vec![not.clone(), Value::list(vec![null.clone(), x.clone()])]);
                    let total = plan.add(Value::list(vec![sum.clone(), x.clone()]));
                    let number = plan.add(Value::list(vec![sum.clone(), there]));
                    Value::list(vec![
                        over.clone(),
                        Value::list(vec![sum.clone(), total]),
                        Value::list(vec![sum.clone(), number]),
                    ])
                }
                _ => return Ok(None),
            };
            plan.whole.push(whole);
        }
        Ok(Some(plan))
    }

    /// A partial aggregate more; the name of its column.
    fn add(&mut self, tree: Value) -> Value {
        let name = Sym::new(format!(".p{}", self.names.len()));
        self.names.push(name);
        self.partial.push(tree);
        Value::Sym(name)
    }
}
