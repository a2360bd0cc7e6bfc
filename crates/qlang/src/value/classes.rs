//! Which items are the same: classes of equal items in the order of their first appearance. The base of `group`,
//! `distinct`, find and of every `by`. Integers of a small range go through a table by value, other elements through a
//! hash table that holds keys beside codes.

use std::sync::LazyLock;

use kvalue::Type;

use super::{
    core::{Data, Value, Vector},
    groups::Groups,
    order, spread,
};

/// Class of a key that is in no class.
pub(super) const ABSENT: u32 = u32::MAX;

/// An element that can be hashed: equal keys are equal elements.
pub(super) trait Key: Copy + Eq + Default {
    fn mix(self) -> u64;
    /// The key as an integer where it is one, nulls as the long null.
    fn number(self) -> Option<i64>;
}

static SEED: LazyLock<(u64, u64)> = LazyLock::new(|| {
    let state = ahash::RandomState::new();
    (state.hash_one(1u8), state.hash_one(2u8) | 1)
});

#[inline]
fn fold(x: u64) -> u64 {
    let (a, b) = *SEED;
    let p = u128::from(x ^ a) * u128::from(b);
    (p >> 64) as u64 ^ p as u64
}

macro_rules! integer_key {
    ($($t:ty: $null:expr),*) => {$(
        impl Key for $t {
            #[inline]
            fn mix(self) -> u64 {
                fold(self as u64)
            }
            #[inline]
            fn number(self) -> Option<i64> {
                let null: Option<$t> = $null;
                Some(if Some(self) == null { i64::MIN } else { self as i64 })
            }
        }
    )*};
}
integer_key!(i64: None, i32: Some(i32::MIN), i16: Some(i16::MIN), u32: None, u8: None);

/// A float by its bits: one null, one zero.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bits(u64);

impl Bits {
    #[inline]
    pub(super) fn of(x: f64) -> Bits {
        Bits(if x.is_nan() {
            u64::MAX
        } else if x == 0.0 {
            0
        } else {
            x.to_bits()
        })
    }
}

impl Key for Bits {
    #[inline]
    fn mix(self) -> u64 {
        fold(self.0)
    }
    fn number(self) -> Option<i64> {
        None
    }
}

impl Key for [u8; 16] {
    #[inline]
    fn mix(self) -> u64 {
        let n = u128::from_le_bytes(self);
        fold(n as u64 ^ fold((n >> 64) as u64))
    }
    fn number(self) -> Option<i64> {
        None
    }
}

/// Keys to classes.
pub(super) struct Map<K> {
    slots: Vec<(K, u32)>,
    shift: u32,
    used: usize,
}

impl<K: Key> Map<K> {
    pub(super) fn new(room: usize) -> Map<K> {
        let size = (room.max(8) * 4 / 3).next_power_of_two();
        Map { slots: vec![(K::default(), ABSENT); size], shift: 64 - size.trailing_zeros(), used: 0 }
    }

    /// The class of a key; a new key gets the class `fresh`.
    #[inline]
    pub(super) fn enter(&mut self, key: K, fresh: u32) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = (key.mix() >> self.shift) as usize;
        loop {
            let (k, id) = self.slots[at & mask];
            if id == ABSENT {
                break;
            }
            if k == key {
                return id;
            }
            at += 1;
        }
        let last = self.slots.len() - 1;
        self.slots[at & last] = (key, fresh);
        self.used += 1;
        if self.used * 4 > self.slots.len() * 3 {
            self.grow();
        }
        fresh
    }

    #[inline]
    pub(super) fn get(&self, key: K) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = (key.mix() >> self.shift) as usize;
        loop {
            let (k, id) = self.slots[at & mask];
            if id == ABSENT || k == key {
                return id;
            }
            at += 1;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.slots.len() * if self.slots.len() < 1 << 18 { 4 } else { 2 };
        let old = std::mem::replace(&mut self.slots, vec![(K::default(), ABSENT); size]);
        self.shift = 64 - size.trailing_zeros();
        let mask = size - 1;
        for (key, id) in old.into_iter().filter(|s| s.1 != ABSENT) {
            let mut at = (key.mix() >> self.shift) as usize;
            while self.slots[at & mask].1 != ABSENT {
                at += 1;
            }
            self.slots[at & mask] = (key, id);
        }
    }
}

/// The smallest integer beside the null, and how many there are up to the largest; `None` where the range is too wide for a table.
pub(super) fn small_range<K: Key>(keys: &[K]) -> Option<(i64, usize)> {
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    for k in keys {
        let n = k.number()?;
        low = low.min(if n == i64::MIN { low } else { n });
        high = high.max(n);
    }
    if low > high {
        // nothing but nulls
        return None;
    }
    let width = usize::try_from(high.checked_sub(low)?).ok()?.checked_add(1)?;
    (width <= keys.len().saturating_mul(2).max(1 << 12)).then_some((low, width))
}

/// Slot of a number in a table of `width` slots from `low` on; nulls, below all others, take slot `width`.
#[inline]
pub(super) fn slot(n: i64, low: i64, width: usize) -> usize {
    let at = n.wrapping_sub(low) as u64;
    if n >= low && at < width as u64 { at as usize } else { width }
}

pub(super) fn classify<K: Key>(keys: &[K], ids: bool) -> Groups {
    let mut firsts: Vec<u32> = Vec::new();
    let mut out = Vec::with_capacity(if ids { keys.len() } else { 0 });
    if let Some((low, width)) = small_range(keys) {
        let mut table = vec![ABSENT; width + 1];
        for (i, k) in keys.iter().enumerate() {
            let cell = &mut table[slot(k.number().unwrap_or(low), low, width)];
            if *cell == ABSENT {
                *cell = firsts.len() as u32;
                firsts.push(i as u32);
            }
            if ids {
                out.push(*cell);
            }
        }
        return Groups { ids: out, firsts };
    }
    let mut map = Map::new(keys.len().min(1 << 10));
    // Equal keys are often neighbours: times cut to minutes, parted columns.
    let mut last = (K::default(), ABSENT);
    for (i, k) in keys.iter().enumerate() {
        let fresh = firsts.len() as u32;
        let id = if last.1 != ABSENT && last.0 == *k { last.1 } else { map.enter(*k, fresh) };
        last = (*k, id);
        if id == fresh {
            firsts.push(i as u32);
            if firsts.len() == spread::MANY && i < keys.len() / 2 {
                return spread::classify(keys, ids);
            }
        }
        if ids {
            out.push(id);
        }
    }
    Groups { ids: out, firsts }
}

/// The classes of a vector's elements.
fn of_vector(v: &Vector, ids: bool) -> Groups {
    match &v.data {
        Data::Bool(d) => classify(&d.iter().map(|b| u8::from(*b)).collect::<Vec<_>>(), ids),
        Data::U8(d) => classify(d, ids),
        Data::I16(d) => classify(d, ids),
        Data::I32(d) => classify(d, ids),
        Data::I64(d) | Data::Enum(_, d) => classify(d, ids),
        Data::F32(d) => classify(&d.iter().map(|x| Bits::of(f64::from(*x))).collect::<Vec<_>>(), ids),
        Data::F64(d) => classify(&d.iter().map(|x| Bits::of(*x)).collect::<Vec<_>>(), ids),
        Data::Sym(d) => classify(&d.iter().map(|s| s.id()).collect::<Vec<_>>(), ids),
        Data::Guid(d) => classify(d, ids),
    }
}

fn of_items(n: usize, at: impl Fn(usize) -> Value, ids: bool) -> Groups {
    let mut firsts: Vec<u32> = Vec::new();
    let mut out = Vec::with_capacity(if ids { n } else { 0 });
    let mut seen: Vec<(u64, Value)> = Vec::new();
    let mut table = hashbrown::HashTable::<u32>::new();
    for i in 0..n {
        let item = at(i);
        let hash = order::hash(&item);
        let entry = table.entry(
            hash,
            |&c| seen[c as usize].0 == hash && order::identical(&seen[c as usize].1, &item),
            |&c| seen[c as usize].0,
        );
        let id = match entry {
            hashbrown::hash_table::Entry::Occupied(e) => *e.get(),
            hashbrown::hash_table::Entry::Vacant(e) => {
                let id = firsts.len() as u32;
                e.insert(id);
                firsts.push(i as u32);
                seen.push((hash, item));
                id
            }
        };
        if ids {
            out.push(id);
        }
    }
    Groups { ids: out, firsts }
}

/// The classes of a list's items, a dictionary's values or a table's rows. Two items are in one class where they are
/// [identical](order::identical). An atom is one item.
pub(super) fn classes(v: &Value) -> Groups {
    match v {
        Value::Vector(v) => of_vector(v, true),
        Value::List(l) => of_items(l.len(), |i| l[i].clone(), true),
        Value::Dict(d) => classes(&d.values),
        table @ Value::Table(_) => Groups::of_column(table),
        Value::Mapped(m) => m.load().map_or_else(|_| Groups::default(), |t| classes(&t)),
        _ => Groups { ids: vec![0], firsts: vec![0] },
    }
}

/// Only the positions of the first items of each class.
pub fn firsts(v: &Value) -> Vec<u32> {
    match v {
        Value::Vector(v) => of_vector(v, false).firsts,
        Value::List(l) => of_items(l.len(), |i| l[i].clone(), false).firsts,
        other => classes(other).firsts,
    }
}

/// Looks items up in a list: built once, asked for many.
pub struct Finder {
    kind: Kind,
    /// how many items the list has: the answer for what is not in it
    n: usize,
}

enum Kind {
    Table { low: i64, width: usize, at: Vec<u32>, ty: Type },
    Long(Map<i64>, Type),
    Bits(Map<Bits>, Type),
    Guid(Map<[u8; 16]>),
    Items(hashbrown::HashTable<u32>, Value),
}

fn first_map<K: Key>(keys: impl Iterator<Item = K>, room: usize) -> Map<K> {
    let mut map = Map::new(room);
    for (i, k) in keys.enumerate() {
        map.enter(k, i as u32);
    }
    map
}

/// The elements of an integral or symbol layout as integers that tell them apart; nulls of ints as the long null.
fn integers(v: &Vector) -> Option<std::borrow::Cow<'_, [i64]>> {
    Some(match &v.data {
        Data::I64(d) => std::borrow::Cow::Borrowed(&d[..]),
        Data::I32(d) => d.iter().map(|x| x.number().unwrap_or_default()).collect(),
        Data::I16(d) => d.iter().map(|x| i64::from(*x)).collect(),
        Data::U8(d) => d.iter().map(|x| i64::from(*x)).collect(),
        Data::Bool(d) => d.iter().map(|x| i64::from(*x)).collect(),
        Data::Sym(d) => d.iter().map(|x| i64::from(x.id())).collect(),
        _ => return None,
    })
}

impl Finder {
    /// Makes ready to look in this list: vectors by value, general lists by [identical](order::identical) items.
    pub fn new(list: &Value) -> Finder {
        let n = list.count();
        let kind = match list {
            Value::Vector(v) => match &v.data {
                Data::Enum(..) => match v.resolved() {
                    Value::Vector(r) if matches!(r.data, Data::Enum(..)) => Kind::of_items(list),
                    r => return Finder::new(&r),
                },
                Data::F64(d) => Kind::Bits(first_map(d.iter().map(|x| Bits::of(*x)), n), v.ty),
                Data::F32(d) => Kind::Bits(first_map(d.iter().map(|x| Bits::of(f64::from(*x))), n), v.ty),
                Data::Guid(d) => Kind::Guid(first_map(d.iter().copied(), n)),
                _ => {
                    let keys = integers(v).unwrap_or_default();
                    match small_range(&keys) {
                        Some((low, width)) => {
                            let mut at = vec![ABSENT; width + 1];
                            for (i, &k) in keys.iter().enumerate().rev() {
                                at[slot(k, low, width)] = i as u32;
                            }
                            // the slot of all that is outside: only true nulls may answer
                            Kind::Table { low, width, at, ty: v.ty }
                        }
                        None => Kind::Long(first_map(keys.iter().copied(), n), v.ty),
                    }
                }
            },
            other => Kind::of_items(other),
        };
        Finder { kind, n }
    }

    /// The position of each element of `items`: a list of the same element type. `None` where types differ.
    pub fn find(&self, items: &Value) -> Option<Vec<i64>> {
        let n = self.n as i64;
        let answer = |id: u32| if id == ABSENT { n } else { i64::from(id) };
        match (&self.kind, items) {
            (Kind::Items(..), items) => {
                Some((0..items.count()).map(|i| self.find_item(&items.at(i))).collect())
            }
            (_, Value::Vector(v)) if matches!(v.data, Data::Enum(..)) => match v.resolved() {
                Value::Vector(r) if matches!(r.data, Data::Enum(..)) => None,
                r => self.find(&r),
            },
            (Kind::Table { low, width, at, ty }, Value::Vector(v)) if v.ty == *ty => {
                let keys = integers(v)?;
                let outside = at[*width];
                Some(
                    keys.iter()
                        .map(|&k| {
                            let s = slot(k, *low, *width);
                            answer(if s < *width {
                                at[s]
                            } else if k == i64::MIN {
                                outside
                            } else {
                                ABSENT
                            })
                        })
                        .collect(),
                )
            }
            (Kind::Long(map, ty), Value::Vector(v)) if v.ty == *ty => {
                Some(integers(v)?.iter().map(|&k| answer(map.get(k))).collect())
            }
            (Kind::Bits(map, ty), Value::Vector(v)) if v.ty == *ty => match &v.data {
                Data::F64(d) => Some(d.iter().map(|x| answer(map.get(Bits::of(*x)))).collect()),
                Data::F32(d) => Some(d.iter().map(|x| answer(map.get(Bits::of(f64::from(*x))))).collect()),
                _ => None,
            },
            (Kind::Guid(map), Value::Vector(v)) => match &v.data {
                Data::Guid(d) => Some(d.iter().map(|g| answer(map.get(*g))).collect()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The position of one whole item.
    pub fn find_item(&self, item: &Value) -> i64 {
        match &self.kind {
            Kind::Items(table, list) => {
                let found = table.find(order::hash(item), |&i| order::identical(&list.at(i as usize), item));
                found.map_or(self.n as i64, |&i| i64::from(i))
            }
            _ => match item.as_scalar() {
                Some(_) => self
                    .find(&Value::from_items(vec![item.clone()]))
                    .and_then(|f| f.first().copied())
                    .unwrap_or(self.n as i64),
                None => match item {
                    Value::Enum(e) => self.find_item(&e.value()),
                    _ => self.n as i64,
                },
            },
        }
    }
}

impl Kind {
    fn of_items(list: &Value) -> Kind {
        let mut table = hashbrown::HashTable::new();
        for i in 0..list.count() {
            let item = list.at(i);
            let hash = order::hash(&item);
            let known = table.find(hash, |&j: &u32| order::identical(&list.at(j as usize), &item)).is_some();
            if !known {
                table.insert_unique(hash, i as u32, |&j| order::hash(&list.at(j as usize)));
            }
        }
        Kind::Items(table, list.clone())
    }
}
