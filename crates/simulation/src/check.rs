//! Whether an answer is right: each row that was asked for, exactly once.

use std::collections::BTreeMap;

use kvalue::Value;
use qipc::{Limits, Raw};
use sg::{LabelSet, TimeRange};

use crate::{
    data,
    ledger::{Asked, COPIES, Kind},
};

/// A stretch of time of a label set that an answer says it is without.
pub(crate) type Missing = (usize, TimeRange);

/// What nobody knows the label set of: some of it may be missing.
const ANY: usize = usize::MAX;

/// Rows that the request asked for and the answer does not name as missing.
fn wanted<'a>(asked: &'a Asked, missing: &'a [Missing]) -> impl Iterator<Item = i64> + 'a {
    let range = asked.range;
    let there = |l: usize, t: i64| !missing.iter().any(|(of, range)| *of == l && range.contains(t));
    let of = move |l: usize| data::instants(range).filter(move |t| there(l, *t)).map(move |t| data::x(l, t));
    asked.labels.iter().flat_map(move |l| of(*l))
}

/// What an answer's header names as missing.
pub(crate) fn missing(extra: &Raw) -> Result<Vec<Missing>, String> {
    let header = extra.decode(&Limits::internal()).map_err(|e| format!("its header is undecodable: {e}"))?;
    let Some(table) = header.as_dict().and_then(|h| h.get("missing")) else { return Ok(Vec::new()) };
    let table = table.as_table().ok_or("its header's missing is no table")?;
    let row = |i: usize| {
        let labels = LabelSet::from_value(&table.column("labels")?.index(i)).ok()?.to_string();
        let labels = match labels == LabelSet::default().to_string() {
            true => ANY,
            false => data::REGIONS.iter().position(|r| labels == format!("region={r}"))?,
        };
        let at = |name: &str| table.column(name)?.index(i).as_i64();
        Some((labels, TimeRange::new(at("startTS")?, at("endTS")?)?))
    };
    let rows = (0..table.len()).map(|i| row(i).ok_or_else(|| format!("row {i} of {table:?} names nothing")));
    rows.collect()
}

fn longs(value: &Value, column: &str) -> Result<Vec<i64>, String> {
    let table = value.as_table().ok_or_else(|| format!("it is a {}, not a table", value.type_name()))?;
    let column = table.column(column).ok_or_else(|| format!("it has no column {column}"))?;
    let longs = column.as_vector().and_then(|v| v.as_buf::<i64>().map(|b| b.to_vec()));
    longs.ok_or_else(|| format!("column {column:?} is no list of longs"))
}

/// Checks an answer; `informed` where the coordinator knew of all data when it planned. One that did not may
/// leave out what it had never heard of, but says nothing twice and nothing that was not asked.
pub(crate) fn answer(asked: &Asked, bytes: &[u8], missing: &[Missing], informed: bool) -> Result<(), String> {
    let value =
        qipc::decode(bytes.to_vec().into(), &Limits::internal()).map_err(|e| format!("undecodable: {e}"))?;
    match asked.kind {
        Kind::Rows | Kind::Once => rows(asked, missing, &longs(&value, "x")?, 1, informed),
        Kind::Large => rows(asked, missing, &longs(&value, "x")?, COPIES, informed),
        Kind::Sums => match informed {
            true => sums(asked, missing, &value),
            false => Ok(()),
        },
        Kind::Ping | Kind::Own | Kind::Cancel => Ok(()),
    }
}

fn rows(
    asked: &Asked,
    missing: &[Missing],
    got: &[i64],
    copies: usize,
    informed: bool,
) -> Result<(), String> {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    got.iter().for_each(|x| *counts.entry(*x).or_default() += 1);
    for x in wanted(asked, missing) {
        match counts.remove(&x) {
            Some(n) if n == copies => {}
            Some(n) => return Err(format!("row {x} is in it {n} times, not {copies}")),
            None if informed && !maybe(missing) => return Err(format!("row {x} is missing")),
            None => {}
        }
    }
    match counts.first_key_value() {
        Some((x, _)) => Err(format!("row {x} was not asked for")),
        None => Ok(()),
    }
}

/// True where all that is missing is not known.
fn maybe(missing: &[Missing]) -> bool {
    missing.iter().any(|(labels, _)| *labels == ANY)
}

fn sums(asked: &Asked, missing: &[Missing], value: &Value) -> Result<(), String> {
    if maybe(missing) {
        return Ok(());
    }
    let (n, sum) = wanted(asked, missing).fold((0, 0), |(n, sum), x| (n + 1, sum + x));
    let (got_n, got_sum) = (longs(value, "n")?, longs(value, "s")?);
    match (&got_n[..], &got_sum[..]) {
        ([a], [b]) if (*a, *b) == (n, sum) => Ok(()),
        // Over no rows a sum is one row of zeros, or no row.
        ([], []) if n == 0 => Ok(()),
        _ => Err(format!("counts {got_n:?} and sums {got_sum:?}, expected {n} and {sum}")),
    }
}
