//! Arguments to [`Query`]: every argument of `.kxi.getData` in every form clients send it.
//!
//! Rule: a value is taken where its meaning is clear, whatever its q type (QIPC sends symbols, typed vectors and
//! functions; REST sends texts, numbers and general lists); else the error names the argument, what it was and
//! what was expected. A generic null, an empty list or an empty symbol for an optional argument is as if it was
//! not given. Tests: `args/tests.rs`.

mod agg;
mod filter;
mod time;

use kvalue::{Atom, Dict, Sym, Type, Value};
use qipc::{Limits, Raw};
use sg::{Failure, TimeRange, tz::Zone};

use crate::query::{Agg, Fill, Limit, Query};

/// Arguments that getData knows.
pub const ARGS: [&str; 16] = [
    "table",
    "startTS",
    "endTS",
    "labels",
    "scope",
    "inputTZ",
    "outputTZ",
    "outputTZCols",
    "filter",
    "groupBy",
    "agg",
    "fill",
    "temporality",
    "slice",
    "sortCols",
    "limit",
];

/// What the request's header and the mesh say about how arguments are read.
#[derive(Debug, Clone, Default)]
pub struct ParseOptions {
    /// header option `cast`
    pub cast: bool,
    /// label names that may stand among the arguments (`ALLOW_OLD_LABEL_STYLE`)
    pub labels: Vec<Sym>,
}

/// Where an argument stands among [`ARGS`].
const fn slot(name: &str) -> usize {
    let mut at = 0;
    while at < ARGS.len() {
        let (a, b) = (ARGS[at].as_bytes(), name.as_bytes());
        let mut i = 0;
        while i < a.len() && i < b.len() && a[i] == b[i] {
            i += 1;
        }
        if i == a.len() && i == b.len() {
            return at;
        }
        at += 1;
    }
    panic!("no argument of getData")
}

/// The arguments of a request, each where [`ARGS`] has it.
#[derive(Default)]
struct Given {
    values: [Option<Value>; ARGS.len()],
    /// the first name that is no argument's
    unknown: Option<Sym>,
    /// the first name that came again
    twice: Option<&'static str>,
}

impl Given {
    /// Takes an argument. One that is given twice is an error: which is meant nobody can tell.
    fn add(&mut self, name: &[u8], value: Value, is_label: impl FnOnce(&[u8]) -> bool) {
        match ARGS.iter().position(|arg| arg.as_bytes() == name) {
            Some(at) if self.values[at].is_some() => _ = self.twice.get_or_insert(ARGS[at]),
            Some(at) => self.values[at] = Some(value),
            None if name.is_empty() || is_label(name) => {}
            None => _ = self.unknown.get_or_insert_with(|| Sym::new(name)),
        }
    }

    /// An argument whatever it is.
    fn any(&mut self, at: usize) -> Option<Value> {
        self.values[at].take()
    }

    /// An argument that says something.
    fn given(&mut self, at: usize) -> Option<Value> {
        self.any(at).filter(|v| !is_absent(v))
    }

    fn query(&mut self, cast: bool) -> Result<Query, Failure> {
        if let Some(name) = &self.unknown {
            return Err(sg::args::unknown("getData", name, &ARGS));
        }
        if let Some(name) = self.twice {
            return Err(sg::args::twice(name));
        }
        let input = zone("inputTZ", self.given(const { slot("inputTZ") }))?;
        let (start, end) = (self.given(const { slot("startTS") }), self.given(const { slot("endTS") }));
        let range = time::range(start, end, &input)?;
        let (kind, slice) = (self.given(const { slot("temporality") }), self.given(const { slot("slice") }));
        let (range, slice) = time::temporality(kind, slice, range, &input)?;
        let names =
            |arg: &'static str, value: Option<Value>| value.map_or(Ok(Vec::new()), |v| columns(arg, &v));
        Ok(Query {
            table: table(self.any(const { slot("table") }))?,
            range,
            filter: filter::parse(self.given(const { slot("filter") }).as_ref())?,
            group_by: names("groupBy", self.given(const { slot("groupBy") }))?,
            agg: self.given(const { slot("agg") }).map_or(Ok(Agg::All), |v| agg::parse(&v))?,
            fill: self.given(const { slot("fill") }).map(|v| fill(&v)).transpose()?,
            slice,
            sort_cols: names("sortCols", self.given(const { slot("sortCols") }))?,
            limit: self.given(const { slot("limit") }).map(|v| limit(&v)).transpose()?,
            output_tz: zone("outputTZ", self.given(const { slot("outputTZ") }))?,
            output_tz_cols: names("outputTZCols", self.given(const { slot("outputTZCols") }))?,
            cast,
        })
    }
}

impl Query {
    /// Reads a request's arguments. `labels` and `scope` are routing's: they are known here, not looked into.
    pub fn parse(args: &Dict, options: &ParseOptions) -> Result<Query, Failure> {
        Query::of_dict(args, options.cast, |name| options.labels.iter().any(|label| label.as_bytes() == name))
    }

    fn of_dict(args: &Dict, cast: bool, is_label: impl Fn(&[u8]) -> bool) -> Result<Query, Failure> {
        let mut given = Given::default();
        for (name, value) in args.pairs() {
            given.add(name.as_bytes(), value, &is_label);
        }
        given.query(cast)
    }

    /// As [`Self::parse`], from the dictionary as it travels.
    pub fn read(args: &Raw, cast: bool, is_label: impl Fn(&[u8]) -> bool) -> Result<Query, Failure> {
        let limits = Limits::internal();
        let malformed = |e: qipc::DecodeError| Failure::arg(format!("args: {e}"));
        let mut given = Given::default();
        let add = |name: &[u8], value| given.add(name, value, &is_label);
        if qipc::named_values(&args.0, &limits, add).map_err(malformed)? {
            return given.query(cast);
        }
        // Nothing was given: names that are texts, or values of one type.
        match args.decode(&limits).map_err(malformed)? {
            Value::Dict(args) => Query::of_dict(&args, cast, is_label),
            other => Err(Failure::arg(format!("args must be a dictionary, got a {}", other.type_name()))),
        }
    }
}

/// Ways to send nothing.
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Atom(Atom::Symbol(s)) => s.is_null(),
        Value::Vector(v) => v.is_empty(),
        Value::List(l) => l.is_empty(),
        _ => false,
    }
}

fn table(value: Option<Value>) -> Result<Sym, Failure> {
    let Some(value) = value else {
        return Err(Failure::arg("getData needs the argument table: the name of a table"));
    };
    match value.as_name() {
        Some(name) if !name.is_null() => Ok(name),
        _ => Err(unexpected("table", "the name of a table, as a symbol or a text", &value)),
    }
}

fn zone(arg: &str, value: Option<Value>) -> Result<Zone, Failure> {
    let Some(value) = value else { return Ok(Zone::utc()) };
    match value.as_name() {
        Some(name) => Zone::named(arg, &name.text()),
        None => Err(unexpected(arg, "a tz database name such as Europe/London", &value)),
    }
}

/// A list of column names, none twice.
fn columns(arg: &'static str, value: &Value) -> Result<Vec<Sym>, Failure> {
    let names = value.as_names().ok_or_else(|| unexpected(arg, "a list of column names", value))?;
    for (i, name) in names.iter().enumerate() {
        if name.is_null() {
            return Err(Failure::arg(format!("{arg} has an empty column name: leave it out")));
        }
        if names[..i].contains(name) {
            return Err(Failure::arg(format!("{arg} has the column `{name}` twice: name it once")));
        }
    }
    Ok(names)
}

fn fill(value: &Value) -> Result<Fill, Failure> {
    match value.as_name().as_ref().map(Sym::text).as_deref() {
        Some("zero") => Ok(Fill::Zero),
        Some("forward") => Ok(Fill::Forward),
        _ => Err(unexpected("fill", "zero or forward", value)),
    }
}

const LIMIT: &str = "a number of rows (negative: the last ones) or a pair (offset;number)";

fn limit(value: &Value) -> Result<Limit, Failure> {
    let wrong = || unexpected("limit", LIMIT, value);
    match items(value).as_deref() {
        None => {
            let n = whole(value).ok_or_else(wrong)?;
            let count = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
            Ok(if n < 0 { Limit::Last(count) } else { Limit::First { skip: 0, count } })
        }
        Some([one]) => limit(one),
        Some([skip, count]) => {
            let part = |v: &Value| whole(v).and_then(|n| usize::try_from(n).ok()).ok_or_else(wrong);
            Ok(Limit::First { skip: part(skip)?, count: part(count)? })
        }
        Some(_) => Err(wrong()),
    }
}

/// A whole number of any numeric type; JSON has no other way to send 3 than 3 or 3.0.
fn whole(value: &Value) -> Option<i64> {
    let Value::Atom(atom) = value else { return None };
    match (atom.ty(), atom.scalar()?) {
        (Type::Byte | Type::Short | Type::Int | Type::Long, kvalue::atom::Scalar::Integer(n)) => n,
        (Type::Real | Type::Float, kvalue::atom::Scalar::Float(x)) => {
            // Beyond 2^53 a float is no longer exact, and no limit.
            (x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0).then_some(x as i64)
        }
        _ => None,
    }
}

/// The items of a list of any layout; `None` for an atom, a text or anything else.
fn items(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::List(l) => Some(l.items().to_vec()),
        Value::Vector(v) if v.ty() != Type::Char => Some(v.iter().map(Value::Atom).collect()),
        _ => None,
    }
}

/// The error for an argument of the wrong shape.
fn unexpected(arg: &str, expected: &str, got: &Value) -> Failure {
    Failure::arg(format!("{arg} must be {expected}, got {}", crate::display::value(got)))
}

/// The time range of a request, for routing without a run.
pub fn range(args: &Dict) -> Result<TimeRange, Failure> {
    let given = |name: &str| args.get(name).filter(|v| !is_absent(v));
    time::range(given("startTS"), given("endTS"), &zone("inputTZ", given("inputTZ"))?)
}

#[cfg(test)]
mod tests;
