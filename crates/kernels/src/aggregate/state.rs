//! Partial states as q vectors: written by [`accumulate`](super::accumulate), read back after the wire.
//!
//! What is read comes from a peer: every column's type and length is checked and named where it is wrong.

use kvalue::{Buf, Value, Vector};

use super::{
    function::{Function, PartialColumns},
    sums::{FloatSum, Product},
};
use crate::KernelError;

/// Sums of either kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sums {
    Whole(Vec<i128>),
    Float(Vec<FloatSum>),
}

impl Sums {
    /// Two columns: the halves of a whole sum, or a float sum and its error term.
    pub(super) fn columns(&self) -> Vec<Value> {
        let (hi, lo) = match self {
            Sums::Whole(sums) => (
                Vector::longs(sums.iter().map(|s| (s >> 64) as i64).collect()),
                Vector::longs(sums.iter().map(|s| *s as i64).collect()),
            ),
            Sums::Float(sums) => (
                Vector::floats(sums.iter().map(|s| s.normal().hi).collect()),
                Vector::floats(sums.iter().map(|s| s.normal().lo).collect()),
            ),
        };
        vec![Value::from(hi), Value::from(lo)]
    }
}

/// Two columns: mantissa and exponent.
pub(super) fn products(all: &[Product]) -> Vec<Value> {
    vec![
        Value::from(Vector::floats(all.iter().map(|p| p.mantissa).collect())),
        Value::from(Vector::longs(all.iter().map(|p| p.exponent).collect())),
    ]
}

/// Checked access to the columns of a state.
pub(super) struct State<'a> {
    f: Function,
    columns: Vec<&'a Value>,
    len: usize,
}

impl<'a> State<'a> {
    /// Checks that the state has the columns its aggregate writes, all of one length.
    pub(super) fn new(f: Function, state: &'a PartialColumns) -> Result<Self, KernelError> {
        let malformed = |problem: String| KernelError::State { function: f.name(), problem };
        let names: Vec<&str> = state.iter().map(|(name, _)| *name).collect();
        if names != f.state() {
            return Err(malformed(format!("it has columns {names:?} where {:?} are needed", f.state())));
        }
        let columns: Vec<&Value> = state.iter().map(|(_, column)| column).collect();
        let len = columns[0].count();
        for (name, column) in state {
            if !matches!(column, Value::Vector(_) | Value::List(_)) || column.count() != len {
                let got = crate::error::describe(column);
                return Err(malformed(format!(
                    "column {name} is a {got} of {} items where a list of {len} is needed",
                    column.count()
                )));
            }
        }
        Ok(State { f, columns, len })
    }

    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Column `i`, whatever its type.
    pub(super) fn column(&self, i: usize) -> &'a Value {
        self.columns[i]
    }

    fn wrong(&self, i: usize, expected: &str) -> KernelError {
        KernelError::State {
            function: self.f.name(),
            problem: format!(
                "column {} is a {} where {expected} is needed",
                self.f.state()[i],
                crate::error::describe(self.columns[i])
            ),
        }
    }

    fn vector(&self, i: usize) -> Option<&'a Vector> {
        self.columns[i].as_vector()
    }

    pub(super) fn longs(&self, i: usize) -> Result<Buf<i64>, KernelError> {
        self.empty_or(i, |v| v.as_buf::<i64>(), "a long list")
    }

    pub(super) fn floats(&self, i: usize) -> Result<Buf<f64>, KernelError> {
        self.empty_or(i, |v| v.as_buf::<f64>(), "a float list")
    }

    pub(super) fn booleans(&self, i: usize) -> Result<Buf<u8>, KernelError> {
        self.empty_or(i, |v| v.as_buf::<u8>(), "a boolean list")
    }

    /// An empty column may have lost its type on the way.
    fn empty_or<T: kvalue::Fixed>(
        &self,
        i: usize,
        read: impl Fn(&Vector) -> Option<Buf<T>>,
        expected: &str,
    ) -> Result<Buf<T>, KernelError> {
        if self.len == 0 {
            return Ok(Buf::from_vec(Vec::new()));
        }
        self.vector(i).and_then(read).ok_or_else(|| self.wrong(i, expected))
    }

    pub(super) fn is_whole(&self, i: usize) -> bool {
        self.vector(i).is_some_and(|v| v.as_buf::<i64>().is_some())
    }

    /// The sums in columns `i` and `i + 1`.
    pub(super) fn sums(&self, i: usize) -> Result<Sums, KernelError> {
        if self.is_whole(i) {
            let (hi, lo) = (self.longs(i)?, self.longs(i + 1)?);
            let join = |(hi, lo): (i64, i64)| (i128::from(hi) << 64) | i128::from(lo as u64);
            return Ok(Sums::Whole(hi.iter().zip(lo.iter()).map(join).collect()));
        }
        let (hi, lo) = (self.floats(i)?, self.floats(i + 1)?);
        Ok(Sums::Float(hi.iter().zip(lo.iter()).map(|(hi, lo)| FloatSum { hi, lo }).collect()))
    }
}
