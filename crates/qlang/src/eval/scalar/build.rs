//! From a lambda's nodes to [`S`], where every node has a type.

use std::sync::Arc;

use kvalue::types::NULL_LONG;

use super::{Function, LOCALS, Program, S, Step, Ty};
use crate::{
    eval::{
        interp::Interp,
        node::{Code, Dyad, Fast, Node, Target},
    },
    value::{Lambda, Value},
};

/// Functions of a program at most.
const FUNCTIONS: usize = 16;

/// The program of a lambda for arguments of one type.
pub(super) fn build(interp: &Interp, l: &Arc<Lambda>, ty: Ty) -> Option<Program> {
    let mut b = Builder {
        interp,
        functions: Vec::new(),
        known: Vec::new(),
        calls: Vec::new(),
        globals: Vec::new(),
        reads: false,
    };
    b.function(l, ty)?;
    let functions = b.functions.into_iter().collect::<Option<Vec<Function>>>()?;
    Some(Program { functions, calls: b.calls, globals: b.globals, reads: b.reads })
}

struct Builder<'a> {
    interp: &'a Interp,
    functions: Vec<Option<Function>>,
    /// lambdas by number, with the types of arguments and value
    known: Vec<(Arc<Lambda>, Ty, Option<Ty>)>,
    calls: Vec<(u32, Arc<Lambda>)>,
    globals: Vec<u32>,
    /// a first argument is read
    reads: bool,
}

/// What is known while one function is built.
struct Inside<'a> {
    lambda: &'a Arc<Lambda>,
    arguments: Ty,
    value: Ty,
    locals: [Option<Ty>; LOCALS],
    /// assigned on every way to here
    set: [bool; LOCALS],
    returns: Option<Ty>,
    recursive: bool,
    /// a local is set
    sets: bool,
}

impl Builder<'_> {
    /// Number and type of a function's value.
    fn function(&mut self, l: &Arc<Lambda>, ty: Ty) -> Option<(u8, Ty)> {
        if let Some(i) = self.known.iter().position(|k| Arc::ptr_eq(&k.0, l) && k.1 == ty) {
            return Some((i as u8, self.known[i].2?));
        }
        let code = l.code.downcast_ref::<Code>()?;
        let params = code.params as usize;
        if code.silent || !code.patterns.is_empty() || code.names.len() > LOCALS || params == 0 {
            return None;
        }
        if self.functions.len() == FUNCTIONS {
            return None;
        }
        let number = self.functions.len();
        self.functions.push(None);
        self.known.push((l.clone(), ty, None));
        for guess in [ty, Ty::Long, Ty::Float, Ty::Bool] {
            let mut s = Inside {
                lambda: l,
                arguments: ty,
                value: guess,
                locals: [None; LOCALS],
                set: [false; LOCALS],
                returns: None,
                recursive: false,
                sets: false,
            };
            for i in 0..params {
                s.locals[i] = Some(ty);
                s.set[i] = true;
            }
            let Some(f) = self.body(&mut s, code) else {
                if s.recursive {
                    continue;
                }
                return None;
            };
            if s.recursive && f.ty != guess {
                continue;
            }
            let ty = f.ty;
            self.functions[number] = Some(f);
            self.known[number].2 = Some(ty);
            return Some((number as u8, ty));
        }
        None
    }

    fn body(&mut self, s: &mut Inside<'_>, code: &Code) -> Option<Function> {
        let (last, before) = code.body.split_last()?;
        let mut steps = Vec::new();
        for n in before {
            steps.push(self.step(s, n)?);
        }
        let (last, ty) = match last {
            Node::Return(e) => self.node(s, e)?,
            Node::If(..) | Node::While(..) | Node::Do(..) => return None,
            n => self.node(s, n)?,
        };
        if s.returns.is_some_and(|r| r != ty) {
            return None;
        }
        let single = code.names.len() == 1 && steps.is_empty() && !s.sets;
        Some(Function { steps: steps.into(), last: Some(last), ty, single })
    }

    fn step(&mut self, s: &mut Inside<'_>, n: &Node) -> Option<Step> {
        Some(match n {
            Node::Return(e) => {
                let (e, ty) = self.node(s, e)?;
                if s.returns.is_some_and(|r| r != ty) {
                    return None;
                }
                s.returns = Some(ty);
                Step::Return(e)
            }
            Node::If(list, _) => {
                let (c, body) = self.block(s, list, false)?;
                Step::If(c, body)
            }
            Node::While(list, _) => {
                let (c, body) = self.block(s, list, false)?;
                Step::While(c, body)
            }
            Node::Do(list, _) => {
                let (c, body) = self.block(s, list, true)?;
                Step::Times(c, body)
            }
            n => Step::Do(self.node(s, n)?.0),
        })
    }

    /// A condition or count with its statements: variables set inside may be unset afterwards.
    fn block(&mut self, s: &mut Inside<'_>, list: &[Node], count: bool) -> Option<(S, Box<[Step]>)> {
        let (c, rest) = list.split_first()?;
        let (c, ty) = self.node(s, c)?;
        if ty == Ty::Float || count && ty != Ty::Long {
            return None;
        }
        let set = s.set;
        let mut body = Vec::with_capacity(rest.len());
        for n in rest {
            body.push(self.step(s, n)?);
        }
        s.set = set;
        Some((c, body.into()))
    }

    fn node(&mut self, s: &mut Inside<'_>, n: &Node) -> Option<(S, Ty)> {
        Some(match n {
            Node::Const(Value::Long(c)) => (S::Const(*c), Ty::Long),
            Node::Const(Value::Float(c)) => (S::Const(c.to_bits() as i64), Ty::Float),
            Node::Const(Value::Bool(c)) => (S::Const(i64::from(*c)), Ty::Bool),
            Node::Local(i) | Node::Take(i) => {
                let k = *i as usize;
                if !*s.set.get(k)? {
                    return None;
                }
                self.reads |= k == 0;
                (S::Local(k as u8), s.locals[k]?)
            }
            Node::Global(id, ..) => {
                let Value::Long(_) = self.interp.globals.cell(*id) else { return None };
                let at = match self.globals.iter().position(|g| g == id) {
                    Some(at) => at,
                    None if self.globals.len() < LOCALS => {
                        self.globals.push(*id);
                        self.globals.len() - 1
                    }
                    None => return None,
                };
                (S::Global(at as u8), Ty::Long)
            }
            Node::Dyad(d) => self.dyad(s, d)?,
            Node::Monad(p, _, x, _) => {
                let (x, ty) = self.node(s, x)?;
                match (p.word, ty) {
                    ("neg", Ty::Long) => (S::Neg(Box::new(x)), Ty::Long),
                    ("neg", Ty::Float) => (S::FNeg(Box::new(x)), Ty::Float),
                    ("not", Ty::Long | Ty::Bool) => (S::Not(Box::new(x)), Ty::Bool),
                    _ => return None,
                }
            }
            Node::Cond(list, _) => self.cond(s, list)?,
            Node::SetLocal(i, x) => {
                let (x, ty) = self.node(s, x)?;
                self.set(s, *i, x, ty)?
            }
            Node::Amend(a) => {
                let (Target::Local(i), None, Some(Node::Const(Value::Prim(p)))) =
                    (a.target, &a.index, &a.with)
                else {
                    return None;
                };
                let y = self.node(s, &a.value)?;
                let k = i as usize;
                if !*s.set.get(k)? {
                    return None;
                }
                self.reads |= k == 0;
                let x = (S::Local(k as u8), s.locals[k]?);
                let op = match p.word {
                    "+" => Fast::Add,
                    "-" => Fast::Sub,
                    "*" => Fast::Mul,
                    "%" => Fast::Divide,
                    _ => return None,
                };
                let (x, ty) = combine(op, x, y)?;
                self.set(s, i, x, ty)?
            }
            Node::Call1(parts, _) => self.call(s, &parts.0, &[&parts.1])?,
            Node::Call2(parts, _) => self.call(s, &parts.0, &[&parts.1, &parts.2])?,
            Node::Call(f, args, _) => self.call(s, f, &args.iter().collect::<Vec<&Node>>())?,
            Node::Block(list) if list.len() == 1 => self.node(s, &list[0])?,
            _ => return None,
        })
    }

    fn set(&mut self, s: &mut Inside<'_>, i: u32, x: S, ty: Ty) -> Option<(S, Ty)> {
        let k = i as usize;
        if k >= LOCALS || s.locals[k].is_some_and(|t| t != ty) {
            return None;
        }
        s.locals[k] = Some(ty);
        s.set[k] = true;
        s.sets = true;
        Some((S::Set(k as u8, Box::new(x)), ty))
    }

    fn dyad(&mut self, s: &mut Inside<'_>, d: &Dyad) -> Option<(S, Ty)> {
        let y = self.node(s, &d.y)?;
        let x = self.node(s, &d.x)?;
        combine(d.fast, x, y)
    }

    fn cond(&mut self, s: &mut Inside<'_>, list: &[Node]) -> Option<(S, Ty)> {
        let [c, then, more @ ..] = list else { return None };
        let (c, t) = self.node(s, c)?;
        if t == Ty::Float {
            return None;
        }
        let set = s.set;
        let (then, a) = self.node(s, then)?;
        s.set = set;
        let (other, b) = match more {
            [n] => self.node(s, n)?,
            [] => return None,
            more => self.cond(s, more)?,
        };
        s.set = set;
        if a != b {
            return None;
        }
        Some((
            match c {
                S::LessConst(i, k) => S::CondLess(i, k, Box::new((then, other))),
                c => S::Cond(Box::new((c, then, other))),
            },
            a,
        ))
    }

    fn call(&mut self, s: &mut Inside<'_>, f: &Node, args: &[&Node]) -> Option<(S, Ty)> {
        let callee = match f {
            Node::This => s.lambda.clone(),
            Node::Global(id, ..) => match self.interp.globals.cell(*id) {
                Value::Lambda(l) => {
                    if !self.calls.iter().any(|c| c.0 == *id) {
                        self.calls.push((*id, l.clone()));
                    }
                    l.clone()
                }
                _ => return None,
            },
            _ => return None,
        };
        if callee.params.len() != args.len() {
            return None;
        }
        let mut nodes = Vec::with_capacity(args.len());
        let mut ty = None;
        for a in args.iter().rev() {
            let (n, t) = self.node(s, a)?;
            if t == Ty::Bool || ty.is_some_and(|ty| ty != t) {
                return None;
            }
            ty = Some(t);
            nodes.push(n);
        }
        nodes.reverse();
        let ty = ty?;
        if Arc::ptr_eq(&callee, s.lambda) && ty == s.arguments {
            s.recursive = true;
            if nodes.len() == 1 {
                return Some((S::Own(Box::new(nodes.remove(0))), s.value));
            }
            let number = self.known.iter().position(|k| Arc::ptr_eq(&k.0, &callee) && k.1 == ty)?;
            return Some((S::Call(number as u8, nodes.into()), s.value));
        }
        let (number, value) = self.function(&callee, ty)?;
        Some((S::Call(number, nodes.into()), value))
    }
}

/// An operator on two nodes.
fn combine(op: Fast, x: (S, Ty), y: (S, Ty)) -> Option<(S, Ty)> {
    let whole = |t: Ty| matches!(t, Ty::Long | Ty::Bool);
    let (tx, ty) = (x.1, y.1);
    if matches!(op, Fast::Divide) {
        let p = Box::new((float(x)?, float(y)?));
        return Some((S::FDiv(p), Ty::Float));
    }
    if tx == Ty::Float || ty == Ty::Float {
        if !matches!(op, Fast::Add | Fast::Sub | Fast::Mul) {
            return None;
        }
        let p = Box::new((float(x)?, float(y)?));
        let n = match op {
            Fast::Add => S::FAdd(p),
            Fast::Sub => S::FSub(p),
            _ => S::FMul(p),
        };
        return Some((n, Ty::Float));
    }
    if !whole(tx) || !whole(ty) {
        return None;
    }
    let both_bool = tx == Ty::Bool && ty == Ty::Bool;
    let (x, y) = (x.0, y.0);
    Some(match op {
        // booleans add up to ints
        Fast::Add | Fast::Sub | Fast::Mul | Fast::Div | Fast::Mod if both_bool => return None,
        Fast::Add => match (x, y) {
            (S::Local(i), S::Const(c)) | (S::Const(c), S::Local(i)) if c != NULL_LONG => {
                (S::AddConst(i, c), Ty::Long)
            }
            (x, y) => (S::Add(Box::new((x, y))), Ty::Long),
        },
        Fast::Sub => match (x, y) {
            (S::Local(i), S::Const(c)) if c != NULL_LONG => (S::AddConst(i, c.wrapping_neg()), Ty::Long),
            (x, y) => (S::Sub(Box::new((x, y))), Ty::Long),
        },
        Fast::Mul => (S::Mul(Box::new((x, y))), Ty::Long),
        Fast::Div => (S::Div(Box::new((x, y))), Ty::Long),
        Fast::Mod => (S::Mod(Box::new((x, y))), Ty::Long),
        Fast::And | Fast::Or => {
            let ty = if both_bool { Ty::Bool } else { Ty::Long };
            let p = Box::new((x, y));
            (if op == Fast::And { S::Min(p) } else { S::Max(p) }, ty)
        }
        Fast::Less => match (x, y) {
            (S::Local(i), S::Const(c)) => (S::LessConst(i, c), Ty::Bool),
            (x, y) => (S::Less(Box::new((x, y))), Ty::Bool),
        },
        // the operands change places: only where the order of evaluation cannot be seen
        Fast::More if pure(&x) && pure(&y) => (S::Less(Box::new((y, x))), Ty::Bool),
        Fast::NotLess if pure(&x) && pure(&y) => (S::NotMore(Box::new((y, x))), Ty::Bool),
        Fast::More => (S::Not(Box::new(S::NotMore(Box::new((x, y))))), Ty::Bool),
        Fast::NotLess => (S::Not(Box::new(S::Less(Box::new((x, y))))), Ty::Bool),
        Fast::NotMore => (S::NotMore(Box::new((x, y))), Ty::Bool),
        Fast::Equal => (S::Equal(Box::new((x, y))), Ty::Bool),
        Fast::Differ => {
            let same = S::Equal(Box::new((x, y)));
            (S::Not(Box::new(same)), Ty::Bool)
        }
        _ => return None,
    })
}

/// A node without effects.
fn pure(n: &S) -> bool {
    matches!(n, S::Const(_) | S::Global(_) | S::Local(_) | S::AddConst(..))
}

/// A node as a float.
fn float(x: (S, Ty)) -> Option<S> {
    match x {
        (n, Ty::Float) => Some(n),
        (S::Const(c), Ty::Long) if c != NULL_LONG => Some(S::Const((c as f64).to_bits() as i64)),
        (n, Ty::Long) => Some(S::ToFloat(Box::new(n))),
        _ => None,
    }
}
