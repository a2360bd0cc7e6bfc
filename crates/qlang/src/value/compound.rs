//! Lists, dictionaries and tables: making them and looking into them.

use std::{
    cell::{Cell, RefCell},
    ops::Deref,
    sync::Arc,
};

use kvalue::Attr;

use super::{
    Sym,
    buf::Charge,
    core::{Dict, List, Table, Value},
};
use crate::{QError, R};

impl List {
    /// A list of these items.
    pub fn new(items: Vec<Value>) -> List {
        let charge = Charge::new(items.capacity() * size_of::<Value>());
        List { attr: Attr::None, items, charge }
    }

    /// The items for changes; the attribute is dropped.
    pub fn to_mut(&mut self) -> &mut Vec<Value> {
        self.attr = Attr::None;
        &mut self.items
    }

    /// Counts the memory anew, after items were added.
    pub fn settle(&mut self) {
        self.charge.set(self.items.capacity() * size_of::<Value>());
    }

    /// The items.
    pub fn into_items(mut self) -> Vec<Value> {
        std::mem::take(&mut self.items)
    }
}

thread_local! {
    static DROPPING: Cell<usize> = const { Cell::new(0) };
    static PENDING: RefCell<Vec<Vec<Value>>> = const { RefCell::new(Vec::new()) };
}

/// Lists within lists that are dropped by calls within calls; deeper ones wait until the calls are back.
const DROPS: usize = 200;

impl Drop for List {
    fn drop(&mut self) {
        if !self.items.iter().any(|v| matches!(v, Value::List(_))) {
            return;
        }
        let depth = DROPPING.try_with(Cell::get).unwrap_or(0);
        let items = std::mem::take(&mut self.items);
        if depth >= DROPS {
            // where the thread ends, the items are dropped at once
            let _ = PENDING.try_with(|p| p.borrow_mut().push(items));
            return;
        }
        let set = |n| DROPPING.try_with(|d| d.set(n));
        let _ = set(depth + 1);
        drop(items);
        if depth == 0 {
            while let Ok(Some(more)) = PENDING.try_with(|p| p.borrow_mut().pop()) {
                drop(more);
            }
        }
        let _ = set(depth);
    }
}

impl Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.items
    }
}

impl Clone for List {
    fn clone(&self) -> Self {
        let mut list = List::new(self.items.clone());
        list.attr = self.attr;
        list
    }
}

impl Dict {
    /// Keys and values of equal count; `'length` otherwise.
    pub fn new(keys: Value, values: Value) -> R<Dict> {
        if keys.count() != values.count() {
            return Err(QError::length());
        }
        Ok(Dict { keys, values, sorted: false })
    }

    /// Symbol keys with values of any kind.
    pub fn of(pairs: Vec<(&str, Value)>) -> Dict {
        let (keys, values): (Vec<Sym>, Vec<Value>) = pairs.into_iter().map(|(k, v)| (Sym::new(k), v)).unzip();
        Dict { keys: Value::syms(keys), values: Value::list(values), sorted: false }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.keys.count()
    }

    /// True where there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Key and value tables, where this is a keyed table.
    pub fn as_keyed(&self) -> Option<(&Arc<Table>, &Arc<Table>)> {
        match (&self.keys, &self.values) {
            (Value::Table(k), Value::Table(v)) => Some((k, v)),
            _ => None,
        }
    }

    /// The value of a symbol key.
    pub fn get(&self, key: Sym) -> Option<Value> {
        (0..self.len()).find(|&i| self.keys.at(i).as_sym() == Some(key)).map(|i| self.values.at(i))
    }
}

impl Table {
    /// Columns of equal length; `'length` otherwise. An atom among lists is repeated by callers that want that.
    pub fn new(names: impl Into<Arc<[Sym]>>, columns: Vec<Value>) -> R<Table> {
        let names = names.into();
        if names.len() != columns.len() || columns.windows(2).any(|c| c[0].count() != c[1].count()) {
            return Err(QError::length());
        }
        Ok(Table { names, columns, sorted: false })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, Value::count)
    }

    /// True where there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Position of a column.
    pub fn position(&self, name: Sym) -> Option<usize> {
        self.names.iter().position(|n| *n == name)
    }

    /// A column by name.
    pub fn column(&self, name: Sym) -> Option<&Value> {
        self.position(name).map(|i| &self.columns[i])
    }

    /// Row `i` as a dictionary.
    pub fn row(&self, i: usize) -> Value {
        let values = Value::from_items(self.columns.iter().map(|c| c.at(i)).collect());
        Value::Dict(Arc::new(Dict { keys: Value::syms(self.names.to_vec()), values, sorted: false }))
    }
}

impl Value {
    /// A general list, whatever the items are; see [`Value::from_items`] for the list q would make.
    pub fn list(items: Vec<Value>) -> Value {
        Value::List(Arc::new(List::new(items)))
    }

    /// A table.
    pub fn table(table: Table) -> Value {
        Value::Table(Arc::new(table))
    }

    /// A dictionary.
    pub fn dict(dict: Dict) -> Value {
        Value::Dict(Arc::new(dict))
    }

    /// The empty general list `()`.
    pub fn empty_list() -> Value {
        Value::list(Vec::new())
    }

    /// A keyed table's two tables, or a table as values without keys.
    pub fn as_keyed(&self) -> Option<(&Arc<Table>, &Arc<Table>)> {
        match self {
            Value::Dict(d) => d.as_keyed(),
            _ => None,
        }
    }
}
