//! Our side of the bench `q`: sixteen queries over 10 million rows in memory. `tests/bench/q_queries.py` asks the same
//! of Polars and DuckDB.

use std::path::Path;

use super::{data, session, timed};
use crate::{error::Error, worker};

/// The queries, by the number that all sides report them under, and how many rows the answer has.
const QUERIES: [(&str, &str, &str); 16] = [
    ("1", "1 rows", "select avg price, max size by sym from trade"),
    ("2", "2 rows", "select count i by ex from trade"),
    ("3", "3 rows", "select from trade where sym=`s042"),
    ("4", "4 rows", "select from trade where sym in fifty, price>100"),
    ("5", "5 rows", "select size wavg price by sym from trade"),
    ("6", "6 rows", "select last price by 0D00:05 xbar time, sym from trade"),
    ("7", "7 rows", "select from trade where price=(max;price) fby sym"),
    ("8", "8 rows", "aj[`sym`time;trade;quote]"),
    ("9", "9 rows", "wj[(some.time-0D00:00:02;some.time);`sym`time;some;(quotep;(max;`ask);(min;`bid))]"),
    ("10", "10 rows", "half uj rest"),
    ("11", "11 rows", "select distinct sym, ex from trade"),
    ("12", "12 rows", "select[100;>price] from trade"),
    ("13", "13 rows", "select deltas price by sym from trade"),
    ("14", "14 rows", "select dev price, price cor size by sym from trade"),
    ("15", "15 rows", "select sums size by sym from trade"),
    ("16", "16 rows", "select count i by ex from trade where cond like \"A*\""),
];

/// What is made before the turns: halves of the table, a thousandth of it, quotes as `wj` wants them.
const BEFORE: &str = "fifty:`$\"s\",/:string 100+til 50
n:count trade
half:(n div 2)#trade
rest:delete cond from (n div 2)_trade
some:select sym,time from trade where i in (n div 100000)*til 100000
quotep:update `p#sym from `sym`time xasc quote";

/// Answers turns with this many threads; 0 for as many as there are processors.
pub(crate) fn serve(dir: &Path, threads: usize, only: Option<&str>) -> Result<(), Error> {
    let mut q = session(threads);
    let fail = |e: qlang::QError| Error::Other(e.to_string());
    let trade = data::table(dir, "trade", &["time", "sym", "ex", "price", "size", "cond"])?;
    let quote = data::table(dir, "quote", &["time", "sym", "bid", "ask"])?;
    q.set("trade", trade).map_err(fail)?;
    q.set("quote", quote).map_err(fail)?;
    for line in BEFORE.lines() {
        q.run(line).map_err(|e| Error::Other(format!("{line}: {e}")))?;
    }
    worker::serve(|| {
        let mut sample = Vec::new();
        for (name, rows, text) in QUERIES.iter().filter(|(name, ..)| only.is_none_or(|o| o == *name)) {
            let (taken, count) = timed(&mut q, text)?;
            sample.extend([(*name, taken), (*rows, count as f64)]);
        }
        Ok(sample)
    })
}
