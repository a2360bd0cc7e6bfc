//! Applying every kind of value to arguments.

use std::sync::Arc;

use super::{
    interp::Interp,
    node::{Code, call_of},
    run::Scope,
};
use crate::{
    QError, R,
    ctx::Call,
    value::{Iterator, Lambda, Primitive, Projection, Value},
};

/// How many arguments a function takes before it is evaluated; for functions that take several numbers of
/// arguments, the usual one. Data: 1.
pub(crate) fn rank(f: &Value) -> usize {
    match f {
        Value::Lambda(l) => l.params.len().max(1),
        Value::Prim(p) => usize::from(p.min.max(1)),
        Value::Projection(p) => {
            let holes = p.args.iter().filter(|a| matches!(a, Value::Hole)).count();
            holes + rank(&p.function).saturating_sub(p.args.len())
        }
        Value::Composition(fs) => fs.last().map_or(1, rank),
        Value::Derived(d) => match d.iterator {
            Iterator::EachLeft | Iterator::EachRight => 2,
            Iterator::Each => rank(&d.operand),
            Iterator::Over | Iterator::Scan | Iterator::Prior => 1,
        },
        Value::Host(h) => h.ranks().0.max(1),
        _ => 1,
    }
}

/// Largest number of arguments that a function takes.
fn most(f: &Value) -> usize {
    match f {
        Value::Lambda(l) => l.params.len().max(1),
        Value::Prim(p) => usize::from(p.max),
        Value::Host(h) => h.ranks().1,
        _ => usize::MAX,
    }
}

impl Interp {
    /// `f . args`.
    pub(crate) fn apply_value(&mut self, f: &Value, args: Vec<Value>) -> R {
        if args.iter().any(|a| matches!(a, Value::Hole)) {
            return self.project(f, args);
        }
        match f {
            Value::Lambda(l) => {
                let want = l.params.len().max(1);
                if args.len() == want {
                    self.stack.extend(args);
                    return self.call_lambda(l, want);
                }
                if args.len() > want { Err(QError::rank()) } else { self.project(f, args) }
            }
            Value::Prim(p) => self.primitive(p, args),
            Value::Projection(p) => self.projected(p, args),
            Value::Composition(fs) => {
                let Some((last, rest)) = fs.split_last() else { return Err(QError::rank()) };
                if args.len() < rank(last) {
                    return self.project(f, args);
                }
                let mut v = self.apply_value(last, args)?;
                for g in rest.iter().rev() {
                    v = self.apply1(g, v)?;
                }
                Ok(v)
            }
            Value::Derived(d) => self.derived(d, args),
            Value::Iterator(i) => {
                if args.len() != 1 {
                    let mut args = args;
                    if *i == Iterator::Each && args.len() == 2 {
                        // '[f;g]: a composition
                        let g = args.pop().unwrap_or(Value::Nil);
                        let f = args.pop().unwrap_or(Value::Nil);
                        return Ok(compose(f, g));
                    }
                    return Err(QError::rank());
                }
                let operand = args.into_iter().next().unwrap_or(Value::Nil);
                Ok(crate::value::Derived::value(operand, *i))
            }
            Value::Host(h) => {
                let (least, most) = h.ranks();
                if args.len() > most {
                    return Err(QError::rank());
                }
                if args.len() < least {
                    return self.project(f, args);
                }
                h.call(args)
            }
            Value::Nil => match args.len() {
                1 => Ok(args.into_iter().next().unwrap_or(Value::Nil)),
                2 => Ok(args.into_iter().nth(1).unwrap_or(Value::Nil)),
                _ => Err(QError::rank()),
            },
            Value::Sym(name) if !name.bytes().starts_with(b":") => {
                // A name may hold a name; one that leads back to itself holds nothing.
                let mut name = *name;
                for _ in 0..16 {
                    let g = crate::ctx::Ctx::lookup(self, name);
                    match g.ok_or_else(|| QError::new(name.text()))? {
                        Value::Sym(next) if !next.bytes().starts_with(b":") => name = next,
                        g => return self.apply_value(&g, args),
                    }
                }
                Err(QError::stack())
            }
            Value::Sym(_) | Value::Int(_) | Value::Long(_) | Value::Short(_) | Value::Bool(_) => {
                super::handles::message(self, f, args)
            }
            f => super::indexing::index(self, f, args),
        }
    }

    /// `f x`.
    #[inline]
    pub(crate) fn apply1(&mut self, f: &Value, x: Value) -> R {
        match f {
            Value::Lambda(l) => self.call_lambda1(l, x),
            Value::Prim(p) => match call_of(p) {
                Call::Monad(call) => call(self, x),
                _ => self.primitive(p, vec![x]),
            },
            f => self.apply_value(f, vec![x]),
        }
    }

    /// `f[x;y]`.
    #[inline]
    pub(crate) fn apply2(&mut self, f: &Value, x: Value, y: Value) -> R {
        match f {
            Value::Lambda(l) => self.call_lambda2(l, x, y),
            Value::Prim(p) => match call_of(p) {
                Call::Dyad(call) => call(self, x, y),
                _ => self.primitive(p, vec![x, y]),
            },
            f => self.apply_value(f, vec![x, y]),
        }
    }

    /// A lambda on one argument.
    #[inline]
    pub(crate) fn call_lambda1(&mut self, l: &Arc<Lambda>, x: Value) -> R {
        if l.params.len() > 1 || matches!(x, Value::Hole) {
            return self.project(&Value::Lambda(l.clone()), vec![x]);
        }
        self.stack.push(x);
        self.call_lambda(l, 1)
    }

    /// A lambda on two arguments.
    #[inline]
    pub(crate) fn call_lambda2(&mut self, l: &Arc<Lambda>, x: Value, y: Value) -> R {
        if l.params.len() != 2 {
            return self.apply_value(&Value::Lambda(l.clone()), vec![x, y]);
        }
        self.stack.push(x);
        self.stack.push(y);
        self.call_lambda(l, 2)
    }

    /// A lambda whose arguments lie on the stack.
    pub(crate) fn call_lambda(&mut self, l: &Arc<Lambda>, args: usize) -> R {
        let base = self.stack.len() - args;
        if let Some(v) = super::scalar::on_stack(self, l, base) {
            self.stack.truncate(base);
            return Ok(v);
        }
        if let Err(e) = self.enter() {
            self.stack.truncate(base);
            return Err(e);
        }
        let Some(code) = l.code.downcast_ref::<Code>() else {
            self.depth -= 1;
            let made = self.code_of(l);
            return match made {
                Ok(made) => self.call_lambda(&made, args),
                Err(e) => {
                    self.stack.truncate(base);
                    Err(e)
                }
            };
        };
        let locals = code.names.len() - code.params as usize;
        if locals > 0 {
            self.stack.resize(base + code.names.len(), Value::Hole);
        }
        let outer = std::mem::replace(&mut self.inner, l.context);
        let told = self.failing.is_some();
        if told {
            self.calls.push((l.clone(), self.here));
        }
        let s = Scope { code, lambda: Some(l), base };
        let mut got = Ok(Value::Nil);
        if !code.patterns.is_empty() {
            got = self.take_apart(s);
        }
        if got.is_ok() {
            got = self.body(s);
        }
        self.inner = outer;
        if told {
            self.calls.pop();
        }
        if got.is_err()
            && self.returning.is_none()
            && let Some(f) = &mut self.failing
            && f.levels.len() < 100
        {
            let locals = self.stack[base..].to_vec();
            f.levels.push(super::debug::Level { lambda: l.clone(), locals });
        }
        self.stack.truncate(base);
        self.depth -= 1;
        match got {
            Ok(v) => Ok(v),
            Err(e) => self.failed(e, l, code),
        }
    }

    #[cold]
    #[inline(never)]
    fn failed(&mut self, e: QError, l: &Lambda, code: &Code) -> R {
        let got = self.end_return(Err(e));
        got.map_err(|mut e| {
            let frame = self.frame(code, &l.text, l.origin.clone());
            e.push(frame);
            e
        })
    }

    fn take_apart(&mut self, s: Scope<'_>) -> R {
        for (i, p) in &s.code.patterns {
            let v = self.stack.get(s.base + *i as usize).cloned().unwrap_or(Value::Nil);
            self.bind(s, p, &v)?;
        }
        Ok(Value::Nil)
    }

    /// A lambda that came as text (over a handle, from a file): compiled once for this interpreter.
    #[cold]
    fn code_of(&mut self, l: &Arc<Lambda>) -> R<Arc<Lambda>> {
        let key = Arc::as_ptr(l) as usize;
        if let Some((held, made)) = self.compiled.get(&key)
            && Arc::ptr_eq(held, l)
        {
            return Ok(made.clone());
        }
        let outer = std::mem::replace(&mut self.context, l.context);
        let got = self.run_text(&l.text, l.origin.clone());
        self.context = outer;
        match got? {
            Value::Lambda(made) if made.code.is::<Code>() => {
                self.compiled.insert(key, (l.clone(), made.clone()));
                Ok(made)
            }
            _ => Err(QError::type_()),
        }
    }

    /// A primitive on any number of arguments.
    pub(crate) fn primitive(&mut self, p: &'static Primitive, mut args: Vec<Value>) -> R {
        let n = args.len();
        if n > usize::from(p.max) {
            return Err(QError::rank());
        }
        if n < usize::from(p.min) {
            return self.project(&Value::Prim(p), args);
        }
        match call_of(p) {
            Call::Monad(call) => call(self, args.pop().unwrap_or(Value::Nil)),
            Call::Dyad(call) => {
                let y = args.pop().unwrap_or(Value::Nil);
                let x = args.pop().unwrap_or(Value::Nil);
                call(self, x, y)
            }
            Call::Many(call) => call(self, args),
        }
    }

    /// A function with some of its arguments; data is indexed, with everything in place of holes.
    fn project(&mut self, f: &Value, args: Vec<Value>) -> R {
        match f {
            Value::Projection(p) => return self.projected(p, args),
            Value::Vector(_) | Value::List(_) | Value::Dict(_) | Value::Table(_) | Value::Mapped(_) => {
                let args = args.into_iter().map(|a| if matches!(a, Value::Hole) { Value::Nil } else { a });
                let args = args.collect();
                return super::indexing::index(self, f, args);
            }
            Value::Prim(p) if p.word == "enlist" => {}
            f if args.len() > most(f) => return Err(QError::rank()),
            _ => {}
        }
        Ok(Value::Projection(Arc::new(Projection { function: f.clone(), args })))
    }

    /// A projection on further arguments: they fill the holes, then follow.
    fn projected(&mut self, p: &Projection, args: Vec<Value>) -> R {
        let mut more = args.into_iter();
        let mut all = Vec::with_capacity(p.args.len() + 1);
        for a in &p.args {
            all.push(match a {
                Value::Hole => more.next().unwrap_or(Value::Hole),
                a => a.clone(),
            });
        }
        let given = all.len();
        all.extend(more);
        if all.len() > given && given >= rank(&p.function) {
            return Err(QError::rank());
        }
        self.apply_value(&p.function, all)
    }
}

/// `f g@`: `g` first. Compositions in it are flattened.
pub(crate) fn compose(f: Value, g: Value) -> Value {
    let mut all = Vec::new();
    for v in [f, g] {
        match v {
            Value::Composition(c) => all.extend(c.iter().cloned()),
            v => all.push(v),
        }
    }
    Value::Composition(all.into())
}
