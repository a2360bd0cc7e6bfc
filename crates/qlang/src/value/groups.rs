//! Rows by equal keys: the number of its group for each row. By table where the values span little, by hash
//! otherwise; several keys are combined two at a time. Floats group by value: nulls together, both zeros together.

use super::core::Value;

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
