//! Grouping rows by equal keys.
//!
//! Groups are numbered by first appearance, as q's `group` does. Keys become dense numbers, by table where the
//! values span little (enumerated symbols, small integers), by hash otherwise; several keys are combined two at a
//! time. Where equal keys are neighbours (parted or sorted data, whether or not an attribute says so) the
//! assignment is kept as runs of rows, over which aggregates run in tight loops. Floats group by value: nulls
//! together, both zeros together, no comparison tolerance.

use std::{borrow::Cow, ops::Range};

use kvalue::{Value, Vector};

use crate::{
    KernelError, Selection,
    ids::{self, Ids},
    selection::MAX_ROWS,
    sort,
    take::{concat, take, take_rows},
};

/// Which group each selected row is in.
#[derive(Debug, Clone)]
pub struct Groups {
    /// the first row of each group; empty where there is no group
    pub first_row: Vec<u32>,
    /// rows in each group
    pub counts: Vec<u64>,
    /// the group of each row
    pub assignment: Assignment,
}

/// How rows are assigned to groups.
#[derive(Debug, Clone)]
pub enum Assignment {
    /// all rows are in group 0
    Single,
    /// runs of neighbouring rows of one group, ascending; together they are the selection
    Runs(Vec<(Range<usize>, u32)>),
    /// the group of each selected row, in the order of the selection
    Each(Vec<u32>),
}

/// Average rows a run must have for [`Assignment::Runs`] to pay.
const WORTHWHILE_RUN: usize = 8;
/// Rows looked at before runs are searched in all of them.
const SAMPLE: usize = 4096;

impl Groups {
    /// One group of all selected rows: what an aggregate without `by` works on. The group exists even where no
    /// row is selected; its `first_row` is then [`NO_ROW`](crate::selection::NO_ROW).
    pub fn single(sel: &Selection) -> Self {
        let first = sel.first_row().map_or(crate::selection::NO_ROW, |r| r as u32);
        Groups { first_row: vec![first], counts: vec![sel.len() as u64], assignment: Assignment::Single }
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.first_row.len()
    }

    /// True where there is no group.
    pub fn is_empty(&self) -> bool {
        self.first_row.is_empty()
    }

    /// The group of each selected row, in the order of the selection, whatever the assignment.
    pub fn ids(&self, sel: &Selection) -> Cow<'_, [u32]> {
        match &self.assignment {
            Assignment::Single => Cow::Owned(vec![0; sel.len()]),
            Assignment::Each(ids) => Cow::Borrowed(ids),
            Assignment::Runs(runs) => {
                let mut ids = Vec::with_capacity(sel.len());
                for (run, group) in runs {
                    ids.extend(std::iter::repeat_n(*group, run.len()));
                }
                Cow::Owned(ids)
            }
        }
    }

    /// The selected rows of each group, ascending.
    pub fn rows(&self, sel: &Selection) -> Vec<Vec<u32>> {
        let mut rows: Vec<Vec<u32>> = self.counts.iter().map(|&n| Vec::with_capacity(n as usize)).collect();
        for (row, &group) in sel.iter().zip(self.ids(sel).iter()) {
            rows[group as usize].push(row as u32);
        }
        rows
    }

    /// The key columns' values of each group, in the order of the groups.
    pub fn keys(&self, keys: &[Value]) -> Vec<Value> {
        keys.iter().map(|k| take_rows(k, &self.first_row)).collect()
    }

    fn from_ids(ids: Vec<u32>, n: usize, sel: &Selection) -> Self {
        let mut counts = vec![0u64; n];
        let mut first_row = Vec::with_capacity(n);
        let mut count = |row: u32, group: u32| {
            // Groups are numbered by first appearance: a new one is the next number.
            if group as usize == first_row.len() {
                first_row.push(row);
            }
            counts[group as usize] += 1;
        };
        match sel {
            Selection::Rows(rows) => rows.iter().zip(&ids).for_each(|(&row, &group)| count(row, group)),
            _ => {
                let mut rest = &ids[..];
                for run in sel.runs() {
                    let (here, after) = rest.split_at(run.len());
                    here.iter().zip(run.start as u32..).for_each(|(&group, row)| count(row, group));
                    rest = after;
                }
            }
        }
        Groups { first_row, counts, assignment: Assignment::Each(ids) }
    }
}

/// Groups the selected rows by equal keys. No key at all makes one group. `'length` where a key column is
/// shorter than the selection.
pub fn group(keys: &[Value], sel: &Selection) -> Result<Groups, KernelError> {
    if let Some(short) = keys.iter().find(|k| k.count() < sel.end()) {
        return Err(KernelError::Length {
            what: "group column".into(),
            got: short.count(),
            expected: sel.end(),
        });
    }
    if sel.end() > MAX_ROWS {
        return Err(KernelError::Rows(sel.end()));
    }
    if keys.is_empty() {
        return Ok(Groups::single(sel));
    }
    if let Some(runs) = runs(keys, sel) {
        return Ok(group_runs(keys, runs));
    }
    let ids = combined_ids(keys, sel);
    Ok(Groups::from_ids(ids.ids, ids.count, sel))
}

fn combined_ids(keys: &[Value], sel: &Selection) -> Ids {
    let mut all = keys.iter().map(|k| ids::of_column(k, sel));
    let first = all.next().unwrap_or(Ids { ids: vec![0; sel.len()], count: 1 });
    all.fold(first, ids::combine)
}

/// Groups runs of equal rows: each run's first row stands for it.
fn group_runs(keys: &[Value], runs: Vec<Range<usize>>) -> Groups {
    let starts = Selection::Rows(runs.iter().map(|r| r.start as u32).collect());
    let Ids { ids, count } = combined_ids(keys, &starts);
    let mut groups = Groups {
        first_row: Vec::with_capacity(count),
        counts: vec![0; count],
        assignment: Assignment::Single,
    };
    for (run, &group) in runs.iter().zip(&ids) {
        if group as usize == groups.first_row.len() {
            groups.first_row.push(run.start as u32);
        }
        groups.counts[group as usize] += run.len() as u64;
    }
    groups.assignment = Assignment::Runs(runs.into_iter().zip(ids).collect());
    groups
}

/// The selection as runs of rows whose keys are all equal, where that is worth it.
fn runs(keys: &[Value], sel: &Selection) -> Option<Vec<Range<usize>>> {
    if matches!(sel, Selection::Rows(_)) || sel.len() < 2 * WORTHWHILE_RUN {
        return None;
    }
    let vectors: Vec<&Vector> = keys.iter().map(Value::as_vector).collect::<Option<_>>()?;
    let sample = sel.runs().next()?;
    let sample = sample.start..sample.end.min(sample.start + SAMPLE);
    let changes: usize = vectors.iter().map(|v| ids::changes(v, sample.clone()).len()).sum();
    if (changes + 1) * WORTHWHILE_RUN > sample.len() {
        return None;
    }
    let limit = sel.len() / WORTHWHILE_RUN;
    let mut out: Vec<Range<usize>> = Vec::new();
    for range in sel.runs() {
        let mut cuts: Vec<usize> = Vec::new();
        for v in &vectors {
            cuts.extend(ids::changes(v, range.clone()));
        }
        if vectors.len() > 1 {
            cuts.sort_unstable();
            cuts.dedup();
        }
        let mut from = range.start;
        for cut in cuts.into_iter().chain([range.end]) {
            out.push(from..cut);
            from = cut;
        }
        if out.len() > limit {
            return None;
        }
    }
    Some(out)
}

/// The permutation that puts the groups in ascending order of their keys, as `by` does.
pub fn order_groups(keys: &[Value], groups: &Groups) -> Result<Vec<u32>, KernelError> {
    if keys.is_empty() {
        return Ok((0..groups.len() as u32).collect());
    }
    sort::iasc(&groups.keys(keys), &[])
}

/// Joins the groups of several parts: the key columns of all groups, numbered by first appearance, and for each
/// part the number its groups have among them. `parts[i]` are the key columns of part `i`, one row a group.
pub fn merge_keys(parts: &[Vec<Value>]) -> Result<(Vec<Value>, Vec<Vec<u32>>), KernelError> {
    let width = parts.first().map_or(0, Vec::len);
    if let Some(odd) = parts.iter().find(|p| p.len() != width) {
        return Err(KernelError::Length {
            what: "key columns of a part".into(),
            got: odd.len(),
            expected: width,
        });
    }
    if width == 0 {
        return Ok((Vec::new(), vec![vec![0]; parts.len()]));
    }
    let mut columns = Vec::with_capacity(width);
    for i in 0..width {
        let column: Vec<Value> = parts.iter().map(|p| p[i].clone()).collect();
        columns.push(concat(&column)?);
    }
    let sel = Selection::All(columns[0].count());
    if let Some(odd) = columns.iter().find(|c| c.count() != sel.len()) {
        return Err(KernelError::Length { what: "key column".into(), got: odd.count(), expected: sel.len() });
    }
    let groups = group(&columns, &sel)?;
    let ids = groups.ids(&sel);
    let mut mappings = Vec::with_capacity(parts.len());
    let mut from = 0;
    for part in parts {
        let to = (from + part[0].count()).min(ids.len());
        mappings.push(ids[from..to].to_vec());
        from = to;
    }
    Ok((groups.keys(&columns), mappings))
}

/// The distinct items of a column in order of first appearance.
pub fn distinct(column: &Value, sel: &Selection) -> Result<Value, KernelError> {
    let groups = group(std::slice::from_ref(column), sel)?;
    Ok(take(column, &Selection::Rows(groups.first_row)))
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
