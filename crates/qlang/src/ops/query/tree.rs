//! Evaluates parse trees: by itself (the keyword `eval`), or with the columns of a table as names.

use std::sync::Arc;

use kvalue::Type;

use super::scope::Scope;
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Derived, Sym, Value},
};

/// Deepest nesting of a tree.
const DEEPEST: usize = 500;

/// Evaluates a parse tree: a symbol is a variable, a one-item list is a constant, a longer list applies its head.
pub fn eval_tree(ctx: &mut dyn Ctx, tree: &Value) -> R {
    Evaluator { ctx, scope: None, depth: 0 }.eval(tree)
}

/// Evaluates a parse tree over the columns in scope.
pub fn eval_in(ctx: &mut dyn Ctx, tree: &Value, scope: &mut Scope) -> R {
    if let Value::Sym(name) = tree
        && let Some(at) = scope.position(*name)
    {
        return scope.column(at);
    }
    Evaluator { ctx, scope: Some(scope), depth: 0 }.eval(tree)
}

struct Evaluator<'a> {
    ctx: &'a mut dyn Ctx,
    scope: Option<&'a mut Scope>,
    depth: usize,
}

impl Evaluator<'_> {
    fn eval(&mut self, tree: &Value) -> R {
        match tree {
            Value::Sym(name) => self.name(*name),
            Value::Vector(v) => match &v.data {
                Data::Sym(names) if names.len() == 1 => Ok(Value::Sym(names[0])),
                Data::Sym(names) if names.len() > 1 => self.apply(&tree.items()),
                _ => Ok(tree.clone()),
            },
            Value::List(items) => match items.len() {
                0 => Ok(tree.clone()),
                1 => Ok(items[0].clone()),
                _ => self.apply(items),
            },
            other => Ok(other.clone()),
        }
    }

    fn name(&mut self, name: Sym) -> R {
        if let Some(scope) = &mut self.scope {
            if let Some(v) = scope.name(name)? {
                return Ok(v);
            }
            if let Some(v) = self.dotted(name)? {
                return Ok(v);
            }
        }
        if name.is_null() {
            return Ok(Value::Sym(name));
        }
        self.ctx.lookup(name).ok_or_else(|| QError::new(name.text()))
    }

    /// `time.minute` and `fk.column`, where the part before the first dot is a column.
    fn dotted(&mut self, name: Sym) -> R<Option<Value>> {
        let text = name.bytes();
        let Some(dot) = text.iter().position(|&b| b == b'.').filter(|&d| d > 0) else { return Ok(None) };
        let Some(scope) = &mut self.scope else { return Ok(None) };
        let Some(mut value) = scope.name(Sym::new(&text[..dot]))? else { return Ok(None) };
        for part in text[dot + 1..].split(|&b| b == b'.') {
            value = self.member(value, part)?;
        }
        Ok(Some(value))
    }

    fn member(&mut self, value: Value, part: &[u8]) -> R {
        if let Value::Vector(v) = &value
            && let Data::Enum(domain, codes) = &v.data
        {
            let table = match self.ctx.global(domain.name) {
                Some(t) => t,
                None => return Err(QError::new(domain.name.text())),
            };
            let name = Sym::new(part);
            let column = match &table {
                Value::Dict(d) => match d.as_keyed() {
                    Some((k, t)) => t.column(name).or_else(|| k.column(name)).cloned(),
                    None => None,
                },
                Value::Table(t) => t.column(name).cloned(),
                Value::Mapped(m) => Some(m.column(name)?),
                _ => None,
            };
            let Some(column) = column else { return Err(QError::new(name.text())) };
            let rows: Vec<u32> = codes.iter().map(|&c| u32::try_from(c).unwrap_or(u32::MAX)).collect();
            return Ok(column.gather(&rows));
        }
        crate::ops::text::dollar(self.ctx, Value::sym(part), value)
    }

    fn apply(&mut self, items: &[Value]) -> R {
        if self.depth >= DEEPEST {
            return Err(QError::stack());
        }
        self.depth += 1;
        let answer = self.apply_head(items);
        self.depth -= 1;
        answer
    }

    fn apply_head(&mut self, items: &[Value]) -> R {
        let (head, args) = items.split_first().ok_or_else(QError::type_)?;
        match head {
            // inside a template `$` with three arguments is no condition: `'rank`
            Value::Prim(p) if p.word == "$" && args.len() >= 3 && self.scope.is_none() => {
                return self.cond(args);
            }
            Value::Prim(p) if p.word == "enlist" => return Ok(Value::from_items(self.args(args)?)),
            Value::Prim(p) if p.word == ":" && args.len() == 1 => return self.eval(&args[0]),
            Value::Prim(p) if matches!(p.word, ":" | "::") && args.len() == 2 => {
                return self.assign(args, None);
            }
            Value::Nil if args.len() == 2 => return self.assign(args, None),
            // `x+:y`: the head is the operator's unary form
            Value::Prim(p) if p.ty == 101 && args.len() == 2 && p.text.len() > 1 && p.text.ends_with(':') => {
                return self.assign(args, p.text.strip_suffix(':'));
            }
            Value::Iterator(i) if args.len() == 1 => {
                let operand = self.eval(&args[0])?;
                return Ok(Derived::value(operand, *i));
            }
            Value::Char(b';') => return self.block(args),
            Value::Sym(word) if self.scope.is_none() => match word.bytes() {
                b"if" | b"do" | b"while" => return self.control(word.bytes(), args),
                _ => {}
            },
            _ => {}
        }
        let args = self.args(args)?;
        let function = self.eval_head(head)?;
        let args = if args.len() == 1 && matches!(args[0], Value::Hole) { vec![Value::Nil] } else { args };
        self.ctx.apply(&function, args)
    }

    fn eval_head(&mut self, head: &Value) -> R {
        match head {
            // A name of the query's table, of the namespace, or of q.
            Value::Sym(_) | Value::List(_) => self.eval(head),
            Value::Vector(v) if v.ty == Type::Symbol => self.eval(head),
            other => Ok(other.clone()),
        }
    }

    /// Arguments, from the last to the first.
    fn args(&mut self, args: &[Value]) -> R<Vec<Value>> {
        let mut out = vec![Value::Nil; args.len()];
        for (i, arg) in args.iter().enumerate().rev() {
            out[i] = self.eval(arg)?;
        }
        Ok(out)
    }

    fn cond(&mut self, args: &[Value]) -> R {
        let mut rest = args;
        loop {
            match rest {
                [] => return Ok(Value::Nil),
                [last] => return self.eval(last),
                [test, yes, more @ ..] => {
                    let test = self.eval(test)?;
                    if truth(&test)? {
                        return self.eval(yes);
                    }
                    rest = more;
                }
            }
        }
    }

    fn block(&mut self, args: &[Value]) -> R {
        let mut last = Value::Nil;
        for arg in args {
            last = self.eval(arg)?;
        }
        Ok(last)
    }

    fn control(&mut self, word: &[u8], args: &[Value]) -> R {
        let (test, body) = args.split_first().ok_or_else(QError::rank)?;
        match word {
            b"if" => {
                let test = self.eval(test)?;
                if truth(&test)? {
                    self.block(body)?;
                }
            }
            b"do" => {
                let n = self.eval(test)?.as_int().ok_or_else(QError::type_)?;
                for _ in 0..n.max(0) {
                    self.ctx.check()?;
                    self.block(body)?;
                }
            }
            _ => loop {
                let test = self.eval(test)?;
                if !truth(&test)? {
                    break;
                }
                self.ctx.check()?;
                self.block(body)?;
            },
        }
        Ok(Value::Nil)
    }

    /// `(:;`x;tree)`, `(:;(`x;index);tree)`, and both with an operator.
    fn assign(&mut self, args: &[Value], operator: Option<&str>) -> R {
        let value = self.eval(&args[1])?;
        let target = args[0].items();
        let (name, index) = match (&args[0], target.split_first()) {
            (Value::Sym(name), _) => (*name, Vec::new()),
            (_, Some((Value::Sym(name), index))) if !index.is_empty() => (*name, self.args(index)?),
            _ => return Err(QError::type_()),
        };
        let context = self.ctx.context();
        let full = if context.is_null() || name.bytes().contains(&b'.') {
            name
        } else {
            Sym::new([b".", context.bytes(), b".", name.bytes()].concat())
        };
        if index.is_empty() && operator.is_none() {
            self.ctx.set_global(full, value.clone())?;
            return Ok(value);
        }
        let with = self.ctx.run(&format!("({})", operator.unwrap_or(":")))?;
        let amend = self.ctx.run("(.)")?;
        self.ctx.apply(&amend, vec![Value::Sym(full), Value::list(index), with, value.clone()])?;
        Ok(value)
    }
}

/// A condition's truth: an atom of an integral type that is not zero.
pub fn truth(v: &Value) -> R<bool> {
    v.as_int().map(|n| n != 0).ok_or_else(QError::type_)
}

/// Calls `found` for every name in a tree.
pub fn names_in(tree: &Value, found: &mut dyn FnMut(Sym)) {
    fn go(tree: &Value, found: &mut dyn FnMut(Sym), depth: usize) {
        if depth > DEEPEST {
            return;
        }
        match tree {
            Value::Sym(name) => found(*name),
            Value::Vector(v) => match &v.data {
                Data::Sym(names) if names.len() > 1 => names.iter().for_each(|n| found(*n)),
                _ => {}
            },
            Value::List(items) if items.len() > 1 => items.iter().for_each(|i| go(i, found, depth + 1)),
            _ => {}
        }
    }
    go(tree, found, 0);
}

/// The table of a value: a table, a keyed table's columns after its keys, with the number of keys.
pub fn unkeyed(v: &Value) -> Option<(Arc<crate::value::Table>, usize)> {
    match v {
        Value::Table(t) => Some((t.clone(), 0)),
        Value::Dict(d) => {
            let (k, t) = d.as_keyed()?;
            let names: Vec<Sym> = k.names.iter().chain(t.names.iter()).copied().collect();
            let columns = k.columns.iter().chain(&t.columns).cloned().collect();
            Some((
                Arc::new(crate::value::Table { names: names.into(), columns, sorted: false }),
                k.names.len(),
            ))
        }
        _ => None,
    }
}
