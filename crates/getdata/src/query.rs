//! [`Query`]: a getData request with every argument checked and typed.
//!
//! Order of execution: rows of the range are filtered; grouped and aggregated, or taken as they are; then **fill,
//! sortCols, limit, outputTZ**, in that order, over the joined answer. Made by `Query::parse` (module `args`).

use kernels::{aggregate::Function, compare::Op};
use kvalue::{Sym, Value};
use sg::{TimeRange, tz::Zone};

/// A request.
#[derive(Debug, Clone)]
pub struct Query {
    /// table name
    pub table: Sym,
    /// `[startTS, endTS)` in UTC
    pub range: TimeRange,
    /// conditions on rows
    pub filter: Filter,
    /// grouping columns, in the order of the result
    pub group_by: Vec<Sym>,
    /// what is made of the rows
    pub agg: Agg,
    /// what becomes of nulls in the result
    pub fill: Option<Fill>,
    /// time of day window, for temporality `slice`
    pub slice: Option<Slice>,
    /// columns the result is sorted by, ascending
    pub sort_cols: Vec<Sym>,
    /// rows that are wanted of the result
    pub limit: Option<Limit>,
    /// zone of `outputTZ`
    pub output_tz: Zone,
    /// columns to convert to it; empty: all timestamp columns
    pub output_tz_cols: Vec<Sym>,
    /// numbers for symbols and the like are cast to the column's type too (header option `cast`)
    pub cast: bool,
}

/// Conditions on rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// a column's value stands in a relation to an operand
    Condition {
        /// the relation
        op: Op,
        /// the column
        column: Sym,
        /// the operand as it came; typed when the query is bound to a schema
        operand: Value,
    },
    /// all hold; none at all: every row
    All(Vec<Filter>),
    /// one holds at least
    Any(Vec<Filter>),
    /// it does not hold
    Not(Box<Filter>),
}

impl Filter {
    /// The filter that every row passes.
    pub fn none() -> Self {
        Filter::All(Vec::new())
    }

    /// True where every row passes without a look.
    pub fn is_none(&self) -> bool {
        matches!(self, Filter::All(all) if all.iter().all(Filter::is_none))
    }
}

/// What is made of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agg {
    /// all columns of the schema
    All,
    /// columns, perhaps under new names: (new, column)
    Columns(Vec<(Sym, Sym)>),
    /// aggregates
    Functions(Vec<Aggregate>),
}

/// One aggregate of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// its name in the result
    pub name: Sym,
    /// the function
    pub function: Function,
    /// one column, or two for the dyadic ones
    pub columns: Vec<Sym>,
}

/// What becomes of nulls in the result. Group columns are left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// numbers: 0
    Zero,
    /// the last value before that is none, over the whole joined answer
    Forward,
}

/// A window of local time of day, half-open: nanoseconds since midnight.
#[derive(Debug, Clone)]
pub struct Slice {
    /// inclusive, from 0
    pub from: i64,
    /// exclusive, to a whole day
    pub to: i64,
    /// zone of `inputTZ`, in which the window is meant
    pub zone: Zone,
}

/// Rows that are wanted of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `count` rows after the first `skip`
    First {
        /// rows left out before
        skip: usize,
        /// rows wanted
        count: usize,
    },
    /// the last rows
    Last(usize),
}

impl Limit {
    /// The rows of an answer of `rows` that are wanted.
    pub fn window(self, rows: usize) -> std::ops::Range<usize> {
        match self {
            Limit::First { skip, count } => {
                let from = skip.min(rows);
                from..from.saturating_add(count).min(rows)
            }
            Limit::Last(count) => rows.saturating_sub(count)..rows,
        }
    }
}

impl Query {
    /// True where the answer is rows, not groups or aggregates.
    pub fn is_rows(&self) -> bool {
        self.group_by.is_empty() && !matches!(self.agg, Agg::Functions(_))
    }

    /// The limit each portion may apply for itself: one row more than the limit, so that the merge knows of rows cut
    /// off. `None` where order or values of the answer depend on all rows.
    pub fn portion_limit(&self) -> Option<Limit> {
        if !self.is_rows() || !self.sort_cols.is_empty() {
            return None;
        }
        match self.limit? {
            Limit::First { skip, count } => {
                Some(Limit::First { skip: 0, count: skip.saturating_add(count).saturating_add(1) })
            }
            // What is filled forward into the last rows may come from far before.
            Limit::Last(_) if self.fill == Some(Fill::Forward) => None,
            Limit::Last(count) => Some(Limit::Last(count.saturating_add(1))),
        }
    }

    /// As [`Self::portion_limit`] for a sorted answer: each run of rows may give only those that come first (or
    /// last) in its own order, one more than wanted, since no other can be among the first of all.
    pub fn portion_top(&self) -> Option<Limit> {
        if !self.is_rows() || self.sort_cols.is_empty() || self.fill == Some(Fill::Forward) {
            return None;
        }
        Some(match self.limit? {
            Limit::First { skip, count } => {
                Limit::First { skip: 0, count: skip.saturating_add(count).saturating_add(1) }
            }
            Limit::Last(count) => Limit::Last(count.saturating_add(1)),
        })
    }

    /// True where each portion converts its own timestamps, so that the merge need not look into rows.
    pub fn converts_in_portions(&self) -> bool {
        self.is_rows() && self.sort_cols.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_pick_rows_from_either_end() {
        assert_eq!(Limit::First { skip: 0, count: 3 }.window(10), 0..3);
        assert_eq!(Limit::First { skip: 2, count: 3 }.window(4), 2..4);
        assert_eq!(Limit::First { skip: 7, count: 3 }.window(4), 4..4);
        assert_eq!(Limit::Last(3).window(10), 7..10);
        assert_eq!(Limit::Last(30).window(10), 0..10);
    }
}
