//! Running code: one function, [`Interp::eval`], over the nodes; control in [`Interp::exec`].

use std::sync::Arc;

use kvalue::types::NULL_LONG;

use super::{
    interp::Interp,
    node::{Amend, At, Code, Dyad, Fast, NOWHERE, Node, Target},
};
use crate::{
    Kind, QError, R,
    value::{Derived, Lambda, Value},
};

/// The code that runs and where its locals are on the stack.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) code: &'a Code,
    pub(crate) lambda: Option<&'a Arc<Lambda>>,
    pub(crate) base: usize,
}

impl Interp {
    /// Runs the code of a statement outside of lambdas.
    pub(crate) fn run_code(&mut self, code: &Code) -> R {
        let s = Scope { code, lambda: None, base: self.stack.len() };
        let got = self.body(s);
        self.stack.truncate(s.base);
        self.end_return(got)
    }

    /// The value of `:e` within an expression arrives here.
    #[inline]
    pub(crate) fn end_return(&mut self, got: R) -> R {
        match got {
            Err(e) if self.returning.is_some() && e.kind() == Kind::Stop => {
                self.at = NOWHERE;
                Ok(self.returning.take().unwrap_or(Value::Nil))
            }
            got => got,
        }
    }

    /// Runs the statements of a body.
    #[inline]
    pub(crate) fn body(&mut self, s: Scope<'_>) -> R {
        let code = s.code;
        let Some((last, before)) = code.body.split_last() else { return Ok(Value::Nil) };
        for n in before {
            if let Some(v) = self.exec(s, n)? {
                return Ok(v);
            }
        }
        if code.silent {
            return Ok(self.exec(s, last)?.unwrap_or(Value::Nil));
        }
        match last {
            Node::Return(e) => self.eval(s, e),
            Node::If(..) | Node::Do(..) | Node::While(..) => Ok(self.exec(s, last)?.unwrap_or(Value::Nil)),
            n => self.eval(s, n),
        }
    }

    /// Runs a statement for its effect. `Some` where it returns from the lambda.
    fn exec(&mut self, s: Scope<'_>, n: &Node) -> R<Option<Value>> {
        match n {
            Node::Return(e) => Ok(Some(self.eval(s, e)?)),
            Node::If(list, at) => {
                let Some((c, rest)) = list.split_first() else { return Ok(None) };
                if self.truth(s, c, *at)? {
                    for n in rest {
                        if let Some(v) = self.exec(s, n)? {
                            return Ok(Some(v));
                        }
                    }
                }
                Ok(None)
            }
            Node::While(list, at) => {
                let Some((c, rest)) = list.split_first() else { return Ok(None) };
                while self.truth(s, c, *at)? {
                    self.tick()?;
                    for n in rest {
                        if let Some(v) = self.exec(s, n)? {
                            return Ok(Some(v));
                        }
                    }
                }
                Ok(None)
            }
            Node::Do(list, at) => {
                let Some((c, rest)) = list.split_first() else { return Ok(None) };
                let n = match self.eval(s, c)? {
                    Value::Float(_) | Value::Real(_) => None,
                    v => v.as_int(),
                };
                let Some(n) = n else {
                    self.mark(*at);
                    return Err(QError::type_());
                };
                for _ in 0..n {
                    self.tick()?;
                    for n in rest {
                        if let Some(v) = self.exec(s, n)? {
                            return Ok(Some(v));
                        }
                    }
                }
                Ok(None)
            }
            Node::Block(list) => {
                for n in list {
                    if let Some(v) = self.exec(s, n)? {
                        return Ok(Some(v));
                    }
                }
                Ok(None)
            }
            Node::Cond(list, at) => {
                let mut rest = &list[..];
                while let [c, then, more @ ..] = rest {
                    if self.truth(s, c, *at)? {
                        return self.exec(s, then);
                    }
                    rest = more;
                }
                match rest {
                    [n] => self.exec(s, n),
                    _ => Ok(None),
                }
            }
            Node::Hole => Ok(None),
            n => {
                self.eval(s, n)?;
                Ok(None)
            }
        }
    }

    /// A condition: any integral atom but 0.
    #[inline]
    fn truth(&mut self, s: Scope<'_>, n: &Node, at: At) -> R<bool> {
        match self.eval(s, n)? {
            Value::Bool(b) => Ok(b),
            Value::Long(n) => Ok(n != 0),
            v => match truth_of(&v) {
                Some(b) => Ok(b),
                None => {
                    self.mark(at);
                    Err(QError::type_())
                }
            },
        }
    }

    /// The value of a local.
    #[inline]
    fn local(&self, s: Scope<'_>, i: u32) -> Value {
        match self.stack.get(s.base + i as usize) {
            Some(Value::Hole) | None => Value::empty_list(),
            Some(v) => v.clone(),
        }
    }

    /// The value of a node.
    pub(crate) fn eval(&mut self, s: Scope<'_>, n: &Node) -> R {
        match n {
            Node::Const(v) => Ok(v.clone()),
            Node::Local(i) => Ok(self.local(s, *i)),
            Node::Global(id, name, at) => match self.globals.cell(*id) {
                Value::Hole => {
                    let got = self.miss(*id, *name);
                    if got.is_err() {
                        self.mark(*at);
                    }
                    got
                }
                v => Ok(v.clone()),
            },
            Node::Dyad(d) => self.dyad(s, d),
            Node::Take(i) => Ok(match self.stack.get_mut(s.base + *i as usize) {
                Some(place) => match std::mem::replace(place, Value::Hole) {
                    Value::Hole => Value::empty_list(),
                    v => v,
                },
                None => Value::empty_list(),
            }),
            Node::Monad(p, call, x, at) => {
                let x = self.eval(s, x)?;
                let _ = p;
                self.here = *at;
                call(self, x).inspect_err(|_| self.mark(*at))
            }
            Node::Call1(parts, at) => self.call1(s, &parts.0, &parts.1, *at),
            Node::Call2(parts, at) => {
                let y = self.eval(s, &parts.2)?;
                let x = self.eval(s, &parts.1)?;
                self.here = *at;
                if let Some(l) = self.own(s, &parts.0) {
                    return self.call_lambda2(l, x, y).inspect_err(|_| self.mark(*at));
                }
                let f = self.eval(s, &parts.0)?;
                self.here = *at;
                self.apply2(&f, x, y).inspect_err(|_| self.mark(*at))
            }
            Node::Call(f, args, at) => {
                let mut values = Vec::with_capacity(args.len());
                for a in args.iter().rev() {
                    values.push(match a {
                        Node::Hole => Value::Hole,
                        a => self.eval(s, a)?,
                    });
                }
                values.reverse();
                let f = self.eval(s, f)?;
                self.here = *at;
                self.apply_value(&f, values).inspect_err(|_| self.mark(*at))
            }
            Node::SetLocal(i, value) => {
                let v = self.eval(s, value)?;
                let out = v.clone();
                if let Some(place) = self.stack.get_mut(s.base + *i as usize) {
                    *place = v;
                }
                Ok(out)
            }
            Node::SetGlobal(id, full, value, at) => {
                let v = self.eval(s, value)?;
                self.put_global(*id, *full, v.clone()).inspect_err(|_| self.mark(*at))?;
                Ok(v)
            }
            Node::Cond(list, at) => {
                let mut rest = &list[..];
                while let [c, then, more @ ..] = rest {
                    if self.truth(s, c, *at)? {
                        return self.eval(s, then);
                    }
                    rest = more;
                }
                match rest {
                    [n] => self.eval(s, n),
                    _ => Ok(Value::Nil),
                }
            }
            Node::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for n in items.iter().rev() {
                    values.push(self.eval(s, n)?);
                }
                values.reverse();
                Ok(Value::from_items(values))
            }
            Node::This => match s.lambda {
                Some(l) => Ok(Value::Lambda(l.clone())),
                None => Err(QError::new(".z.s")),
            },
            Node::Hole => Ok(Value::Nil),
            Node::Lambda(l) => Ok(Value::Lambda(l.clone())),
            Node::If(..) | Node::Do(..) | Node::While(..) => match self.exec(s, n)? {
                None => Ok(Value::Nil),
                Some(v) => self.leave(v),
            },
            Node::Block(list) => {
                let Some((last, before)) = list.split_last() else { return Ok(Value::Nil) };
                for n in before {
                    if let Some(v) = self.exec(s, n)? {
                        return self.leave(v);
                    }
                }
                self.eval(s, last)
            }
            Node::Return(e) => {
                let v = self.eval(s, e)?;
                self.leave(v)
            }
            Node::Amend(a) if a.fast != Fast::None => self.step(s, a),
            n => self.eval_rare(s, n),
        }
    }

    /// `x+:y` where both are numbers.
    fn step(&mut self, s: Scope<'_>, a: &Amend) -> R {
        let value = self.eval(s, &a.value)?;
        match a.target {
            Target::Local(i) => {
                if let Some(place) = self.stack.get_mut(s.base + i as usize)
                    && let Some(v) = quick(a.fast, place, &value)
                {
                    *place = v.clone();
                    return Ok(v);
                }
            }
            Target::Global(id, full) => {
                if let Some(v) = quick(a.fast, self.globals.cell(id), &value) {
                    self.put_global(id, full, v.clone()).inspect_err(|_| self.mark(a.at))?;
                    return Ok(v);
                }
            }
        }
        self.amend_with(s, a, value).inspect_err(|_| self.mark(a.at))
    }

    /// Leaves the lambda with this value, from within an expression.
    fn leave(&mut self, v: Value) -> R {
        self.returning = Some(v);
        Err(QError::of(Kind::Stop, "return"))
    }

    #[inline(never)]
    fn eval_rare(&mut self, s: Scope<'_>, n: &Node) -> R {
        match n {
            Node::Derive(f, iterator) => Ok(Derived::value(self.eval(s, f)?, *iterator)),
            Node::Compose(fs) => {
                let mut out = Vec::with_capacity(fs.len());
                for f in fs.iter().rev() {
                    out.push(self.eval(s, f)?);
                }
                out.reverse();
                Ok(Value::Composition(out.into()))
            }
            Node::Signal(e, at) => {
                let v = self.eval(s, e)?;
                self.mark(*at);
                Err(super::trap::signal(&v))
            }
            Node::Amend(a) => self.amend(s, a).inspect_err(|_| self.mark(a.at)),
            Node::Match(parts, at) => {
                let v = self.eval(s, &parts.1)?;
                self.bind(s, &parts.0, &v).inspect_err(|_| self.mark(*at))?;
                Ok(v)
            }
            Node::View(v) => self.make_view(s, v).inspect_err(|_| self.mark(v.at)),
            Node::Table(keys, columns, at) => self.table(s, keys, columns).inspect_err(|_| self.mark(*at)),
            Node::Dict(entries) => {
                let mut values = Vec::with_capacity(entries.len());
                for (_, n) in entries.iter().rev() {
                    values.push(self.eval(s, n)?);
                }
                values.reverse();
                let keys = Value::syms(entries.iter().map(|e| e.0).collect());
                Ok(Value::dict(crate::value::Dict::new(keys, Value::from_items(values))?))
            }
            Node::Query(q) => self.query(s, q).inspect_err(|_| self.mark(q.at)),
            _ => Err(QError::nyi()),
        }
    }

    /// The lambda that runs, where this node names it: a call of itself needs no new reference.
    #[inline]
    fn own<'a>(&self, s: Scope<'a>, f: &Node) -> Option<&'a Arc<Lambda>> {
        let l = s.lambda?;
        match f {
            Node::This => Some(l),
            Node::Global(id, ..) => match self.globals.cell(*id) {
                Value::Lambda(g) if Arc::ptr_eq(g, l) => Some(l),
                _ => None,
            },
            _ => None,
        }
    }

    #[inline]
    fn call1(&mut self, s: Scope<'_>, f: &Node, x: &Node, at: At) -> R {
        let x = self.eval(s, x)?;
        self.here = at;
        if let Some(l) = self.own(s, f) {
            return self.call_lambda1(l, x).inspect_err(|_| self.mark(at));
        }
        let f = self.eval(s, f)?;
        self.here = at;
        self.apply1(&f, x).inspect_err(|_| self.mark(at))
    }

    #[inline]
    fn dyad(&mut self, s: Scope<'_>, d: &Dyad) -> R {
        if d.fast == Fast::Join {
            return self.join(s, d);
        }
        let y = self.eval(s, &d.y)?;
        let x = self.eval(s, &d.x)?;
        if let Some(v) = quick(d.fast, &x, &y) {
            return Ok(v);
        }
        (d.call)(self, x, y).inspect_err(|_| self.mark(d.at))
    }
}

impl Interp {
    /// `x,y`: at the end of `x` where nobody else holds it.
    fn join(&mut self, s: Scope<'_>, d: &Dyad) -> R {
        if let Node::Monad(p, call, y, at) = &d.y
            && p.word == "string"
        {
            // digits go to the end of a string without a string of their own
            let y = self.eval(s, y)?;
            let y = match y {
                Value::Long(n) => {
                    let x = self.eval(s, &d.x)?;
                    match super::inplace::digits(x, n) {
                        Ok(v) => return Ok(v),
                        Err(x) => {
                            let y = call(self, Value::Long(n)).inspect_err(|_| self.mark(*at))?;
                            return (d.call)(self, x, y).inspect_err(|_| self.mark(d.at));
                        }
                    }
                }
                y => call(self, y).inspect_err(|_| self.mark(*at))?,
            };
            let x = self.eval(s, &d.x)?;
            return (d.call)(self, x, y).inspect_err(|_| self.mark(d.at));
        }
        let y = self.eval(s, &d.y)?;
        let x = self.eval(s, &d.x)?;
        match super::inplace::join(x, &y) {
            Ok(v) => Ok(v),
            Err(x) => (d.call)(self, x, y).inspect_err(|_| self.mark(d.at)),
        }
    }
}

/// What a condition may be.
pub(crate) fn truth_of(v: &Value) -> Option<bool> {
    match v {
        Value::Bool(b) => Some(*b),
        Value::Float(x) => Some(*x != 0.0),
        Value::Real(x) => Some(*x != 0.0),
        Value::Guid(_) | Value::Sym(_) | Value::Enum(_) => None,
        v => v.as_int().map(|n| n != 0),
    }
}

/// Operators on two longs or two floats.
#[inline(always)]
pub(crate) fn quick(op: Fast, x: &Value, y: &Value) -> Option<Value> {
    match (x, y) {
        (Value::Long(a), Value::Long(b)) => {
            let (a, b) = (*a, *b);
            let none = a == NULL_LONG || b == NULL_LONG;
            Some(match op {
                Fast::Less => Value::Bool(a < b),
                Fast::More => Value::Bool(a > b),
                Fast::Equal | Fast::Match => Value::Bool(a == b),
                Fast::Differ => Value::Bool(a != b),
                Fast::NotMore => Value::Bool(a <= b),
                Fast::NotLess => Value::Bool(a >= b),
                Fast::And => Value::Long(a.min(b)),
                Fast::Or => Value::Long(a.max(b)),
                Fast::Add if !none => Value::Long(a.wrapping_add(b)),
                Fast::Sub if !none => Value::Long(a.wrapping_sub(b)),
                Fast::Mul if !none => Value::Long(a.wrapping_mul(b)),
                Fast::Div if !none && b > 0 => Value::Long(a.div_euclid(b)),
                Fast::Mod if !none && b > 0 => Value::Long(a.rem_euclid(b)),
                _ => return None,
            })
        }
        (Value::Float(a), Value::Float(b)) => {
            let (a, b) = (*a, *b);
            Some(match op {
                Fast::Add => Value::Float(a + b),
                Fast::Sub => Value::Float(a - b),
                Fast::Mul => Value::Float(a * b),
                Fast::Divide => Value::Float(a / b),
                _ => return None,
            })
        }
        _ => None,
    }
}
