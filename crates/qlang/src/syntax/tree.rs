//! Parse trees: an expression as the value that `parse` gives and `eval` takes. Names are symbols, symbols are
//! enlisted, an application is a list whose first item is the function.

use std::sync::Arc;

use crate::{
    QError, R,
    syntax::{
        Parsed, Words,
        ast::{Assign, Expr, Pattern, Query, Verb},
        lexer::is_symbolic,
        naming,
    },
    value::{Data, Dict, Iterator, Sym, Value},
};

/// The arguments of `?[t;c;b;a]` or `![t;c;b;a]` that a template stands for.
#[derive(Debug, Clone)]
pub struct QueryParts {
    /// the table's expression as a tree
    pub t: Value,
    /// a list of conditions
    pub c: Value,
    /// `0b`, `1b` for distinct, a dictionary; `()` or an expression for `exec`
    pub b: Value,
    /// a dictionary, `()`, for `exec` an expression, for `delete` column names
    pub a: Value,
    /// the fifth argument as a tree
    pub limit: Option<Value>,
    /// the column of the sixth argument as a tree, and whether the order is descending
    pub order: Option<(bool, Value)>,
}

/// What a name of the surrounding function stands for: `Some` puts the value into the tree, `None` leaves the name.
pub type Local<'a> = &'a dyn Fn(Sym) -> Option<Value>;

/// The tree of an expression.
pub fn to_tree(e: &Expr, words: &dyn Words, local: Local) -> R {
    Trees { words, local }.tree(e)
}

/// The tree of a text: of its statement, or of a block of them.
pub fn of_parsed(parsed: &Parsed, words: &dyn Words) -> R {
    let trees = Trees { words, local: &|_| None };
    match (parsed.statements.as_slice(), parsed.silent) {
        ([], _) => Ok(Value::Nil),
        ([only], false) => trees.tree(only),
        (all, silent) => {
            let mut items = trees.block(all)?;
            if silent {
                items.push(Value::Nil);
            }
            Ok(Value::list(items))
        }
    }
}

/// The arguments of the functional form of a template.
pub fn query_parts(q: &Query, words: &dyn Words, local: Local) -> R<QueryParts> {
    Trees { words, local }.parts(q)
}

/// A value as a constant of a tree: what `eval` would take for a name or an application gets enlisted.
pub fn quote(value: Value) -> Value {
    match &value {
        Value::Sym(s) => Value::syms(vec![*s]),
        Value::List(items) if items.is_empty() => value,
        Value::List(_) | Value::Enum(_) => Value::list(vec![value]),
        v if is_symbolic(v) || matches!(v, Value::Vector(v) if matches!(v.data, Data::Enum(..))) => {
            Value::list(vec![value])
        }
        _ => value,
    }
}

struct Trees<'a> {
    words: &'a dyn Words,
    local: Local<'a>,
}

impl Trees<'_> {
    fn word(&self, word: &str) -> R {
        self.words.word(word.as_bytes()).map(|w| w.value).ok_or_else(|| QError::new(word))
    }

    fn name(&self, name: Sym) -> Value {
        (self.local)(name).map_or(Value::Sym(name), quote)
    }

    fn list(&self, head: Value, rest: &[Expr]) -> R {
        let mut items = Vec::with_capacity(rest.len() + 1);
        items.push(head);
        for e in rest {
            items.push(self.tree(e)?);
        }
        Ok(Value::from_items(items))
    }

    fn block(&self, statements: &[Expr]) -> R<Vec<Value>> {
        let mut items = vec![Value::Char(b';')];
        for e in statements {
            items.push(self.tree(e)?);
        }
        Ok(items)
    }

    fn tree(&self, e: &Expr) -> R {
        Ok(match e {
            Expr::Const(v @ Value::Sym(_)) => quote(v.clone()),
            Expr::Const(v) => quote(v.clone()),
            Expr::Name(name, _) => self.name(*name),
            Expr::Hole => Value::Hole,
            Expr::List(items) => self.list(self.word("enlist")?, items)?,
            Expr::Apply(f, args, _) => self.list(self.tree(f)?, args)?,
            Expr::Derive(f, iterator) => Value::list(vec![Value::Iterator(*iterator), self.tree(f)?]),
            Expr::Compose(parts) => self.list(Value::Iterator(Iterator::Each), parts)?,
            Expr::Lambda(f) => self.words.lambda(f),
            Expr::Assign(a) => self.assign(a)?,
            Expr::Match(p, value, _) => {
                Value::list(vec![self.word(":")?, self.pattern(p)?, self.tree(value)?])
            }
            Expr::Cond(parts, _) => self.list(self.word("$")?, parts)?,
            Expr::If(parts, _) => self.list(Value::sym("if"), parts)?,
            Expr::Do(parts, _) => self.list(Value::sym("do"), parts)?,
            Expr::While(parts, _) => self.list(Value::sym("while"), parts)?,
            Expr::Block(parts) => Value::list(self.block(parts)?),
            Expr::Return(e) => Value::list(vec![self.word(":")?, self.tree(e)?]),
            Expr::Signal(e, _) => Value::list(vec![Value::Iterator(Iterator::Each), self.tree(e)?]),
            Expr::Table(t) if t.keys.is_empty() => self.columns(&t.columns, true)?,
            Expr::Table(t) => Value::list(vec![
                self.word("!")?,
                self.columns(&t.keys, true)?,
                self.columns(&t.columns, true)?,
            ]),
            Expr::Dict(entries) => self.columns(entries, false)?,
            Expr::Query(q) => self.query(q)?,
        })
    }

    /// `+(names)!(values)`, the `+` where it is a table.
    fn columns(&self, columns: &[(Sym, Expr)], flip: bool) -> R {
        let names = Value::syms(columns.iter().map(|c| c.0).collect());
        let mut values = vec![self.word("enlist")?];
        for (_, e) in columns {
            values.push(self.tree(e)?);
        }
        let dict = Value::list(vec![self.word("!")?, quote(names), Value::list(values)]);
        Ok(match flip {
            true => Value::list(vec![self.word("flip")?, dict]),
            false => dict,
        })
    }

    fn assign(&self, a: &Assign) -> R {
        let head = match (&a.with, a.global) {
            (None, false) => self.word(":")?,
            (None, true) => Value::Nil,
            (Some(Expr::Const(Value::Prim(p))), _) => self.word(&format!("{}:", p.word))?,
            (Some(with), _) => self.tree(with)?,
        };
        let target = match &a.index {
            None => Value::Sym(a.name),
            Some(index) => self.list(Value::Sym(a.name), index)?,
        };
        Ok(Value::list(vec![head, target, self.tree(&a.value)?]))
    }

    fn pattern(&self, p: &Pattern) -> R {
        let pairs = |entries: &[(Sym, Pattern)]| -> R {
            let names = Value::syms(entries.iter().map(|e| e.0).collect());
            let mut values = vec![self.word("enlist")?];
            for (_, p) in entries {
                values.push(self.pattern(p)?);
            }
            Ok(Value::list(vec![self.word("!")?, quote(names), Value::list(values)]))
        };
        Ok(match p {
            Pattern::Skip => Value::Hole,
            Pattern::Name(name) => Value::Sym(*name),
            Pattern::Const(v) => quote(v.clone()),
            Pattern::List(items) => {
                let mut out = vec![self.word("enlist")?];
                for p in items {
                    out.push(self.pattern(p)?);
                }
                Value::list(out)
            }
            Pattern::Dict(entries) => pairs(entries)?,
            Pattern::Table(entries) => Value::list(vec![self.word("flip")?, pairs(entries)?]),
            Pattern::Typed(p, check) => {
                Value::list(vec![self.word(":")?, self.pattern(p)?, self.tree(check)?])
            }
        })
    }

    fn query(&self, q: &Query) -> R {
        let QueryParts { t, c, b, a, limit, order } = self.parts(q)?;
        let single = matches!(&c, Value::List(l) if l.is_empty());
        let c = if single { c } else { Value::list(vec![c]) };
        // what `?` takes as values are constants here
        let constant = |v: Value| match &v {
            Value::Sym(_) => quote(v),
            Value::Vector(vector) if !vector.is_empty() => quote(v),
            _ => v,
        };
        let head = match q.verb {
            Verb::Select | Verb::Exec => self.word("?")?,
            Verb::Update | Verb::Delete => self.word("!")?,
        };
        let mut items = vec![head, t, c, constant(b), constant(a)];
        if limit.is_some() || order.is_some() {
            items.push(limit.unwrap_or(Value::Long(i64::MAX)));
        }
        if let Some((down, column)) = order {
            let sort = self.word(if down { ">:" } else { "<:" })?;
            items.push(Value::list(vec![Value::from_items(vec![sort, column])]));
        }
        Ok(Value::list(items))
    }

    fn parts(&self, q: &Query) -> R<QueryParts> {
        let mut conditions = Vec::with_capacity(q.filter.len());
        for e in &q.filter {
            conditions.push(self.tree(e)?);
        }
        let exec = q.verb == Verb::Exec;
        let b = match &q.by {
            None if exec => Value::empty_list(),
            None => Value::Bool(q.distinct),
            Some(by) => match by.as_slice() {
                [] => Value::Bool(q.distinct),
                [(name, Expr::Const(v @ Value::Bool(_)))] if name.is_null() => v.clone(),
                [(name, e)] if exec && name.is_null() => self.tree(e)?,
                by => self.dict(by)?,
            },
        };
        let a = match (q.verb, q.columns.as_slice()) {
            (Verb::Delete, []) => Value::syms(Vec::new()),
            (Verb::Delete, columns) => Value::syms(naming::names(columns)),
            (_, []) => Value::empty_list(),
            (Verb::Exec, [(name, e)]) if name.is_null() => self.tree(e)?,
            (_, columns) => self.dict(columns)?,
        };
        let order = match &q.order {
            Some((down, e)) => Some((*down, self.tree(e)?)),
            None => None,
        };
        let limit = match &q.limit {
            Some(e) => Some(self.tree(e)?),
            None => None,
        };
        Ok(QueryParts { t: self.tree(&q.from)?, c: Value::list(conditions), b, a, limit, order })
    }

    fn dict(&self, columns: &[(Sym, Expr)]) -> R {
        let mut values = Vec::with_capacity(columns.len());
        for (_, e) in columns {
            values.push(self.tree(e)?);
        }
        let keys = Value::syms(naming::names(columns));
        Ok(Value::Dict(Arc::new(Dict::new(keys, Value::from_items(values))?)))
    }
}
