//! Running a [`Program`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use kvalue::types::NULL_LONG;

use super::{DEPTH, Frame, Function, LOCALS, Program, S, Step};

/// A run of a program.
pub(super) struct Machine<'a> {
    pub(super) program: &'a Program,
    pub(super) globals: [i64; LOCALS],
    pub(super) depth: u32,
    /// steps until clock and caller are asked again
    pub(super) left: u32,
    pub(super) end: Option<Instant>,
    pub(super) cancel: Option<Arc<AtomicBool>>,
}

/// Steps between two looks at the clock.
pub(super) const BLOCK: u32 = 1_000_000;

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
    pub(super) fn call(&mut self, f: &Function, l: &mut Frame) -> Option<i64> {
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
