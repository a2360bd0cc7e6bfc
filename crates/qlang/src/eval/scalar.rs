//! Lambdas that only work on long, float and boolean atoms, run without a [`Value`] per step.
//!
//! A lambda whose nodes all have a type that follows from the types of its arguments, that changes no global and
//! calls nothing but lambdas of this kind, is translated to [`S`]. Such code has no effects: wherever it meets
//! something out of the ordinary (division by zero, too deep a recursion, the end of the budget) it gives up, and the
//! evaluator begins again with the nodes.

mod build;
mod machine;

use std::sync::Arc;

use kvalue::Type;

use self::{
    build::build,
    machine::{BLOCK, Machine},
};
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
