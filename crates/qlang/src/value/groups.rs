//! Rows by equal keys: the number of its group for each row. By table where the values span little, by hash
//! otherwise; several keys are combined two at a time. Floats group by value: nulls together, both zeros together.

use ahash::RandomState;
use hashbrown::HashTable;
use kvalue::types::{NULL_FLOAT, NULL_REAL};

use super::{
    Sym,
    core::{Data, Value},
};

/// Which group each row is in.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    /// group of each row; groups are numbered by first appearance
    pub ids: Vec<u32>,
    /// the first row of each group
    pub firsts: Vec<u32>,
}

const UNSEEN: u32 = u32::MAX;

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
            Value::Vector(v) => {
                match &v.data {
                    Data::Bool(items) => dense(items.iter().map(|&b| usize::from(b)), items.len(), 2),
                    Data::U8(items) => dense(items.iter().map(|&b| usize::from(b)), items.len(), 256),
                    Data::I16(items) => {
                        dense(items.iter().map(|&x| (i32::from(x) + 32768) as usize), items.len(), 65536)
                    }
                    Data::I32(items) => ints(items, |x| i64::from(*x)),
                    Data::I64(items) => ints(items, |x| *x),
                    Data::Enum(_, codes) => ints(codes, |x| *x),
                    Data::Sym(items) => ints(items, |x: &Sym| i64::from(x.id())),
                    Data::F32(items) => hashed(items.iter().map(|&x| {
                        u64::from(if x.is_nan() { NULL_REAL.to_bits() } else { (x + 0.0).to_bits() })
                    })),
                    Data::F64(items) => hashed(
                        items
                            .iter()
                            .map(|&x| if x.is_nan() { NULL_FLOAT.to_bits() } else { (x + 0.0).to_bits() }),
                    ),
                    Data::Guid(items) => keyed(items.iter().copied()),
                }
            }
            Value::Table(t) => Groups::of(&t.columns.iter().collect::<Vec<_>>(), t.len()),
            other => keyed(other.items().into_iter().map(|item| {
                let mut bytes = Vec::new();
                encode(&item, &mut bytes, 0);
                bytes
            })),
        }
    }

    /// Groups by both keys.
    fn combine(a: Groups, b: Groups) -> Groups {
        let (m, n) = (a.len() as u64, b.len() as u64);
        if n <= 1 {
            return a;
        }
        if m <= 1 {
            return b;
        }
        let rows = a.ids.len();
        let codes = a.ids.iter().zip(&b.ids).map(|(&x, &y)| u64::from(x) * n + u64::from(y));
        if m * n <= (rows as u64 * 2).max(1 << 16) {
            return dense(codes.map(|c| c as usize), rows, (m * n) as usize);
        }
        hashed(codes)
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

/// Codes below `span`, each looked up in a table.
fn dense(codes: impl Iterator<Item = usize>, n: usize, span: usize) -> Groups {
    let mut table = vec![UNSEEN; span];
    let mut firsts = Vec::new();
    let mut ids = Vec::with_capacity(n);
    for (row, code) in codes.enumerate() {
        let slot = &mut table[code];
        if *slot == UNSEEN {
            *slot = firsts.len() as u32;
            firsts.push(row as u32);
        }
        ids.push(*slot);
    }
    Groups { ids, firsts }
}

fn ints<T>(items: &[T], number: impl Fn(&T) -> i64 + Copy) -> Groups {
    let Some(first) = items.first().map(number) else { return Groups::default() };
    let (low, high) = items.iter().fold((first, first), |(l, h), x| (l.min(number(x)), h.max(number(x))));
    let span = high.abs_diff(low);
    if span < (items.len() as u64 * 2).max(1 << 16) {
        let codes = items.iter().map(|x| number(x).wrapping_sub(low) as usize);
        return dense(codes, items.len(), span as usize + 1);
    }
    hashed(items.iter().map(|x| number(x) as u64))
}

/// A cheap mix of all bits; enough for open addressing with control bytes.
#[inline]
fn mix(x: u64) -> u64 {
    let m = u128::from(x ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xd6e8_feb8_6659_fd93_a5a3_1d2b_8f6e_4c27);
    (m as u64) ^ ((m >> 64) as u64)
}

fn hashed(keys: impl Iterator<Item = u64>) -> Groups {
    let mut table: HashTable<(u64, u32)> = HashTable::new();
    let mut firsts: Vec<u32> = Vec::new();
    let mut ids = Vec::with_capacity(keys.size_hint().0);
    let mut last: Option<(u64, u32)> = None;
    for (row, key) in keys.enumerate() {
        // Equal keys are often neighbours.
        if let Some((k, id)) = last
            && k == key
        {
            ids.push(id);
            continue;
        }
        let next = firsts.len() as u32;
        let entry = table.entry(mix(key), |e| e.0 == key, |e| mix(e.0)).or_insert((key, next));
        let id = entry.get().1;
        if id == next {
            firsts.push(row as u32);
        }
        ids.push(id);
        last = Some((key, id));
    }
    Groups { ids, firsts }
}

fn keyed<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> Groups {
    let mut table: hashbrown::HashMap<K, u32, RandomState> = hashbrown::HashMap::default();
    let mut firsts: Vec<u32> = Vec::new();
    let mut ids = Vec::new();
    for (row, key) in keys.enumerate() {
        let next = firsts.len() as u32;
        let id = *table.entry(key).or_insert(next);
        if id == next {
            firsts.push(row as u32);
        }
        ids.push(id);
    }
    Groups { ids, firsts }
}

/// Bytes that are equal for values that match, and for no others: type and content.
pub fn encode(value: &Value, out: &mut Vec<u8>, depth: usize) {
    if depth > 200 {
        return;
    }
    out.push(value.number() as u8);
    match value {
        Value::Enum(e) => encode(&e.value(), out, depth + 1),
        Value::Vector(v) => {
            out.extend_from_slice(&(v.len() as u64).to_le_bytes());
            match &v.data {
                Data::U8(items) => out.extend_from_slice(items),
                Data::Bool(items) => out.extend(items.iter().map(|&b| u8::from(b))),
                Data::I64(items) => items.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
                _ => (0..v.len()).for_each(|i| encode(&v.at(i), out, depth + 1)),
            }
        }
        Value::List(l) => {
            out.extend_from_slice(&(l.len() as u64).to_le_bytes());
            l.iter().for_each(|item| encode(item, out, depth + 1));
        }
        Value::Dict(d) => {
            encode(&d.keys, out, depth + 1);
            encode(&d.values, out, depth + 1);
        }
        Value::Table(t) => {
            t.names.iter().for_each(|n| out.extend_from_slice(&n.id().to_le_bytes()));
            t.columns.iter().for_each(|c| encode(c, out, depth + 1));
        }
        Value::Guid(g) => out.extend_from_slice(&g[..]),
        Value::Sym(s) => out.extend_from_slice(&s.id().to_le_bytes()),
        Value::Real(_) | Value::Float(_) | Value::Datetime(_) => {
            let x = value.as_scalar().and_then(|(_, s)| s.as_f64()).unwrap_or(0.0);
            let bits = if x.is_nan() { NULL_FLOAT.to_bits() } else { (x + 0.0).to_bits() };
            out.extend_from_slice(&bits.to_le_bytes());
        }
        Value::Prim(p) => out.extend_from_slice(p.word.as_bytes()),
        Value::Lambda(l) => out.extend_from_slice(l.text.as_bytes()),
        Value::Iterator(i) => out.push(*i as u8),
        Value::Derived(d) => {
            out.push(d.iterator as u8);
            encode(&d.operand, out, depth + 1);
        }
        Value::Projection(p) => {
            encode(&p.function, out, depth + 1);
            p.args.iter().for_each(|a| encode(a, out, depth + 1));
        }
        Value::Composition(parts) => parts.iter().for_each(|p| encode(p, out, depth + 1)),
        other => {
            let n = other.as_scalar().and_then(|(_, s)| s.as_i64()).unwrap_or(0);
            out.extend_from_slice(&n.to_le_bytes());
        }
    }
}
