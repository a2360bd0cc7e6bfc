//! The arguments of `?[t;c;b;a]` and `![t;c;b;a]`, told apart.

use crate::{
    QError, R,
    value::{Data, Sym, Value},
};

/// What `b` asks for.
pub enum By {
    /// `0b`
    None,
    /// `1b`: distinct rows
    Distinct,
    /// `()`: exec
    Exec,
    /// a tree: exec by its values
    Tree(Value),
    /// named trees
    Columns(Vec<Sym>, Vec<Value>),
}

/// What `a` asks for.
pub enum Phrases {
    /// `()`: all columns
    All,
    /// named trees
    Columns(Vec<Sym>, Vec<Value>),
    /// a tree
    Tree(Value),
}

/// Names and trees of a dictionary; `None` for anything else.
fn named(v: &Value) -> R<Option<(Vec<Sym>, Vec<Value>)>> {
    let Value::Dict(d) = v else { return Ok(None) };
    if let Value::Table(k) = &d.keys {
        // `([]…)!…` names nothing.
        return if k.is_empty() { Ok(Some((Vec::new(), Vec::new()))) } else { Err(QError::type_()) };
    }
    let names = d.keys.items().iter().map(Value::as_sym).collect::<Option<Vec<Sym>>>();
    let trees = d.values.items();
    match names {
        Some(names) => Ok(Some((names, trees))),
        None => Err(QError::type_()),
    }
}

impl By {
    /// Tells the forms of `b` apart.
    pub fn of(b: &Value) -> R<By> {
        Ok(match b {
            Value::Bool(true) => By::Distinct,
            Value::Bool(false) | Value::Nil => By::None,
            Value::List(l) if l.is_empty() => By::Exec,
            Value::Dict(_) => match named(b)? {
                Some((names, trees)) if !names.is_empty() => By::Columns(names, trees),
                _ => By::None,
            },
            other => By::Tree(column_tree(other)),
        })
    }
}

impl Phrases {
    /// Tells the forms of `a` apart.
    pub fn of(a: &Value) -> R<Phrases> {
        Ok(match a {
            Value::List(l) if l.is_empty() => Phrases::All,
            Value::Nil => Phrases::All,
            Value::Dict(_) => match named(a)? {
                Some((names, trees)) if !names.is_empty() => Phrases::Columns(names, trees),
                _ => Phrases::All,
            },
            other => Phrases::Tree(column_tree(other)),
        })
    }
}

/// `` enlist`c `` in place of a tree names a column, as `` `c `` does.
fn column_tree(v: &Value) -> Value {
    match v {
        Value::Vector(x) => match &x.data {
            Data::Sym(names) if names.len() == 1 => Value::Sym(names[0]),
            _ => v.clone(),
        },
        other => other.clone(),
    }
}
