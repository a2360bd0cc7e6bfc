//! Rows by equal keys: the number of its group for each row. By table where the values span little, by hash
//! otherwise; several keys are combined two at a time. Floats group by value: nulls together, both zeros together.

use super::{
    Sym,
    core::{Data, Value, Vector},
};

/// Which group each row is in.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    /// group of each row; groups are numbered by first appearance
    pub ids: Vec<u32>,
    /// the first row of each group
    pub firsts: Vec<u32>,
}

impl Groups {
    /// Number of groups.
    pub fn len(&self) -> usize {
        self.firsts.len()
    }

    /// True where there is no group.
    pub fn is_empty(&self) -> bool {
        self.firsts.is_empty()
    }

    /// Groups the rows of these key columns, all of `n` rows. No column at all makes one group.
    pub fn of(columns: &[&Value], n: usize) -> Groups {
        let mut all = columns.iter().map(|c| Groups::of_column(c));
        let Some(first) = all.next() else {
            return Groups { ids: vec![0; n], firsts: if n > 0 { vec![0] } else { Vec::new() } };
        };
        all.fold(first, Groups::combine)
    }

    /// Groups the items of one column.
    pub fn of_column(column: &Value) -> Groups {
        match column {
            Value::Table(t) => Groups::of(&t.columns.iter().collect::<Vec<_>>(), t.len()),
            other => super::classes::classes(other),
        }
    }

    /// Groups by both keys: those of two columns of the same rows.
    pub fn combine(self, b: Groups) -> Groups {
        let a = self;
        let (m, n) = (a.len() as u64, b.len() as u64);
        if n <= 1 {
            return a;
        }
        if m <= 1 {
            return b;
        }
        let codes: Vec<i64> =
            a.ids.iter().zip(&b.ids).map(|(&x, &y)| (u64::from(x) * n + u64::from(y)) as i64).collect();
        super::classes::classify(&codes, true)
    }

    /// Groups the rows of these key columns, all of `n` rows, with the groups numbered in the order of their keys.
    pub fn ascending(columns: &[&Value], n: usize) -> Groups {
        let mut all = columns.iter().map(|c| Groups::ascending_column(c));
        let Some(first) = all.next() else { return Groups::of(columns, n) };
        all.fold(first, |a, b| a.combine_ascending(&b))
    }

    fn ascending_column(column: &Value) -> Groups {
        if let Value::Vector(v) = column
            && let Some(groups) = ascending_dense(v)
        {
            return groups;
        }
        let mut groups = Groups::of_column(column);
        let keys = column.gather(&groups.firsts);
        groups.renumber(&super::sorting::sort_rows(&[(&keys, false)], groups.len()));
        groups
    }

    /// Numbers of pairs of groups ascend where those of both sides do.
    fn combine_ascending(self, b: &Groups) -> Groups {
        let (m, n) = (self.len() as u64, b.len() as u64);
        if n <= 1 {
            return self;
        }
        let rows = self.ids.len();
        let pairs = self.ids.iter().zip(&b.ids).map(|(&x, &y)| u64::from(x) * n + u64::from(y));
        if m * n <= (rows as u64 * 2).max(1 << 16) {
            let codes: Vec<u32> = pairs.map(|c| c as u32).collect();
            return dense(&codes, |c| c as usize, (m * n) as usize, |codes| codes.sort_unstable());
        }
        let codes: Vec<i64> = pairs.map(|c| c as i64).collect();
        let mut groups = super::classes::classify(&codes, true);
        let mut order: Vec<u32> = (0..groups.len() as u32).collect();
        order.sort_unstable_by_key(|&k| codes[groups.firsts[k as usize] as usize]);
        groups.renumber(&order);
        groups
    }

    /// The rows in the order of their groups, ascending in each, and where each group begins, with the end.
    pub fn sorted_rows(&self) -> (Vec<u32>, Vec<u32>) {
        let mut starts = vec![0u32; self.len() + 1];
        for &id in &self.ids {
            starts[id as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut rows = vec![0u32; self.ids.len()];
        for (row, &id) in self.ids.iter().enumerate() {
            let place = &mut next[id as usize];
            rows[*place as usize] = row as u32;
            *place += 1;
        }
        (rows, starts)
    }

    /// Numbers the groups anew: `order[k]` is the present number of the group that becomes number `k`.
    pub fn renumber(&mut self, order: &[u32]) {
        if order.iter().enumerate().all(|(i, &o)| i == o as usize) {
            return;
        }
        let mut new = vec![0u32; order.len()];
        for (k, &old) in order.iter().enumerate() {
            new[old as usize] = k as u32;
        }
        self.ids.iter_mut().for_each(|id| *id = new[*id as usize]);
        self.firsts = order.iter().map(|&old| self.firsts[old as usize]).collect();
    }
}

/// Groups of items whose codes are below `span`; `sort` puts codes in the order of the keys.
fn dense<T: Copy>(
    items: &[T],
    code: impl Fn(T) -> usize,
    span: usize,
    sort: impl FnOnce(&mut Vec<usize>),
) -> Groups {
    const UNSEEN: u32 = u32::MAX;
    let mut table = vec![UNSEEN; span];
    let mut present = Vec::new();
    for (row, &x) in items.iter().enumerate() {
        let c = code(x);
        if table[c] == UNSEEN {
            table[c] = row as u32;
            present.push(c);
        }
    }
    sort(&mut present);
    let firsts: Vec<u32> = present.iter().map(|&c| table[c]).collect();
    present.iter().enumerate().for_each(|(k, &c)| table[c] = k as u32);
    Groups { ids: items.iter().map(|&x| table[code(x)]).collect(), firsts }
}

/// Groups of symbols and of integers that span little, numbered in their order.
fn ascending_dense(v: &Vector) -> Option<Groups> {
    let limit = (v.len() as u64 * 2).max(1 << 16);
    fn span(low: i64, high: i64, limit: u64) -> Option<usize> {
        let width = high.abs_diff(low).checked_add(1)?;
        usize::try_from(width).ok().filter(|_| width <= limit)
    }
    match &v.data {
        Data::Sym(items) => {
            let (low, high) = items.iter().fold((u32::MAX, 0), |(l, h), s| (l.min(s.id()), h.max(s.id())));
            if low > high {
                return None;
            }
            let width = span(i64::from(low), i64::from(high), limit)?;
            let by_name = |codes: &mut Vec<usize>| {
                // The symbol of a code is that of any row with it.
                let mut symbols: Vec<Option<Sym>> = vec![None; width];
                let mut missing = codes.len();
                for s in items.iter() {
                    let slot = &mut symbols[(s.id() - low) as usize];
                    if slot.is_none() {
                        *slot = Some(*s);
                        missing -= 1;
                        if missing == 0 {
                            break;
                        }
                    }
                }
                codes.sort_by_key(|&c| symbols[c].unwrap_or(Sym::NULL).bytes());
            };
            Some(dense(items, |s: Sym| (s.id() - low) as usize, width, by_name))
        }
        Data::I64(items) => {
            let (low, high) = items.iter().fold((i64::MAX, i64::MIN), |(l, h), &x| (l.min(x), h.max(x)));
            if low > high {
                return None;
            }
            let width = span(low, high, limit)?;
            Some(dense(items, |x: i64| x.wrapping_sub(low) as usize, width, |c| c.sort_unstable()))
        }
        Data::I32(items) => {
            let (low, high) = items.iter().fold((i32::MAX, i32::MIN), |(l, h), &x| (l.min(x), h.max(x)));
            if low > high {
                return None;
            }
            let width = span(i64::from(low), i64::from(high), limit)?;
            let code = |x: i32| (i64::from(x) - i64::from(low)) as usize;
            Some(dense(items, code, width, |c| c.sort_unstable()))
        }
        _ => None,
    }
}
