//! Typed loops: an operand as a source of one kind of number, and results written block by block.
//!
//! A mixed operand is converted a block at a time, so that it stays in the processor's cache. Large results are
//! shared out over the threads that the evaluation may use.

use std::ops::Range;

use kvalue::{
    Type,
    types::{NULL_INT, NULL_LONG, NULL_SHORT},
};

use super::clock;
use crate::{
    R,
    ctx::Ctx,
    value::{Buf, Data, Element, Scalar, Sym, Value, Vector},
};

/// Elements a block.
pub const BLOCK: usize = 2048;
/// Below so many elements one thread does the work.
const SHARE: usize = 200_000;

/// A kind of element that vectors hold.
pub trait Lane: Element + Default {
    /// The elements where the layout is this one.
    fn slice(data: &Data) -> Option<&[Self]>;
    /// The elements to change, where the layout is this one.
    fn owned(data: &mut Data) -> Option<&mut Vec<Self>>;
    /// Elements as data.
    fn wrap(items: Vec<Self>) -> Data;
    /// An atom of this layout.
    fn scalar(self) -> Scalar;
    /// The element of an atom with this layout.
    fn of_scalar(s: Scalar) -> Option<Self>;
}

macro_rules! lane {
    ($($t:ty, $variant:ident;)*) => {$(
        impl Lane for $t {
            fn slice(data: &Data) -> Option<&[Self]> {
                if let Data::$variant(b) = data { Some(b) } else { None }
            }
            fn owned(data: &mut Data) -> Option<&mut Vec<Self>> {
                if let Data::$variant(b) = data { Some(b.to_mut()) } else { None }
            }
            fn wrap(items: Vec<Self>) -> Data {
                Data::$variant(Buf::from(items))
            }
            fn scalar(self) -> Scalar {
                Scalar::$variant(self)
            }
            fn of_scalar(s: Scalar) -> Option<Self> {
                if let Scalar::$variant(x) = s { Some(x) } else { None }
            }
        }
    )*};
}
lane! { bool, Bool; u8, U8; i16, I16; i32, I32; i64, I64; f32, F32; f64, F64; [u8; 16], Guid; }

impl Default for Sym {
    fn default() -> Self {
        Sym::NULL
    }
}
lane! { Sym, Sym; }

type Load<'a, C> = Box<dyn Fn(usize, &mut [C]) + Sync + 'a>;

/// Where one operand's numbers come from.
pub enum Source<'a, C> {
    /// one number for all
    One(C),
    /// the elements themselves
    Same(&'a [C]),
    /// elements of another layout or clock: fills a block from a position on
    Moved(Load<'a, C>),
}

/// A block of an operand.
enum Block<'a, C> {
    One(C),
    Many(&'a [C]),
}

impl<'a, C: Lane> Source<'a, C> {
    /// All numbers, `n` of them; the elements themselves where they need no conversion.
    pub fn whole(self, n: usize) -> std::borrow::Cow<'a, [C]> {
        match self {
            Source::Same(items) => std::borrow::Cow::Borrowed(items),
            other => std::borrow::Cow::Owned(other.collect(n)),
        }
    }
    fn block<'b>(&'b self, at: Range<usize>, room: &'b mut [C]) -> Block<'b, C> {
        match self {
            Source::One(c) => Block::One(*c),
            Source::Same(items) => Block::Many(&items[at]),
            Source::Moved(load) => {
                let room = &mut room[..at.len()];
                load(at.start, room);
                Block::Many(room)
            }
        }
    }

    /// All numbers, `n` of them.
    pub fn collect(&self, n: usize) -> Vec<C> {
        match self {
            Source::One(c) => vec![*c; n],
            Source::Same(items) => items.to_vec(),
            Source::Moved(load) => {
                let mut out = vec![C::default(); n];
                load(0, &mut out);
                out
            }
        }
    }
}

/// An operand: an atom or a vector of a basic type.
#[derive(Clone, Copy)]
pub enum Operand<'a> {
    /// an atom
    Atom(Type, Scalar),
    /// a vector
    Vector(&'a Vector),
}

impl<'a> Operand<'a> {
    /// The operand that a value is; `None` for lists, functions, enumerations and the like.
    pub fn of(v: &'a Value) -> Option<Operand<'a>> {
        match v {
            Value::Vector(v) if !matches!(v.data, Data::Enum(..)) => Some(Operand::Vector(v)),
            v => v.as_scalar().map(|(ty, s)| Operand::Atom(ty, s)),
        }
    }

    /// Its type.
    pub fn ty(&self) -> Type {
        match self {
            Operand::Atom(ty, _) => *ty,
            Operand::Vector(v) => v.ty,
        }
    }

    /// Its number of elements; `None` for an atom.
    #[allow(clippy::len_without_is_empty)] // not a container: an atom has no length
    pub fn len(&self) -> Option<usize> {
        match self {
            Operand::Atom(..) => None,
            Operand::Vector(v) => Some(v.len()),
        }
    }

    /// Elements of the same layout as they are.
    pub fn same<C: Lane>(&self) -> Option<Source<'a, C>> {
        match self {
            Operand::Atom(_, s) => C::of_scalar(*s).map(Source::One),
            Operand::Vector(v) => C::slice(&v.data).map(Source::Same),
        }
    }

    /// As longs, on the clock of `to` where that is given.
    pub fn longs(&self, to: Option<Type>) -> Source<'a, i64> {
        let from = self.ty();
        let moves = to.filter(|to| *to != from && from.is_temporal());
        let on_clock = move |n: i64| match moves {
            Some(to) => {
                let out = clock::convert(n, from, to);
                if out == clock::specials(to).0 { NULL_LONG } else { out }
            }
            None => n,
        };
        let of_float = move |x: f64| match moves {
            Some(to) => {
                let out = clock::from_datetime(x, to);
                if out == clock::specials(to).0 { NULL_LONG } else { out }
            }
            None if x.is_nan() => NULL_LONG,
            None => x.round() as i64,
        };
        match self {
            Operand::Atom(_, Scalar::F64(x)) => Source::One(of_float(*x)),
            Operand::Atom(_, Scalar::F32(x)) => Source::One(of_float(f64::from(*x))),
            Operand::Atom(_, s) => Source::One(on_clock(s.as_i64().unwrap_or(NULL_LONG))),
            Operand::Vector(v) => match &v.data {
                Data::Bool(b) => moved(b, move |x| on_clock(i64::from(x))),
                Data::U8(b) => moved(b, move |x| on_clock(i64::from(x))),
                Data::I16(b) => moved(b, |x| if x == NULL_SHORT { NULL_LONG } else { i64::from(x) }),
                Data::I32(b) if moves.is_none() => {
                    moved(b, |x| if x == NULL_INT { NULL_LONG } else { i64::from(x) })
                }
                Data::I32(b) => {
                    moved(b, move |x| on_clock(if x == NULL_INT { NULL_LONG } else { i64::from(x) }))
                }
                Data::I64(b) if moves.is_none() => Source::Same(b),
                Data::I64(b) => moved(b, on_clock),
                Data::F32(b) => moved(b, move |x| of_float(f64::from(x))),
                Data::F64(b) => moved(b, of_float),
                _ => Source::One(NULL_LONG),
            },
        }
    }

    /// As ints: for layouts up to that width.
    pub fn ints(&self) -> Source<'a, i32> {
        let cut = |n: i64| if n == NULL_LONG { NULL_INT } else { n as i32 };
        match self {
            Operand::Atom(_, s) => Source::One(cut(s.as_i64().unwrap_or(NULL_LONG))),
            Operand::Vector(v) => match &v.data {
                Data::Bool(b) => moved(b, i32::from),
                Data::U8(b) => moved(b, i32::from),
                Data::I16(b) => moved(b, |x| if x == NULL_SHORT { NULL_INT } else { i32::from(x) }),
                Data::I32(b) => Source::Same(b),
                Data::I64(b) => moved(b, cut),
                _ => Source::One(NULL_INT),
            },
        }
    }

    /// As floats, in days where `to` is datetime and the type temporal.
    pub fn floats(&self, to: Option<Type>) -> Source<'a, f64> {
        let from = self.ty();
        let days = to == Some(Type::Datetime) && from.is_temporal() && from != Type::Datetime;
        let on_clock = to.filter(|to| from.is_temporal() && *to != from && *to != Type::Datetime);
        let number = move |n: i64| match on_clock {
            _ if days => clock::to_datetime(n, from),
            Some(to) => float_of_long(clock::convert(n, from, to)),
            None => float_of_long(n),
        };
        match self {
            Operand::Atom(_, Scalar::F64(x)) => Source::One(*x),
            Operand::Atom(_, Scalar::F32(x)) => Source::One(f64::from(*x)),
            Operand::Atom(_, s) => Source::One(number(s.as_i64().unwrap_or(NULL_LONG))),
            Operand::Vector(v) => match &v.data {
                Data::Bool(b) => moved(b, |x| f64::from(u8::from(x))),
                Data::U8(b) => moved(b, f64::from),
                Data::I16(b) => moved(b, |x| if x == NULL_SHORT { f64::NAN } else { f64::from(x) }),
                Data::I32(b) if !days && on_clock.is_none() => {
                    moved(b, |x| if x == NULL_INT { f64::NAN } else { f64::from(x) })
                }
                Data::I32(b) => {
                    moved(b, move |x| number(if x == NULL_INT { NULL_LONG } else { i64::from(x) }))
                }
                Data::I64(b) if !days && on_clock.is_none() => moved(b, float_of_long),
                Data::I64(b) => moved(b, number),
                Data::F32(b) => moved(b, f64::from),
                Data::F64(b) => Source::Same(b),
                _ => Source::One(f64::NAN),
            },
        }
    }

    /// As reals.
    pub fn reals(&self) -> Source<'a, f32> {
        match self {
            Operand::Vector(Vector { data: Data::F32(b), .. }) => Source::Same(b),
            Operand::Atom(_, Scalar::F32(x)) => Source::One(*x),
            other => match other.floats(None) {
                Source::One(x) => Source::One(x as f32),
                Source::Same(items) => moved(items, |x| x as f32),
                Source::Moved(load) => Source::Moved(Box::new(move |at, out| {
                    let mut room = [0.0; 256];
                    for (i, part) in out.chunks_mut(256).enumerate() {
                        let room = &mut room[..part.len()];
                        load(at + i * 256, room);
                        part.iter_mut().zip(room).for_each(|(o, x)| *o = *x as f32);
                    }
                })),
            },
        }
    }
}

/// A long as a float, null as NaN.
#[inline(always)]
pub fn float_of_long(n: i64) -> f64 {
    if n == NULL_LONG { f64::NAN } else { n as f64 }
}

fn moved<'a, T: Copy + Sync, C>(items: &'a [T], f: impl Fn(T) -> C + Sync + 'a) -> Source<'a, C> {
    Source::Moved(Box::new(move |at, out: &mut [C]| {
        let items = &items[at..at + out.len()];
        for (o, x) in out.iter_mut().zip(items) {
            *o = f(*x);
        }
    }))
}

/// How many threads are worth while for `n` elements.
pub fn shares(ctx: &dyn Ctx, n: usize) -> usize {
    ctx.threads().min(n / SHARE).max(1)
}

/// Fills `out` by blocks, on several threads where it is long; `f` gets the position of a block.
pub fn fill<O: Send>(ctx: &dyn Ctx, out: &mut [O], f: impl Fn(usize, &mut [O]) + Sync) {
    let threads = shares(ctx, out.len());
    let all = |start: usize, out: &mut [O]| {
        for (i, part) in out.chunks_mut(BLOCK).enumerate() {
            f(start + i * BLOCK, part);
        }
    };
    if threads <= 1 {
        return all(0, out);
    }
    let each = out.len().div_ceil(threads).next_multiple_of(BLOCK);
    let all = &all;
    std::thread::scope(|s| {
        for (i, part) in out.chunks_mut(each).enumerate() {
            s.spawn(move || all(i * each, part));
        }
    });
}

#[inline(always)]
fn blocks<C: Copy, O: Copy>(x: Block<C>, y: Block<C>, out: &mut [O], f: impl Fn(C, C) -> O + Copy) {
    match (x, y) {
        (Block::One(x), Block::One(y)) => out.fill(f(x, y)),
        (Block::One(x), Block::Many(y)) => out.iter_mut().zip(y).for_each(|(o, y)| *o = f(x, *y)),
        (Block::Many(x), Block::One(y)) => out.iter_mut().zip(x).for_each(|(o, x)| *o = f(*x, y)),
        (Block::Many(x), Block::Many(y)) => {
            out.iter_mut().zip(x.iter().zip(y)).for_each(|(o, (x, y))| *o = f(*x, *y));
        }
    }
}

#[inline(always)]
fn append<C: Copy, O: Copy>(
    out: &mut Vec<O>,
    n: usize,
    x: Block<C>,
    y: Block<C>,
    f: impl Fn(C, C) -> O + Copy,
) {
    match (x, y) {
        (Block::One(x), Block::One(y)) => out.extend(std::iter::repeat_n(f(x, y), n)),
        (Block::One(x), Block::Many(y)) => out.extend(y.iter().map(|y| f(x, *y))),
        (Block::Many(x), Block::One(y)) => out.extend(x.iter().map(|x| f(*x, y))),
        (Block::Many(x), Block::Many(y)) => out.extend(x.iter().zip(y).map(|(x, y)| f(*x, *y))),
    }
}

#[inline(never)]
fn append_moved<C: Lane, O: Copy>(
    out: &mut Vec<O>,
    n: usize,
    x: &Source<C>,
    y: &Source<C>,
    f: impl Fn(C, C) -> O + Copy,
) {
    let (mut a, mut b) = ([C::default(); 256], [C::default(); 256]);
    for start in (0..n).step_by(256) {
        let at = start..(start + 256).min(n);
        append(out, at.len(), x.block(at.clone(), &mut a), y.block(at, &mut b), f);
    }
}

/// As [`blocks`], with room for converted elements. A separate function, so that short plain vectors need no room for
/// conversion.
#[inline(never)]
fn moved_blocks<C: Lane, O: Copy>(
    at: usize,
    out: &mut [O],
    x: &Source<C>,
    y: &Source<C>,
    f: impl Fn(C, C) -> O + Copy,
) {
    let mut a = [C::default(); 256];
    let mut b = [C::default(); 256];
    for (i, part) in out.chunks_mut(256).enumerate() {
        let at = at + i * 256..at + i * 256 + part.len();
        blocks(x.block(at.clone(), &mut a), y.block(at, &mut b), part, f);
    }
}

/// `f` over pairs of numbers, `n` of them.
pub fn zip<C: Lane, O: Lane>(
    ctx: &mut dyn Ctx,
    n: usize,
    x: &Source<C>,
    y: &Source<C>,
    f: impl Fn(C, C) -> O + Copy + Sync,
) -> R<Vec<O>> {
    ctx.check()?;
    if shares(ctx, n) <= 1 {
        // Memory is written once: it need not be zero before.
        let mut out = Vec::with_capacity(n);
        match (x, y) {
            (Source::Moved(_), _) | (_, Source::Moved(_)) => append_moved(&mut out, n, x, y, f),
            _ => append(&mut out, n, x.block(0..n, &mut []), y.block(0..n, &mut []), f),
        }
        return Ok(out);
    }
    let mut out = vec![O::default(); n];
    fill(ctx, &mut out, |at, out| match (x, y) {
        (Source::Moved(_), _) | (_, Source::Moved(_)) => moved_blocks(at, out, x, y, f),
        _ => blocks(x.block(at..at + out.len(), &mut []), y.block(at..at + out.len(), &mut []), out, f),
    });
    Ok(out)
}

/// `items[i] = f(items[i], y[i])` in place.
pub fn zip_into<C: Lane>(
    ctx: &mut dyn Ctx,
    items: &mut [C],
    y: &Source<C>,
    f: impl Fn(C, C) -> C + Copy + Sync,
) -> R<()> {
    ctx.check()?;
    fill(ctx, items, |at, out| {
        for (i, part) in out.chunks_mut(256).enumerate() {
            let at = at + i * 256..at + i * 256 + part.len();
            let mut room = [C::default(); 256];
            let room = if matches!(y, Source::Moved(_)) { &mut room[..] } else { &mut [] };
            match y.block(at, room) {
                Block::One(y) => part.iter_mut().for_each(|o| *o = f(*o, y)),
                Block::Many(y) => part.iter_mut().zip(y).for_each(|(o, y)| *o = f(*o, *y)),
            }
        }
    });
    Ok(())
}

/// `f` over the numbers of one operand.
pub fn map<C: Lane, O: Lane>(
    ctx: &mut dyn Ctx,
    n: usize,
    x: &Source<C>,
    f: impl Fn(C) -> O + Copy + Sync,
) -> R<Vec<O>> {
    zip(ctx, n, x, &Source::One(C::default()), move |x, _| f(x))
}

/// A result: a vector, or an atom where `n` is `None`.
pub fn shaped<O: Lane>(ty: Type, items: Vec<O>, n: Option<usize>) -> Value {
    match (n, items.first()) {
        (None, Some(one)) => Value::atom(ty, one.scalar()),
        _ => Value::vector(ty, O::wrap(items)),
    }
}
