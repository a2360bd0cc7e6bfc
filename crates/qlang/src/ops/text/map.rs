//! Functions of strings or atoms applied to everything below a value.

use std::sync::Arc;

use crate::{
    R,
    value::{Dict, Table, Value},
};

/// Applies `f` to each item of a general list (and makes the list q would make of the results), to the values of a
/// dictionary and to the columns of a table; everything else is given to `f` itself.
pub(super) fn deep(v: Value, f: &mut dyn FnMut(Value) -> R) -> R {
    match v {
        Value::List(l) => {
            let items = match Arc::try_unwrap(l) {
                Ok(l) => l.into_items(),
                Err(l) => l.to_vec(),
            };
            Ok(Value::from_items(items.into_iter().map(|v| deep(v, f)).collect::<R<Vec<Value>>>()?))
        }
        Value::Dict(d) => {
            let (keys, values, sorted) = match Arc::try_unwrap(d) {
                Ok(d) => (d.keys, d.values, d.sorted),
                Err(d) => (d.keys.clone(), d.values.clone(), d.sorted),
            };
            Ok(Value::dict(Dict { keys, values: deep(values, f)?, sorted }))
        }
        Value::Table(t) => {
            let columns = t.columns.iter().map(|c| deep(c.clone(), f)).collect::<R<Vec<Value>>>()?;
            Ok(Value::table(Table { names: t.names.clone(), columns, sorted: false }))
        }
        Value::Mapped(m) => deep(m.load()?, f),
        v => f(v),
    }
}
