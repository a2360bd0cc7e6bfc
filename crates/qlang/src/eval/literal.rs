//! Table literals and templates: where the evaluator hands over to the primitives of tables and queries.

use super::{
    interp::Interp,
    node::{Node, QueryNode},
    run::Scope,
};
use crate::{
    QError, R,
    ops::query,
    syntax::{ast::Verb, tree},
    value::{Dict, Sym, Table, Value},
};

impl Interp {
    /// `([k:…]c:…)`: atoms are repeated, one list at least.
    pub(crate) fn table(&mut self, s: Scope<'_>, keys: &[(Sym, Node)], columns: &[(Sym, Node)]) -> R {
        let mut values = Vec::with_capacity(keys.len() + columns.len());
        for (_, n) in columns.iter().rev() {
            values.push(self.eval(s, n)?);
        }
        for (_, n) in keys.iter().rev() {
            values.push(self.eval(s, n)?);
        }
        values.reverse();
        let n =
            values.iter().filter(|v| !v.is_atom() && !matches!(v, Value::Dict(_))).map(Value::count).max();
        let Some(n) = n else { return Err(QError::rank()) };
        for v in &mut values {
            if v.is_atom() || matches!(v, Value::Dict(_)) {
                *v = Value::from_items(vec![v.clone(); n]);
            }
        }
        let rest = values.split_off(keys.len());
        let names = |list: &[(Sym, Node)]| list.iter().map(|c| c.0).collect::<Vec<Sym>>();
        let body = Table::new(names(columns), rest)?;
        if keys.is_empty() {
            return Ok(Value::table(body));
        }
        let head = Table::new(names(keys), values)?;
        Ok(Value::dict(Dict::new(Value::table(head), Value::table(body))?))
    }

    /// A template: its parts as trees over the values of locals.
    pub(crate) fn query(&mut self, s: Scope<'_>, q: &QueryNode) -> R {
        let limit = q.limit.as_ref().map(|n| self.eval(s, n)).transpose()?;
        let t = self.eval(s, &q.from)?;
        self.refresh_views();
        let base = s.base;
        let parts = {
            let me = &*self;
            let names = &s.code.names;
            let inside = s.lambda.is_some();
            tree::query_parts(&q.query, me, &|n| {
                if !inside {
                    return None;
                }
                let at = names.iter().position(|x| *x == n)?;
                Some(match me.stack.get(base + at) {
                    Some(Value::Hole) | None => Value::empty_list(),
                    Some(v) => v.clone(),
                })
            })?
        };
        let mut args = vec![t, parts.c, parts.b, parts.a];
        match q.query.verb {
            Verb::Select | Verb::Exec => {
                if limit.is_some() || parts.order.is_some() {
                    args.push(limit.unwrap_or(Value::Hole));
                }
                if let Some((down, column)) = parts.order {
                    let sort = super::words::primitive(if down { b">:" } else { b"<:" });
                    args.push(Value::list(vec![sort, column]));
                }
                query::select(self, args)
            }
            Verb::Update | Verb::Delete => query::update(self, args),
        }
    }

    /// Views are evaluated before code that looks names up by itself.
    pub(crate) fn refresh_views(&mut self) {
        if self.views.is_empty() {
            return;
        }
        let stale: Vec<u32> = self.views.iter().filter(|(_, v)| !v.fresh).map(|(i, _)| *i).collect();
        for i in stale {
            if self.view_value(i).is_err() {
                self.at = super::node::NOWHERE;
            }
        }
    }

    /// `eval`.
    pub(crate) fn eval_tree(&mut self, tree: &Value) -> R {
        self.refresh_views();
        query::eval_tree(self, tree)
    }
}
