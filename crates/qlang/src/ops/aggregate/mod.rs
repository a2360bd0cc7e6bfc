//! Aggregates, running and moving functions.
//!
//! | file | what |
//! | --- | --- |
//! | `reduce` | one number out of a vector |
//! | `whole` | aggregates of one argument, of any shape |
//! | `pairs` | aggregates of two: covariance, correlation, weighted means |
//! | `running` | `sums` and kin, `deltas`, `ratios` |
//! | `moving` | windows: `mavg` and kin, `ema` |
//! | `grouped` | one number a group out of a column and group numbers |

pub mod grouped;
pub mod moving;
pub mod pairs;
pub mod reduce;
pub mod running;
pub mod whole;

pub use grouped::{grouped, grouped_uniform};

use crate::ctx::Def;

/// The family's primitives.
pub static TABLE: &[Def] = &[
    Def::unary("sum", "sum", whole::sum),
    shown(Def::unary("prd", "prd", whole::prd), "*/").typed(107),
    Def::unary("min", "min", whole::min),
    Def::unary("max", "max", whole::max),
    Def::unary("avg", "avg", whole::avg),
    Def::monad("med", whole::med),
    Def::unary("dev", "dev", whole::dev),
    Def::unary("var", "var", whole::var),
    Def::monad("sdev", whole::sdev),
    Def::monad("svar", whole::svar),
    Def::monad("all", whole::all),
    Def::monad("any", whole::any),
    Def::operator("cov", pairs::cov),
    Def::dyad("scov", pairs::scov),
    Def::operator("cor", pairs::cor),
    Def::operator("wavg", pairs::wavg),
    Def::operator("wsum", pairs::wsum),
    shown(Def::unary("sums", "sums", running::sums), "+\\").typed(108),
    shown(Def::unary("prds", "prds", running::prds), "*\\").typed(108),
    shown(Def::unary("mins", "mins", running::mins), "&\\").typed(108),
    shown(Def::unary("maxs", "maxs", running::maxs), "|\\").typed(108),
    Def::monad("avgs", running::avgs),
    shown(Def::many("deltas", (1, 2), running::deltas), "-':").typed(109),
    shown(Def::many("ratios", (1, 2), running::ratios), "%':").typed(109),
    Def::dyad("msum", moving::msum),
    Def::dyad("mavg", moving::mavg),
    Def::dyad("mcount", moving::mcount),
    Def::dyad("mdev", moving::mdev),
    Def::dyad("mmin", moving::mmin),
    Def::dyad("mmax", moving::mmax),
    Def::dyad("ema", moving::ema),
];

const fn shown(mut def: Def, text: &'static str) -> Def {
    def.text = text;
    def
}

#[cfg(test)]
mod tests;
