//! Lambdas that only work on long, float and boolean atoms, run without a [`Value`] per step.
//!
//! A lambda whose nodes all have a type that follows from the types of its arguments, that changes no global and
//! calls nothing but lambdas of this kind, is translated to [`S`]. Such code has no effects: wherever it meets
//! something out of the ordinary (division by zero, too deep a recursion, the end of the budget) it gives up, and the
//! evaluator begins again with the nodes.

mod build;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use kvalue::{Type, types::NULL_LONG};

use self::build::build;
use super::{interp::Interp, node::Code};
use crate::value::{Buf, Data, Lambda, Value};

/// Locals of a lambda at most.
const LOCALS: usize = 8;

/// Calls within calls at most: code that is not optimised takes more of the stack for each.
const DEPTH: u32 = if cfg!(debug_assertions) { 200 } else { 2000 };

type Frame = [i64; LOCALS];

/// Type of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ty {
    Long,
    Float,
    Bool,
}

/// A node: its value is an i64, for floats their bits, for booleans 0 and 1.
#[derive(Debug)]
enum S {
    Const(i64),
    Local(u8),
    Global(u8),
    /// local + constant that is no null
    AddConst(u8, i64),
    Add(Box<(S, S)>),
    Sub(Box<(S, S)>),
    Mul(Box<(S, S)>),
    Div(Box<(S, S)>),
    Mod(Box<(S, S)>),
    Min(Box<(S, S)>),
    Max(Box<(S, S)>),
    FAdd(Box<(S, S)>),
    FSub(Box<(S, S)>),
    FMul(Box<(S, S)>),
    FDiv(Box<(S, S)>),
    ToFloat(Box<S>),
    /// local < constant
    LessConst(u8, i64),
    Less(Box<(S, S)>),
    NotMore(Box<(S, S)>),
    Equal(Box<(S, S)>),
    Not(Box<S>),
    Neg(Box<S>),
    FNeg(Box<S>),
    Cond(Box<(S, S, S)>),
    /// local < constant, then, else
    CondLess(u8, i64, Box<(S, S)>),
    Set(u8, Box<S>),
    /// the function that runs
    Own(Box<S>),
    Call(u8, Box<[S]>),
}

/// A statement.
#[derive(Debug)]
enum Step {
    Do(S),
    Return(S),
    If(S, Box<[Step]>),
    While(S, Box<[Step]>),
    Times(S, Box<[Step]>),
}

/// A translated lambda.
#[derive(Debug)]
struct Function {
    steps: Box<[Step]>,
    /// the value; `None` where all ways end in [`Step::Return`]
    last: Option<S>,
    ty: Ty,
    /// one argument, no other local, nothing is set: see [`Machine::one`]
    single: bool,
}

/// A lambda with what it calls.
#[derive(Debug)]
pub(crate) struct Program {
    functions: Vec<Function>,
    /// cells that must still hold these lambdas
    calls: Vec<(u32, Arc<Lambda>)>,
    /// cells of long atoms that are read
    globals: Vec<u32>,
    /// the first argument is read
    reads: bool,
}

/// A run of a program.
struct Machine<'a> {
    program: &'a Program,
    globals: [i64; LOCALS],
    depth: u32,
    /// steps until clock and caller are asked again
    left: u32,
    end: Option<Instant>,
    cancel: Option<Arc<AtomicBool>>,
}

/// Steps between two looks at the clock.
const BLOCK: u32 = 1_000_000;

impl Machine<'_> {
    /// `None` once the time is over or the caller is gone: the nodes then say so.
    #[cold]
    #[inline(never)]
    fn refill(&mut self) -> Option<()> {
        let over = self.end.is_some_and(|end| Instant::now() > end);
        let gone = self.cancel.as_ref().is_some_and(|c| c.load(Ordering::Relaxed));
        self.left = BLOCK;
        if over || gone { None } else { Some(()) }
    }

    #[inline(always)]
    fn step(&mut self) -> Option<()> {
        if self.left == 0 {
            self.refill()?;
        }
        self.left -= 1;
        Some(())
    }

    #[inline(always)]
    fn quick(&mut self, f: &Function, l: &mut Frame, n: &S) -> Option<i64> {
        match n {
            S::Const(c) => Some(*c),
            S::Local(i) => Some(l[*i as usize & (LOCALS - 1)]),
            S::AddConst(i, c) => {
                let a = l[*i as usize & (LOCALS - 1)];
                Some(if a == NULL_LONG { a } else { a.wrapping_add(*c) })
            }
            n => self.ev(f, l, n),
        }
    }

    #[inline(always)]
    fn two(&mut self, f: &Function, l: &mut Frame, p: &(S, S)) -> Option<(i64, i64)> {
        let y = self.quick(f, l, &p.1)?;
        let x = self.quick(f, l, &p.0)?;
        Some((x, y))
    }

    #[inline(always)]
    fn floats(&mut self, f: &Function, l: &mut Frame, p: &(S, S)) -> Option<(f64, f64)> {
        let (x, y) = self.two(f, l, p)?;
        Some((f64::from_bits(x as u64), f64::from_bits(y as u64)))
    }

    fn ev(&mut self, f: &Function, l: &mut Frame, n: &S) -> Option<i64> {
        let some = |v: i64| Some(v);
        let float = |v: f64| Some(v.to_bits() as i64);
        match n {
            S::CondLess(i, c, p) => {
                if l[*i as usize & (LOCALS - 1)] < *c {
                    self.quick(f, l, &p.0)
                } else {
                    self.ev(f, l, &p.1)
                }
            }
            S::Add(p) => {
                let (x, y) = self.two(f, l, p)?;
                some(if x == NULL_LONG || y == NULL_LONG { NULL_LONG } else { x.wrapping_add(y) })
            }
            S::Own(x) => {
                let x = self.quick(f, l, x)?;
                let mut inner = [0; LOCALS];
                inner[0] = x;
                self.call(f, &mut inner)
            }
            S::Const(c) => some(*c),
            S::Local(i) => some(l[*i as usize & (LOCALS - 1)]),
            S::Global(i) => some(self.globals[*i as usize & (LOCALS - 1)]),
            S::AddConst(i, c) => {
                let a = l[*i as usize & (LOCALS - 1)];
                some(if a == NULL_LONG { a } else { a.wrapping_add(*c) })
            }
            S::Sub(p) => {
                let (x, y) = self.two(f, l, p)?;
                some(if x == NULL_LONG || y == NULL_LONG { NULL_LONG } else { x.wrapping_sub(y) })
            }
            S::Mul(p) => {
                let (x, y) = self.two(f, l, p)?;
                some(if x == NULL_LONG || y == NULL_LONG { NULL_LONG } else { x.wrapping_mul(y) })
            }
            S::Div(p) => {
                let (x, y) = self.two(f, l, p)?;
                if x == NULL_LONG || y <= 0 { None } else { some(x.div_euclid(y)) }
            }
            S::Mod(p) => {
                let (x, y) = self.two(f, l, p)?;
                if x == NULL_LONG || y <= 0 { None } else { some(x.rem_euclid(y)) }
            }
            S::Min(p) => {
                let (x, y) = self.two(f, l, p)?;
                some(x.min(y))
            }
            S::Max(p) => {
                let (x, y) = self.two(f, l, p)?;
                some(x.max(y))
            }
            S::FAdd(p) => {
                let (x, y) = self.floats(f, l, p)?;
                float(x + y)
            }
            S::FSub(p) => {
                let (x, y) = self.floats(f, l, p)?;
                float(x - y)
            }
            S::FMul(p) => {
                let (x, y) = self.floats(f, l, p)?;
                float(x * y)
            }
            S::FDiv(p) => {
                let (x, y) = self.floats(f, l, p)?;
                float(x / y)
            }
            S::ToFloat(x) => match self.ev(f, l, x)? {
                NULL_LONG => None,
                n => float(n as f64),
            },
            S::LessConst(i, c) => some(i64::from(l[*i as usize & (LOCALS - 1)] < *c)),
            S::Less(p) => {
                let (x, y) = self.two(f, l, p)?;
                some(i64::from(x < y))
            }
            S::NotMore(p) => {
                let (x, y) = self.two(f, l, p)?;
                some(i64::from(x <= y))
            }
            S::Equal(p) => {
                let (x, y) = self.two(f, l, p)?;
                some(i64::from(x == y))
            }
            S::Not(x) => some(i64::from(self.ev(f, l, x)? == 0)),
            S::Neg(x) => some(self.ev(f, l, x)?.wrapping_neg()),
            S::FNeg(x) => float(-f64::from_bits(self.ev(f, l, x)? as u64)),
            S::Cond(p) => {
                if self.ev(f, l, &p.0)? != 0 {
                    self.ev(f, l, &p.1)
                } else {
                    self.ev(f, l, &p.2)
                }
            }
            S::Set(i, x) => {
                let x = self.ev(f, l, x)?;
                l[*i as usize & (LOCALS - 1)] = x;
                some(x)
            }
            S::Call(which, args) => {
                let mut inner = [0; LOCALS];
                for (i, a) in args.iter().enumerate().rev() {
                    inner[i & (LOCALS - 1)] = self.ev(f, l, a)?;
                }
                let program = self.program;
                let g = program.functions.get(*which as usize)?;
                self.call(g, &mut inner)
            }
        }
    }

    /// As [`Self::ev`] in a function of one argument that sets nothing: the argument stays in a register.
    fn one(&mut self, f: &Function, x: i64, n: &S, depth: u32) -> Option<i64> {
        match n {
            S::CondLess(_, c, p) => {
                if x < *c {
                    self.simple(f, x, &p.0, depth)
                } else {
                    self.one(f, x, &p.1, depth)
                }
            }
            S::Add(p) => {
                let b = self.simple(f, x, &p.1, depth)?;
                let a = self.simple(f, x, &p.0, depth)?;
                Some(if a == NULL_LONG || b == NULL_LONG { NULL_LONG } else { a.wrapping_add(b) })
            }
            S::Mul(p) => {
                let b = self.simple(f, x, &p.1, depth)?;
                let a = self.simple(f, x, &p.0, depth)?;
                Some(if a == NULL_LONG || b == NULL_LONG { NULL_LONG } else { a.wrapping_mul(b) })
            }
            n => self.simple(f, x, n, depth),
        }
    }

    #[inline(always)]
    fn simple(&mut self, f: &Function, x: i64, n: &S, depth: u32) -> Option<i64> {
        match n {
            S::Own(arg) => {
                let arg = match &**arg {
                    S::AddConst(_, c) => {
                        if x == NULL_LONG {
                            x
                        } else {
                            x.wrapping_add(*c)
                        }
                    }
                    arg => self.one(f, x, arg, depth)?,
                };
                if depth >= DEPTH {
                    return None;
                }
                self.step()?;
                self.one(f, arg, f.last.as_ref()?, depth + 1)
            }
            S::Local(_) => Some(x),
            S::Const(c) => Some(*c),
            S::AddConst(_, c) => Some(if x == NULL_LONG { x } else { x.wrapping_add(*c) }),
            S::CondLess(..) | S::Add(_) | S::Mul(_) => self.one(f, x, n, depth),
            n => self.other(f, x, n, depth),
        }
    }

    /// What [`Self::one`] leaves to [`Self::ev`].
    #[inline(never)]
    fn other(&mut self, f: &Function, x: i64, n: &S, depth: u32) -> Option<i64> {
        let mut frame = [0; LOCALS];
        frame[0] = x;
        let before = std::mem::replace(&mut self.depth, depth);
        let got = self.ev(f, &mut frame, n);
        self.depth = before;
        got
    }

    /// A function on arguments that lie in its frame.
    #[inline(always)]
    fn call(&mut self, f: &Function, l: &mut Frame) -> Option<i64> {
        if self.depth >= DEPTH {
            return None;
        }
        self.step()?;
        self.depth += 1;
        let got = match (&f.steps[..], &f.last) {
            (_, Some(last)) if f.single => {
                let depth = self.depth;
                self.one(f, l[0], last, depth)
            }
            ([], Some(last)) => self.ev(f, l, last),
            _ => self.steps(f, l),
        };
        self.depth -= 1;
        got
    }

    #[inline(never)]
    fn steps(&mut self, f: &Function, l: &mut Frame) -> Option<i64> {
        if let Some(v) = self.run(f, l, &f.steps)? {
            return Some(v);
        }
        match &f.last {
            Some(last) => self.ev(f, l, last),
            None => None,
        }
    }

    /// `Some(Some(v))` where the function returns.
    fn run(&mut self, f: &Function, l: &mut Frame, steps: &[Step]) -> Option<Option<i64>> {
        for s in steps {
            match s {
                Step::Do(n) => {
                    self.ev(f, l, n)?;
                }
                Step::Return(n) => return Some(Some(self.ev(f, l, n)?)),
                Step::If(c, body) => {
                    if self.ev(f, l, c)? != 0
                        && let Some(v) = self.run(f, l, body)?
                    {
                        return Some(Some(v));
                    }
                }
                Step::While(c, body) => {
                    while self.ev(f, l, c)? != 0 {
                        self.step()?;
                        if let Some(v) = self.run(f, l, body)? {
                            return Some(Some(v));
                        }
                    }
                }
                Step::Times(n, body) => {
                    for _ in 0..self.ev(f, l, n)? {
                        self.step()?;
                        if let Some(v) = self.run(f, l, body)? {
                            return Some(Some(v));
                        }
                    }
                }
            }
        }
        Some(None)
    }
}

/// The program of a lambda for arguments of one type, where it has one.
fn program<'a>(interp: &mut Interp, l: &'a Arc<Lambda>, ty: Ty) -> Option<&'a Program> {
    let code = l.code.downcast_ref::<Code>()?;
    let place = match ty {
        Ty::Long => &code.long,
        Ty::Float => &code.float,
        Ty::Bool => return None,
    };
    let program = match place.get() {
        Some(p) => p.as_ref()?,
        None => {
            let built = build(interp, l, ty);
            place.get_or_init(|| built).as_ref()?
        }
    };
    for (cell, callee) in &program.calls {
        match interp.globals.cell(*cell) {
            Value::Lambda(now) if Arc::ptr_eq(now, callee) => {}
            _ => return None,
        }
    }
    Some(program)
}

fn machine<'a>(interp: &mut Interp, program: &'a Program) -> Option<Machine<'a>> {
    let mut globals = [0; LOCALS];
    for (i, cell) in program.globals.iter().enumerate() {
        match interp.globals.cell(*cell) {
            Value::Long(n) => globals[i & (LOCALS - 1)] = *n,
            _ => return None,
        }
    }
    let (end, cancel) = interp.bounds();
    Some(Machine { program, globals, depth: 0, left: BLOCK, end, cancel })
}

fn wrap(ty: Ty, v: i64) -> Value {
    match ty {
        Ty::Long => Value::Long(v),
        Ty::Float => Value::Float(f64::from_bits(v as u64)),
        Ty::Bool => Value::Bool(v != 0),
    }
}

fn unwrap(v: &Value) -> Option<(Ty, i64)> {
    match v {
        Value::Long(n) => Some((Ty::Long, *n)),
        Value::Float(x) => Some((Ty::Float, x.to_bits() as i64)),
        _ => None,
    }
}

/// The value of a lambda whose arguments lie on the stack from `base`; `None` where it is not of this kind.
#[inline]
pub(crate) fn on_stack(interp: &mut Interp, l: &Arc<Lambda>, base: usize) -> Option<Value> {
    let args = interp.stack.get(base..)?;
    if let [Value::Nil] = args {
        let program = program(interp, l, Ty::Long).filter(|p| !p.reads)?;
        let mut m = machine(interp, program)?;
        let f = program.functions.first()?;
        let v = m.call(f, &mut [0; LOCALS])?;
        return Some(wrap(f.ty, v));
    }
    let (ty, first) = unwrap(args.first()?)?;
    let mut frame = [0; LOCALS];
    frame[0] = first;
    for (i, a) in args.iter().enumerate().skip(1) {
        let (t, v) = unwrap(a)?;
        if t != ty || i >= LOCALS {
            return None;
        }
        frame[i] = v;
    }
    let program = program(interp, l, ty)?;
    let mut m = machine(interp, program)?;
    let f = program.functions.first()?;
    let v = m.call(f, &mut frame)?;
    Some(wrap(f.ty, v))
}

/// `n f/x`; `None` where `f` or `x` are not of this kind.
pub(crate) fn repeat(interp: &mut Interp, f: &Value, n: i64, x: &Value) -> Option<Value> {
    let Value::Lambda(l) = f else { return None };
    let (ty, mut v) = unwrap(x)?;
    if l.params.len() != 1 || n <= 0 {
        return None;
    }
    let program = program(interp, l, ty)?;
    let f = program.functions.first().filter(|f| f.ty == ty)?;
    let mut m = machine(interp, program)?;
    for _ in 0..n {
        let mut frame = [0; LOCALS];
        frame[0] = v;
        v = m.call(f, &mut frame)?;
    }
    Some(wrap(ty, v))
}

/// `f each x` over a vector of longs or floats.
pub(crate) fn each(interp: &mut Interp, f: &Value, x: &Value) -> Option<Value> {
    let (Value::Lambda(l), Value::Vector(v)) = (f, x) else { return None };
    if l.params.len() != 1 || v.is_empty() {
        return None;
    }
    let ty = type_of(v.ty)?;
    let program = program(interp, l, ty)?;
    let f = program.functions.first()?;
    let mut m = machine(interp, program)?;
    let mut out: Vec<i64> = Vec::with_capacity(v.len());
    let mut one = |bits: i64| -> Option<()> {
        let mut frame = [0; LOCALS];
        frame[0] = bits;
        out.push(m.call(f, &mut frame)?);
        Some(())
    };
    match &v.data {
        Data::I64(a) => a.iter().try_for_each(|n| one(*n))?,
        Data::F64(a) => a.iter().try_for_each(|x| one(x.to_bits() as i64))?,
        _ => return None,
    }
    Some(vector(f.ty, out))
}

/// `first f/x` over a vector of longs or floats, with all values where `scan`.
pub(crate) fn fold(
    interp: &mut Interp,
    f: &Value,
    first: &Value,
    x: &Value,
    from: usize,
    scan: bool,
) -> Option<Value> {
    let (Value::Lambda(l), Value::Vector(v)) = (f, x) else { return None };
    let (ty, mut bits) = unwrap(first)?;
    if l.params.len() != 2 || type_of(v.ty) != Some(ty) {
        return None;
    }
    let program = program(interp, l, ty)?;
    let f = program.functions.first().filter(|f| f.ty == ty)?;
    let mut m = machine(interp, program)?;
    let mut out: Vec<i64> = Vec::with_capacity(if scan { v.len() } else { 0 });
    if scan && from == 1 {
        out.push(bits);
    }
    let mut one = |y: i64| -> Option<()> {
        let mut frame = [0; LOCALS];
        frame[0] = bits;
        frame[1] = y;
        bits = m.call(f, &mut frame)?;
        if scan {
            out.push(bits);
        }
        Some(())
    };
    match &v.data {
        Data::I64(a) => a.iter().skip(from).try_for_each(|n| one(*n))?,
        Data::F64(a) => a.iter().skip(from).try_for_each(|x| one(x.to_bits() as i64))?,
        _ => return None,
    }
    Some(if scan { vector(ty, out) } else { wrap(ty, bits) })
}

fn type_of(t: Type) -> Option<Ty> {
    match t {
        Type::Long => Some(Ty::Long),
        Type::Float => Some(Ty::Float),
        _ => None,
    }
}

fn vector(ty: Ty, bits: Vec<i64>) -> Value {
    match ty {
        Ty::Long => Value::longs(bits),
        Ty::Float => {
            let floats: Buf<f64> = bits.into_iter().map(|b| f64::from_bits(b as u64)).collect();
            Value::vector(Type::Float, Data::F64(floats))
        }
        Ty::Bool => Value::bools(bits.into_iter().map(|b| b != 0).collect()),
    }
}
