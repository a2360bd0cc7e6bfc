//! The aggregates by name, and the type each gives.
//!
//! Result types follow the "domain and range" tables of the KX reference pages: a sum of booleans to ints is an
//! int, of longs a long, of reals a real, temporal sums keep their type, statistics are floats. Where page and
//! console transcript disagree (`sum "abc"`), the transcript is followed: `'type`.

use std::str::FromStr;

use kvalue::{Type, Value};

use crate::KernelError;

/// One state a group: named columns of equal length, in the order of [`Function::state`].
pub type PartialColumns = Vec<(&'static str, Value)>;

/// An aggregate that can be taken over any cut of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // q's names; what each does is in the table of the module above
pub enum Function {
    All,
    Any,
    Avg,
    Cor,
    Count,
    Cov,
    Dev,
    Distinct,
    First,
    Last,
    Max,
    Min,
    Prd,
    Scov,
    Sdev,
    Sum,
    Svar,
    Var,
    Wavg,
    Wsum,
}

use Function::*;

impl Function {
    /// All aggregates in the order of their names.
    pub const EVERY: [Function; 20] = [
        All, Any, Avg, Cor, Count, Cov, Dev, Distinct, First, Last, Max, Min, Prd, Scov, Sdev, Sum, Svar,
        Var, Wavg, Wsum,
    ];

    /// q's name.
    pub const fn name(self) -> &'static str {
        match self {
            All => "all",
            Any => "any",
            Avg => "avg",
            Cor => "cor",
            Count => "count",
            Cov => "cov",
            Dev => "dev",
            Distinct => "distinct",
            First => "first",
            Last => "last",
            Max => "max",
            Min => "min",
            Prd => "prd",
            Scov => "scov",
            Sdev => "sdev",
            Sum => "sum",
            Svar => "svar",
            Var => "var",
            Wavg => "wavg",
            Wsum => "wsum",
        }
    }

    /// True for the aggregates of two columns.
    pub const fn is_dyadic(self) -> bool {
        matches!(self, Cor | Cov | Scov | Wavg | Wsum)
    }

    /// Columns it takes.
    pub const fn rank(self) -> usize {
        if self.is_dyadic() { 2 } else { 1 }
    }

    /// Names of the columns of its partial state, the same for every input type.
    ///
    /// | function | state |
    /// | --- | --- |
    /// | count | `n` |
    /// | all, any | `b` |
    /// | min, max | `v`, of the input's type; its infinity while nothing but nulls was seen |
    /// | first, last | `v` and `n`, the rows seen |
    /// | distinct | `v`, a list per group |
    /// | sum, wsum | `hi` `lo`: the halves of a 128-bit sum (integers) or a sum and its rounding error (floats) |
    /// | avg | the same and `n` |
    /// | prd | `m` `e`: a product modulo 2⁶⁴ and 0 (integers), or mantissa and binary exponent (floats) |
    /// | wavg | `hi` `lo` of the products, `whi` `wlo` of the weights |
    /// | var, svar, dev, sdev | `n`, `o` an origin, `m` the mean from there, `m2` the squared deviations' sum |
    /// | cov, scov, cor | `n`, `ox` `mx` `oy` `my`, `mxx` `myy` `mxy` |
    pub const fn state(self) -> &'static [&'static str] {
        match self {
            Count => &["n"],
            All | Any => &["b"],
            Min | Max | Distinct => &["v"],
            First | Last => &["v", "n"],
            Sum | Wsum => &["hi", "lo"],
            Avg => &["hi", "lo", "n"],
            Prd => &["m", "e"],
            Wavg => &["hi", "lo", "whi", "wlo"],
            Var | Svar | Dev | Sdev => &["n", "o", "m", "m2"],
            Cov | Scov | Cor => &["n", "ox", "mx", "oy", "my", "mxx", "myy", "mxy"],
        }
    }

    /// `'rank` where the number of columns is not what the aggregate takes.
    pub(crate) fn check_rank(self, got: usize) -> Result<(), KernelError> {
        if got == self.rank() {
            return Ok(());
        }
        Err(KernelError::Rank { function: self.name(), expected: self.rank(), got })
    }

    fn refuse(self, got: Option<Type>, expected: &str) -> KernelError {
        KernelError::Type {
            operation: self.name().into(),
            got: got.map_or_else(|| "general list".into(), |t| format!("{t} list")),
            expected: expected.into(),
        }
    }
}

impl FromStr for Function {
    type Err = KernelError;

    fn from_str(name: &str) -> Result<Self, KernelError> {
        let found = Function::EVERY.into_iter().find(|f| f.name() == name);
        found.ok_or_else(|| KernelError::UnknownFunction(name.to_string()))
    }
}

impl std::fmt::Display for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The type of an aggregate's result, one item a group, from its columns' types. `None` stands for a general
/// list, on both sides. `'rank` and `'type` where the aggregate is not defined for them.
pub fn result_type(f: Function, inputs: &[Option<Type>]) -> Result<Option<Type>, KernelError> {
    f.check_rank(inputs.len())?;
    let input = inputs[0];
    match f {
        Count => Ok(Some(Type::Long)),
        Distinct => Ok(None),
        First | Last => Ok(input),
        All | Any => match input {
            Some(ty) if is_number_like(ty) => Ok(Some(Type::Boolean)),
            _ => Err(f.refuse(input, "it takes numbers, chars and temporal types")),
        },
        Min | Max => match input {
            Some(ty) if is_number_like(ty) => Ok(Some(ty)),
            _ => Err(f.refuse(input, "it takes numbers, chars and temporal types")),
        },
        Sum | Prd => match input {
            Some(Type::Boolean | Type::Byte | Type::Short | Type::Int) => Ok(Some(Type::Int)),
            Some(ty) if ty.is_numeric() || ty.is_temporal() => Ok(Some(ty)),
            _ => Err(f.refuse(input, "it takes numbers and temporal types")),
        },
        Avg | Var | Svar | Dev | Sdev | Cov | Scov | Cor | Wavg | Wsum => {
            match inputs.iter().find(|t| !t.is_some_and(is_number_like)) {
                None => Ok(Some(Type::Float)),
                Some(odd) => Err(f.refuse(*odd, "it takes numbers, chars and temporal types")),
            }
        }
    }
}

/// Everything that is laid out as a number: all but guid and symbol.
fn is_number_like(ty: Type) -> bool {
    !matches!(ty, Type::Guid | Type::Symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for f in Function::EVERY {
            assert_eq!(f.name().parse::<Function>().unwrap(), f);
        }
        let err = "median".parse::<Function>().unwrap_err().to_string();
        assert!(err.contains("`median`") && err.contains("wavg"), "{err}");
    }

    #[test]
    fn result_types_follow_the_reference_tables() {
        // domain: b g x h i j e f c s p m d z n u v t of ref/sum.md (char by its transcript), avg.md, min.md, all-any.md
        let expected = [
            (Sum, "i.iiijef..pmdznuvt"),
            (Prd, "i.iiijef..pmdznuvt"),
            (Avg, "f.fffffff.ffffffff"),
            (Var, "f.fffffff.ffffffff"),
            (Min, "b.xhijefc.pmdznuvt"),
            (Max, "b.xhijefc.pmdznuvt"),
            (All, "b.bbbbbbb.bbbbbbbb"),
            (First, "bgxhijefcspmdznuvt"),
            (Count, "jjjjjjjjjjjjjjjjjj"),
        ];
        for (f, row) in expected {
            for (ty, letter) in Type::ALL.into_iter().zip(row.chars()) {
                let got = result_type(f, &[Some(ty)]);
                match letter {
                    '.' => assert!(got.is_err(), "{f} of {ty}"),
                    _ => assert_eq!(got, Ok(Type::from_letter(letter)), "{f} of {ty}"),
                }
            }
        }
    }

    #[test]
    fn dyadic_functions_need_two_columns() {
        let err = result_type(Cor, &[Some(Type::Float)]).unwrap_err();
        assert_eq!(err.to_string(), "rank: cor takes 2 columns, got 1");
        assert!(result_type(Sum, &[Some(Type::Float), Some(Type::Float)]).is_err());
    }
}
