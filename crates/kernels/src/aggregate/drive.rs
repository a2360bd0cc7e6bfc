//! Running an accumulator over a column, group by group, in the loop that suits the assignment.
//!
//! `bulk` takes a slice of rows of one group at once and is where the compiler vectorises; `step` takes one row.

use kvalue::{
    Buf, Fixed,
    types::{INF_INT, INF_LONG, INF_SHORT, NULL_INT, NULL_LONG, NULL_SHORT},
};

use crate::{
    Selection,
    group::{Assignment, Groups},
};

/// Runs of at least this many rows go through `bulk`.
const BULK: usize = 8;

/// One accumulator a group.
pub(super) fn drive<T: Fixed, A: Copy>(
    buf: &Buf<T>,
    groups: &Groups,
    sel: &Selection,
    init: A,
    bulk: impl Fn(A, &[T::Le]) -> A,
    step: impl Fn(&mut A, T),
) -> Vec<A> {
    let le = buf.le();
    let mut acc = vec![init; groups.len()];
    let run_of_one_group = |acc: &mut A, rows: &[T::Le]| {
        if rows.len() >= BULK {
            *acc = bulk(*acc, rows);
        } else {
            rows.iter().for_each(|&x| step(acc, T::from_le(x)));
        }
    };
    match (&groups.assignment, sel) {
        (Assignment::Runs(runs), _) => {
            for (run, group) in runs {
                run_of_one_group(&mut acc[*group as usize], &le[run.clone()]);
            }
        }
        (Assignment::Single, Selection::Rows(rows)) => {
            let mut one = init;
            rows.iter().for_each(|&r| step(&mut one, T::from_le(le[r as usize])));
            acc[0] = one;
        }
        (Assignment::Single, _) => sel.runs().for_each(|run| run_of_one_group(&mut acc[0], &le[run])),
        (Assignment::Each(ids), Selection::Rows(rows)) => {
            for (&row, &group) in rows.iter().zip(ids) {
                step(&mut acc[group as usize], T::from_le(le[row as usize]));
            }
        }
        (Assignment::Each(ids), _) => {
            let mut ids = &ids[..];
            for run in sel.runs() {
                let (here, rest) = ids.split_at(run.len());
                for (&x, &group) in le[run].iter().zip(here) {
                    step(&mut acc[group as usize], T::from_le(x));
                }
                ids = rest;
            }
        }
    }
    acc
}

/// The last selected row of each group; `NO_ROW` for a group without rows.
pub(super) fn last_rows(groups: &Groups, sel: &Selection) -> Vec<u32> {
    let mut last = vec![crate::selection::NO_ROW; groups.len()];
    match &groups.assignment {
        Assignment::Single => {
            if let (Some(slot), Some(end)) = (last.first_mut(), sel.end().checked_sub(1)) {
                *slot = end as u32;
            }
        }
        Assignment::Runs(runs) => {
            for (run, group) in runs {
                last[*group as usize] = run.end as u32 - 1;
            }
        }
        Assignment::Each(ids) => {
            for (row, &group) in sel.iter().zip(ids) {
                last[group as usize] = row as u32;
            }
        }
    }
    last
}

/// An element that aggregates treat as a number.
pub(super) trait Number: Fixed + PartialOrd {
    /// Minus infinity: what `max` of nothing gives.
    const LOW: Self;
    /// Infinity: what `min` of nothing gives.
    const HIGH: Self;
    /// q's null of this layout; booleans, bytes and chars have none here.
    fn is_null(self) -> bool;
    /// False for zero.
    fn is_true(self) -> bool;
}

/// An element that is a whole number.
pub(super) trait Whole: Number {
    /// The number, null not looked at.
    fn wide(self) -> i64;
    /// True where the sum of 2³¹ elements fits a long.
    const NARROW: bool;
}

macro_rules! number {
    ($($t:ty: $low:expr, $high:expr, |$x:ident| $null:expr, $zero:expr;)*) => {$(
        impl Number for $t {
            const LOW: Self = $low;
            const HIGH: Self = $high;
            #[inline(always)]
            fn is_null(self) -> bool { let $x = self; $null }
            #[inline(always)]
            fn is_true(self) -> bool { self != $zero }
        }
    )*};
}

number! {
    u8: 0, u8::MAX, |_x| false, 0;
    i16: -INF_SHORT, INF_SHORT, |x| x == NULL_SHORT, 0;
    i32: -INF_INT, INF_INT, |x| x == NULL_INT, 0;
    i64: -INF_LONG, INF_LONG, |x| x == NULL_LONG, 0;
    f32: f32::NEG_INFINITY, f32::INFINITY, |x| x.is_nan(), 0.0;
    f64: f64::NEG_INFINITY, f64::INFINITY, |x| x.is_nan(), 0.0;
}

macro_rules! whole {
    ($($t:ty, $narrow:expr;)*) => {$(
        impl Whole for $t {
            const NARROW: bool = $narrow;
            #[inline(always)]
            fn wide(self) -> i64 { self as i64 }
        }
    )*};
}

whole! { u8, true; i16, true; i32, true; i64, false; }

/// Calls `$body` with `$buf` as the typed buffer of a vector of numbers; `$other` for guid and symbol.
macro_rules! with_numbers {
    ($vector:expr, |$buf:ident| whole $whole:expr, float $float:expr, else $other:expr) => {{
        let vector: &kvalue::Vector = $vector;
        match vector.physical() {
            kvalue::Physical::U8 => match vector.as_buf::<u8>() {
                Some($buf) => $whole,
                None => $other,
            },
            kvalue::Physical::I16 => match vector.as_buf::<i16>() {
                Some($buf) => $whole,
                None => $other,
            },
            kvalue::Physical::I32 => match vector.as_buf::<i32>() {
                Some($buf) => $whole,
                None => $other,
            },
            kvalue::Physical::I64 => match vector.as_buf::<i64>() {
                Some($buf) => $whole,
                None => $other,
            },
            kvalue::Physical::F32 => match vector.as_buf::<f32>() {
                Some($buf) => $float,
                None => $other,
            },
            kvalue::Physical::F64 => match vector.as_buf::<f64>() {
                Some($buf) => $float,
                None => $other,
            },
            kvalue::Physical::Guid | kvalue::Physical::Symbol => $other,
        }
    }};
}
pub(super) use with_numbers;
