//! Joining the partial states of several cuts of the data.
//!
//! The states of all parts are laid end to end, in the order of the portions, and each row is folded into the
//! group it belongs to: `first` and `last` follow that order, nothing else depends on it.

use kvalue::{Type, Value, Vector};

use super::{
    accumulate::{maximums, minimums},
    drive::with_numbers,
    function::{Function, PartialColumns},
    moments::{columns_of_one, columns_of_two, difference},
    state::{self, State, Sums},
    sums::{FloatSum, Moments, PairMoments, Product},
};
use crate::{
    KernelError, Selection, group,
    group::{Assignment, Groups},
    selection::NO_ROW,
    take::{concat, take_rows},
};

/// One state for `groups` groups from the states of parts. Each part brings, for every group of its own, the
/// number that group has in the result (see [`crate::group::merge_keys`]). Parts come in the order of their
/// portions. A state that is not what the aggregate writes is an error that names the column.
pub fn merge(
    f: Function,
    parts: &[(PartialColumns, Vec<u32>)],
    groups: usize,
) -> Result<PartialColumns, KernelError> {
    let mut ids: Vec<u32> = Vec::new();
    for (state, mapping) in parts {
        let state = State::new(f, state)?;
        if state.len() != mapping.len() || mapping.iter().any(|&g| g as usize >= groups) {
            return Err(KernelError::State {
                function: f.name(),
                problem: format!(
                    "its {} groups are mapped by {} numbers below {groups}",
                    state.len(),
                    mapping.len()
                ),
            });
        }
        ids.extend_from_slice(mapping);
    }
    let mut joined: PartialColumns = Vec::with_capacity(f.state().len());
    for (i, name) in f.state().iter().enumerate() {
        let parts: Vec<Value> = parts.iter().map(|(state, _)| state[i].1.clone()).collect();
        joined.push((name, concat(&parts)?));
    }
    let values = fold(f, &State::new(f, &joined)?, &ids, groups)?;
    Ok(f.state().iter().copied().zip(values).collect())
}

fn fold(f: Function, state: &State<'_>, ids: &[u32], groups: usize) -> Result<Vec<Value>, KernelError> {
    Ok(match f {
        Function::Count => vec![counts(state, 0, ids, groups)?],
        Function::All => vec![truths(state, ids, vec![true; groups], |a, x| a & x)?],
        Function::Any => vec![truths(state, ids, vec![false; groups], |a, x| a | x)?],
        Function::Min | Function::Max => vec![extremes(f, state, ids, groups)],
        Function::First => first_or_last(state, ids, groups, |taken| taken == NO_ROW)?,
        Function::Last => first_or_last(state, ids, groups, |_| true)?,
        Function::Distinct => vec![distinct(state, ids, groups)?],
        Function::Sum | Function::Wsum => sums(state, 0, ids, groups)?,
        Function::Avg => {
            let mut columns = sums(state, 0, ids, groups)?;
            columns.push(counts(state, 2, ids, groups)?);
            columns
        }
        Function::Wavg => {
            let mut columns = sums(state, 0, ids, groups)?;
            columns.extend(sums(state, 2, ids, groups)?);
            columns
        }
        Function::Prd => products(state, ids, groups)?,
        Function::Var | Function::Svar | Function::Dev | Function::Sdev => moments(state, ids, groups)?,
        Function::Cov | Function::Scov | Function::Cor => pair_moments(state, ids, groups)?,
    })
}

fn counts(state: &State<'_>, column: usize, ids: &[u32], groups: usize) -> Result<Value, KernelError> {
    let mut all = vec![0i64; groups];
    for (n, &g) in state.longs(column)?.iter().zip(ids) {
        all[g as usize] = all[g as usize].wrapping_add(n);
    }
    Ok(Value::from(Vector::longs(all)))
}

fn truths(
    state: &State<'_>,
    ids: &[u32],
    mut all: Vec<bool>,
    join: impl Fn(bool, bool) -> bool,
) -> Result<Value, KernelError> {
    for (x, &g) in state.booleans(0)?.iter().zip(ids) {
        all[g as usize] = join(all[g as usize], x != 0);
    }
    Ok(Value::from(Vector::booleans(all)))
}

fn extremes(f: Function, state: &State<'_>, ids: &[u32], groups: usize) -> Value {
    let Some(v) = state.column(0).as_vector() else { return Value::list([]) };
    let ty = v.ty();
    let sel = Selection::All(ids.len());
    let by_id = Groups {
        first_row: vec![NO_ROW; groups],
        counts: vec![0; groups],
        assignment: Assignment::Each(ids.to_vec()),
    };
    let is_min = f == Function::Min;
    if ty == Type::Boolean {
        let mut all = vec![is_min; groups];
        for (x, &g) in v.iter().zip(ids) {
            let x = x == kvalue::Atom::Boolean(true);
            let slot = &mut all[g as usize];
            *slot = if is_min { *slot & x } else { *slot | x };
        }
        return Value::from(Vector::booleans(all));
    }
    let out = if is_min {
        with_numbers!(v, |b| whole Vector::new(ty, minimums(&b, &by_id, &sel)),
            float Vector::new(ty, minimums(&b, &by_id, &sel)), else Vector::empty(ty))
    } else {
        with_numbers!(v, |b| whole Vector::new(ty, maximums(&b, &by_id, &sel)),
            float Vector::new(ty, maximums(&b, &by_id, &sel)), else Vector::empty(ty))
    };
    Value::from(out)
}

fn first_or_last(
    state: &State<'_>,
    ids: &[u32],
    groups: usize,
    replaces: impl Fn(u32) -> bool,
) -> Result<Vec<Value>, KernelError> {
    let mut rows = vec![NO_ROW; groups];
    for (row, (n, &g)) in state.longs(1)?.iter().zip(ids).enumerate() {
        let taken = &mut rows[g as usize];
        if n > 0 && replaces(*taken) {
            *taken = row as u32;
        }
    }
    Ok(vec![take_rows(state.column(0), &rows), counts(state, 1, ids, groups)?])
}

fn distinct(state: &State<'_>, ids: &[u32], groups: usize) -> Result<Value, KernelError> {
    let mut lists: Vec<Vec<Value>> = vec![Vec::new(); groups];
    for (row, &g) in ids.iter().enumerate() {
        // A list of one-letter strings may have come back as a char vector: its items are atoms.
        let item = match state.column(0).index(row) {
            Value::Atom(a) => Value::from(Vector::repeat(&a, 1)),
            list => list,
        };
        lists[g as usize].push(item);
    }
    let mut out = Vec::with_capacity(groups);
    for lists in lists {
        let all = if lists.is_empty() { Value::list([]) } else { concat(&lists)? };
        let rows = Selection::All(all.count());
        out.push(group::distinct(&all, &rows)?);
    }
    Ok(Value::list(out))
}

fn sums(state: &State<'_>, column: usize, ids: &[u32], groups: usize) -> Result<Vec<Value>, KernelError> {
    let merged = match state.sums(column)? {
        Sums::Whole(sums) => {
            let mut all = vec![0i128; groups];
            for (sum, &g) in sums.iter().zip(ids) {
                all[g as usize] = all[g as usize].wrapping_add(*sum);
            }
            Sums::Whole(all)
        }
        Sums::Float(sums) => {
            let mut all = vec![FloatSum::default(); groups];
            for (sum, &g) in sums.iter().zip(ids) {
                all[g as usize].merge(*sum);
            }
            Sums::Float(all)
        }
    };
    Ok(merged.columns())
}

fn products(state: &State<'_>, ids: &[u32], groups: usize) -> Result<Vec<Value>, KernelError> {
    if state.is_whole(0) {
        let mut all = vec![1i64; groups];
        for (x, &g) in state.longs(0)?.iter().zip(ids) {
            all[g as usize] = all[g as usize].wrapping_mul(x);
        }
        return Ok(vec![Value::from(Vector::longs(all)), Value::from(Vector::longs(vec![0; groups]))]);
    }
    let mut all = vec![Product::default(); groups];
    for ((mantissa, exponent), &g) in state.floats(0)?.iter().zip(state.longs(1)?.iter()).zip(ids) {
        all[g as usize].merge(Product { mantissa, exponent });
    }
    Ok(state::products(&all))
}

/// Origins in either kind of number, and their differences.
enum Origins {
    Whole(Vec<i64>),
    Float(Vec<f64>),
}

impl Origins {
    fn read(state: &State<'_>, column: usize) -> Result<Origins, KernelError> {
        if state.is_whole(column) {
            return Ok(Origins::Whole(state.longs(column)?.to_vec()));
        }
        Ok(Origins::Float(state.floats(column)?.to_vec()))
    }

    /// How far the origin of row `a` lies above that of row `b`.
    fn shift(&self, a: u32, b: u32) -> f64 {
        match self {
            Origins::Whole(o) => difference(o[a as usize], o[b as usize]),
            Origins::Float(o) => o[a as usize] - o[b as usize],
        }
    }

    /// The origins of the rows that were kept; 0 for a group without rows.
    fn kept(&self, rows: &[u32]) -> Value {
        match self {
            Origins::Whole(o) => Value::from(Vector::longs(
                rows.iter().map(|&r| o.get(r as usize).copied().unwrap_or_default()).collect(),
            )),
            Origins::Float(o) => Value::from(Vector::floats(
                rows.iter().map(|&r| o.get(r as usize).copied().unwrap_or_default()).collect(),
            )),
        }
    }
}

fn moments(state: &State<'_>, ids: &[u32], groups: usize) -> Result<Vec<Value>, KernelError> {
    let origins = Origins::read(state, 1)?;
    let (n, mean, m2) = (state.longs(0)?, state.floats(2)?, state.floats(3)?);
    let mut all = vec![Moments::default(); groups];
    let mut origin_row = vec![NO_ROW; groups];
    for (row, &g) in ids.iter().enumerate() {
        let here = Moments { n: n.get(row), mean: mean.get(row), m2: m2.get(row) };
        let (acc, origin) = (&mut all[g as usize], &mut origin_row[g as usize]);
        if here.n <= 0 {
            continue;
        }
        if *origin == NO_ROW {
            (*acc, *origin) = (here, row as u32);
        } else {
            acc.merge(here, origins.shift(row as u32, *origin));
        }
    }
    let mut columns = columns_of_one(&all);
    columns.insert(1, origins.kept(&origin_row));
    Ok(columns)
}

fn pair_moments(state: &State<'_>, ids: &[u32], groups: usize) -> Result<Vec<Value>, KernelError> {
    let (x_origins, y_origins) = (Origins::read(state, 1)?, Origins::read(state, 3)?);
    let n = state.longs(0)?;
    let (mx, my) = (state.floats(2)?, state.floats(4)?);
    let (mxx, myy, mxy) = (state.floats(5)?, state.floats(6)?, state.floats(7)?);
    let mut all = vec![PairMoments::default(); groups];
    let mut origin_row = vec![NO_ROW; groups];
    for (row, &g) in ids.iter().enumerate() {
        let here = PairMoments {
            n: n.get(row),
            mean: [mx.get(row), my.get(row)],
            m2: [mxx.get(row), myy.get(row)],
            m11: mxy.get(row),
        };
        let (acc, origin) = (&mut all[g as usize], &mut origin_row[g as usize]);
        if here.n <= 0 {
            continue;
        }
        if *origin == NO_ROW {
            (*acc, *origin) = (here, row as u32);
        } else {
            let row = row as u32;
            acc.merge(here, [x_origins.shift(row, *origin), y_origins.shift(row, *origin)]);
        }
    }
    Ok(columns_of_two(&all, x_origins.kept(&origin_row), y_origins.kept(&origin_row)))
}
