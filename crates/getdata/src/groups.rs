//! Groups and their states: made from rows, merged over cuts, and finished.
//!
//! A [`Part`] is the state of the groups of one cut: key columns, and per aggregate the columns of its partial
//! state, one row a group. Parts merge in order, which `first` and `last` follow. The same code merges the chunks
//! of a block, the blocks of a portion and the portions of an answer.

use kernels::{
    Selection,
    aggregate::{self, Function, PartialColumns},
    group,
};
use kvalue::{Type, Value};
use sg::Failure;

use crate::{bind::BoundAggregate, chunk::Chunk, failure, schema::ColumnKind};

/// States of the groups of one cut.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) keys: Vec<Value>,
    pub(crate) states: Vec<PartialColumns>,
}

/// Parts are merged when this many have come together, and have as many groups as what was merged before: a merge
/// writes all groups anew.
const MERGE_AT: usize = 32;
/// Parts are merged in any case when there are so many.
const MOST_PARTS: usize = 1024;

/// Collects the parts of a portion.
pub(crate) struct Groups<'a> {
    keys: &'a [(kvalue::Sym, ColumnKind)],
    aggregates: &'a [BoundAggregate],
    functions: Vec<Function>,
    parts: Vec<Part>,
}

impl<'a> Groups<'a> {
    pub(crate) fn new(keys: &'a [(kvalue::Sym, ColumnKind)], aggregates: &'a [BoundAggregate]) -> Self {
        let functions = aggregates.iter().map(|a| a.function).collect();
        Groups { keys, aggregates, functions, parts: Vec::new() }
    }

    /// Adds the selected rows of a chunk.
    pub(crate) fn add(&mut self, chunk: &Chunk<'_>, selection: &Selection) -> Result<(), Failure> {
        let keys = self.keys.iter().map(|(name, _)| chunk.column(name)).collect::<Result<Vec<_>, _>>()?;
        self.push(&keys, selection, |name| chunk.column(name))?;
        if self.is_merge_due() {
            let parts = std::mem::take(&mut self.parts);
            self.parts.push(merge(parts, &self.functions)?);
        }
        Ok(())
    }

    fn is_merge_due(&self) -> bool {
        let [merged, new @ ..] = &self.parts[..] else { return false };
        let groups = |part: &Part| part.keys.first().map_or(1, Value::count);
        self.parts.len() >= MOST_PARTS
            || self.parts.len() >= MERGE_AT && new.iter().map(groups).sum::<usize>() >= groups(merged)
    }

    fn push(
        &mut self,
        keys: &[Value],
        selection: &Selection,
        column: impl Fn(&kvalue::Sym) -> Result<Value, Failure>,
    ) -> Result<(), Failure> {
        let groups = group::group(keys, selection).map_err(failure::kernel)?;
        let mut states = Vec::with_capacity(self.aggregates.len());
        for a in self.aggregates {
            let columns = a.columns.iter().map(&column).collect::<Result<Vec<_>, _>>()?;
            let columns: Vec<&Value> = columns.iter().collect();
            states.push(
                aggregate::accumulate(a.function, &columns, &groups, selection).map_err(failure::kernel)?,
            );
        }
        self.parts.push(Part { keys: groups.keys(keys), states });
        Ok(())
    }

    /// The states of all groups. Without rows: no group, or the one empty group where nothing is grouped by.
    pub(crate) fn finish(mut self) -> Result<Part, Failure> {
        if self.parts.is_empty() {
            let keys: Vec<Value> = self.keys.iter().map(|(_, kind)| kind.empty()).collect();
            let inputs: Vec<(kvalue::Sym, Option<Type>)> = self
                .aggregates
                .iter()
                .flat_map(|a| a.columns.iter().cloned().zip(a.inputs.iter().copied()))
                .collect();
            self.push(&keys, &Selection::none(), |name| {
                let ty = inputs.iter().find(|(n, _)| n == name).and_then(|(_, ty)| *ty);
                Ok(kernels::take::nulls(ty, 0))
            })?;
        }
        match self.parts.len() {
            1 => Ok(self.parts.remove(0)),
            _ => merge(self.parts, &self.functions),
        }
    }
}

/// The parts of several cuts as one, in their order.
pub(crate) fn merge(parts: Vec<Part>, functions: &[Function]) -> Result<Part, Failure> {
    let keys: Vec<Vec<Value>> = parts.iter().map(|p| p.keys.clone()).collect();
    let (keys, mappings) = group::merge_keys(&keys).map_err(failure::kernel)?;
    let groups = keys.first().map_or(1, Value::count);
    let mut states = Vec::with_capacity(functions.len());
    for (i, function) in functions.iter().enumerate() {
        let of_parts: Option<Vec<(PartialColumns, Vec<u32>)>> =
            parts.iter().zip(&mappings).map(|(p, m)| Some((p.states.get(i)?.clone(), m.clone()))).collect();
        let of_parts = of_parts.ok_or_else(|| failure::malformed("a part lacks an aggregate's state"))?;
        states.push(aggregate::merge(*function, &of_parts, groups).map_err(failure::kernel)?);
    }
    Ok(Part { keys, states })
}
