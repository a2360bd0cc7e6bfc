//! Globals: one cell a name, namespaces as trees of names over the cells.
//!
//! A name that code mentions gets a small number for the whole process ([`slot`]), so that compiled code reads a
//! global by one look into a vector, in whichever interpreter it runs. Names are never freed, as symbols.

use std::sync::{LazyLock, RwLock};

use ahash::HashMap;

use crate::{
    QError, R,
    value::{Dict, Sym, Value},
};

#[derive(Default)]
struct Names {
    slots: HashMap<Sym, u32>,
    names: Vec<Sym>,
}

static NAMES: LazyLock<RwLock<Names>> = LazyLock::new(RwLock::default);

/// The cell number of a global's full name.
pub(crate) fn slot(name: Sym) -> u32 {
    if let Some(&i) = NAMES.read().unwrap_or_else(|p| p.into_inner()).slots.get(&name) {
        return i;
    }
    let mut names = NAMES.write().unwrap_or_else(|p| p.into_inner());
    let next = names.names.len() as u32;
    let i = *names.slots.entry(name).or_insert(next);
    if i == next {
        names.names.push(name);
    }
    i
}

/// The full name of a cell.
pub(crate) fn name_of(slot: u32) -> Sym {
    NAMES.read().unwrap_or_else(|p| p.into_inner()).names.get(slot as usize).copied().unwrap_or(Sym::NULL)
}

/// A name as code in a namespace means it: `a` in `.n` is `.n.a`; names with a leading dot stay.
pub(crate) fn qualify(context: Sym, name: Sym) -> Sym {
    if context.is_null() || name.bytes().first() == Some(&b'.') {
        return name;
    }
    let mut full = vec![b'.'];
    full.extend_from_slice(context.bytes());
    full.push(b'.');
    full.extend_from_slice(name.bytes());
    Sym::new(full)
}

/// The name before the last dot and the name behind it: `.a.b` gives `.a` and `b`, `.a` gives null and `a`.
pub(crate) fn split(name: Sym) -> (Sym, Sym) {
    let bytes = name.bytes();
    match memchr::memrchr(b'.', bytes) {
        Some(at) => (Sym::new(&bytes[..at]), Sym::new(&bytes[at + 1..])),
        None => (Sym::NULL, name),
    }
}

/// True for `.a`: a dot and no further one.
fn is_top(name: Sym) -> bool {
    let b = name.bytes();
    b.len() > 1 && b[0] == b'.' && !b[1..].contains(&b'.')
}

/// The names in a namespace.
#[derive(Clone, Default)]
struct Space {
    names: Vec<Sym>,
    /// shows the entry of the null name that a namespace made by `\d` or by a first name in it has
    null: bool,
}

/// One global.
#[derive(Clone)]
pub(crate) struct Cell {
    /// [`Value::Hole`] where there is none
    pub(crate) value: Value,
    /// a view depends on it, or it is one
    pub(crate) watched: bool,
    /// a variable that may be overwritten without a look at its name
    pub(crate) direct: bool,
}

/// All globals of an interpreter.
#[derive(Clone, Default)]
pub(crate) struct Globals {
    cells: Vec<Cell>,
    spaces: HashMap<Sym, Space>,
    tops: Vec<Sym>,
}

impl Globals {
    /// The value in a cell; [`Value::Hole`] where nothing is.
    #[inline]
    pub(crate) fn cell(&self, slot: u32) -> &Value {
        match self.cells.get(slot as usize) {
            Some(c) => &c.value,
            None => &Value::Hole,
        }
    }

    /// The cell for changes.
    #[inline]
    pub(crate) fn cell_mut(&mut self, slot: u32) -> &mut Cell {
        let i = slot as usize;
        if i >= self.cells.len() {
            self.cells.resize(i + 1, Cell { value: Value::Hole, watched: false, direct: false });
        }
        &mut self.cells[i]
    }

    /// True where the name's cell is filled.
    pub(crate) fn is_set(&self, slot: u32) -> bool {
        !matches!(self.cell(slot), Value::Hole)
    }

    /// The value of a full name: a cell, a namespace as a dictionary, an entry of a dictionary or a column.
    pub(crate) fn get(&self, name: Sym) -> Option<Value> {
        let v = self.cell(slot(name));
        if !matches!(v, Value::Hole) {
            return Some(v.clone());
        }
        if name.is_null() {
            let values = self.tops.iter().map(|t| self.space(*t)).collect();
            return Some(Value::dict(Dict {
                keys: Value::syms(self.tops()),
                values: Value::list(values),
                sorted: false,
            }));
        }
        if name.bytes() == b"." {
            return Some(self.space(Sym::NULL));
        }
        if self.spaces.contains_key(&name) {
            return Some(self.space(name));
        }
        let (parent, leaf) = split(name);
        if parent.is_null() || self.spaces.contains_key(&parent) {
            return None;
        }
        match self.get(parent)? {
            Value::Dict(d) => d.get(leaf),
            Value::Table(t) => t.column(leaf).cloned(),
            // `t.date` of a time
            v if (12..=19).contains(&v.number().unsigned_abs()) => {
                crate::ops::text::cast_word(leaf.bytes(), v).ok()?.ok()
            }
            _ => None,
        }
    }

    /// True for the name of a namespace.
    pub(crate) fn is_space(&self, name: Sym) -> bool {
        self.spaces.contains_key(&name)
    }

    /// The names in a namespace (null for the root) as they came; `None` where there is no such namespace.
    pub(crate) fn names(&self, space: Sym) -> Option<Vec<Sym>> {
        match self.spaces.get(&space) {
            Some(s) => Some(s.names.clone()),
            None if space.is_null() => Some(Vec::new()),
            None => None,
        }
    }

    /// The names of the namespaces of the root, without their dots.
    pub(crate) fn tops(&self) -> Vec<Sym> {
        self.tops.iter().map(|t| split(*t).1).collect()
    }

    /// A namespace as a dictionary.
    pub(crate) fn space(&self, space: Sym) -> Value {
        let Some(s) = self.spaces.get(&space) else {
            return Value::dict(Dict {
                keys: Value::syms(Vec::new()),
                values: Value::empty_list(),
                sorted: false,
            });
        };
        let mut keys = Vec::with_capacity(s.names.len() + 1);
        let mut values = Vec::with_capacity(s.names.len() + 1);
        if s.null {
            keys.push(Sym::NULL);
            values.push(Value::Nil);
        }
        for &n in &s.names {
            if let Some(v) = self.get(join(space, n)) {
                keys.push(n);
                values.push(v);
            }
        }
        Value::dict(Dict { keys: Value::syms(keys), values: Value::from_items(values), sorted: false })
    }

    /// Makes an empty namespace where there is none.
    pub(crate) fn make_space(&mut self, name: Sym) {
        if self.spaces.contains_key(&name) {
            return;
        }
        self.spaces.insert(name, Space { names: Vec::new(), null: !name.is_null() });
        if is_top(name) {
            if !self.tops.contains(&name) {
                self.tops.push(name);
            }
        } else if !name.is_null() {
            let (parent, leaf) = split(name);
            self.enlist(parent, leaf);
        }
    }

    fn enlist(&mut self, space: Sym, leaf: Sym) {
        self.make_space(space);
        if let Some(s) = self.spaces.get_mut(&space)
            && !s.names.contains(&leaf)
        {
            s.names.push(leaf);
        }
    }

    /// Sets a global by its full name.
    pub(crate) fn set(&mut self, name: Sym, value: Value) -> R<()> {
        let id = slot(name);
        if self.is_set(id) {
            if is_top(name) {
                return self.set_top(name, value);
            }
            self.cell_mut(id).value = value;
            return Ok(());
        }
        self.set_new(name, value)
    }

    fn set_new(&mut self, name: Sym, value: Value) -> R<()> {
        if name.bytes() == b"." {
            return self.set_top(Sym::NULL, value);
        }
        if is_top(name) {
            return self.set_top(name, value);
        }
        let (parent, leaf) = split(name);
        if !parent.is_null() && !self.spaces.contains_key(&parent) {
            let held = self.get(parent);
            match held {
                Some(Value::Dict(d)) => {
                    let d = amend(&d, leaf, value)?;
                    return self.set(parent, d);
                }
                Some(_) => return Err(QError::type_()),
                None if parent.bytes().first() != Some(&b'.') => {
                    let d = Dict {
                        keys: Value::syms(vec![leaf]),
                        values: Value::list(vec![value]),
                        sorted: false,
                    };
                    return self.set(parent, Value::dict(d));
                }
                None => {}
            }
        }
        if self.spaces.contains_key(&name) {
            self.remove(name);
        }
        self.enlist(parent, leaf);
        let cell = self.cell_mut(slot(name));
        cell.value = value;
        cell.direct = true;
        Ok(())
    }

    /// Sets a namespace of the root as a whole: a dictionary of names becomes the namespace.
    fn set_top(&mut self, name: Sym, value: Value) -> R<()> {
        let entries = match &value {
            Value::Dict(d) if d.as_keyed().is_none() => names_of(&d.keys).map(|k| (k, d.values.items())),
            _ => None,
        };
        match entries {
            Some((keys, values)) => {
                self.remove(name);
                self.make_space(name);
                let null = keys.contains(&Sym::NULL);
                if let Some(s) = self.spaces.get_mut(&name) {
                    s.null = null && !name.is_null();
                }
                for (k, v) in keys.into_iter().zip(values) {
                    if !k.is_null() {
                        self.set(join(name, k), v)?;
                    }
                }
            }
            None if name.is_null() => return Err(QError::type_()),
            None => {
                self.remove(name);
                if !self.tops.contains(&name) {
                    self.tops.push(name);
                }
                self.cell_mut(slot(name)).value = value;
            }
        }
        Ok(())
    }

    /// Removes a global or a whole namespace. `true` where it was there.
    pub(crate) fn remove(&mut self, name: Sym) -> bool {
        let id = slot(name);
        let mut was = self.is_set(id);
        if was {
            self.cell_mut(id).value = Value::Hole;
        }
        if let Some(s) = self.spaces.remove(&name) {
            was = true;
            for leaf in s.names {
                self.remove(join(name, leaf));
            }
        }
        if was && !name.is_null() {
            if is_top(name) {
                self.tops.retain(|t| *t != name);
            } else if let Some(s) = self.spaces.get_mut(&split(name).0) {
                let leaf = split(name).1;
                s.names.retain(|n| *n != leaf);
            }
        }
        was
    }
}

/// The full name of a name in a namespace; a null namespace is the root.
pub(crate) fn join(space: Sym, leaf: Sym) -> Sym {
    if space.is_null() {
        return leaf;
    }
    let mut full = space.bytes().to_vec();
    full.push(b'.');
    full.extend_from_slice(leaf.bytes());
    Sym::new(full)
}

/// Symbols of a symbol list.
pub(crate) fn names_of(v: &Value) -> Option<Vec<Sym>> {
    match v {
        Value::Sym(s) => Some(vec![*s]),
        Value::Vector(k) => match k.resolved() {
            Value::Vector(k) => match &k.data {
                crate::value::Data::Sym(s) => Some(s.to_vec()),
                _ => None,
            },
            _ => None,
        },
        Value::List(l) => l.iter().map(Value::as_sym).collect(),
        _ => None,
    }
}

/// The dictionary with an entry set.
fn amend(d: &Dict, key: Sym, value: Value) -> R {
    let mut keys = names_of(&d.keys).ok_or_else(QError::type_)?;
    let mut values = d.values.items();
    match keys.iter().position(|k| *k == key) {
        Some(i) => values[i] = value,
        None => {
            keys.push(key);
            values.push(value);
        }
    }
    Ok(Value::dict(Dict { keys: Value::syms(keys), values: Value::from_items(values), sorted: false }))
}
