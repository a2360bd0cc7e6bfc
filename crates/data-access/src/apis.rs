//! The APIs a DAP runs: one portion in, one partial out.

use std::sync::Arc;

use getdata::{ParseOptions, Query};
use kvalue::{Dict, Sym, Value};
use qipc::{Limits, Raw};
use sg::{Ac, Failure, LabelSet, Rc, TimeRange, api, msg::Payload};

use crate::{cancel::Stop, store::Tables};

/// One portion, or a direct call over everything.
#[derive(Debug, Clone)]
pub struct Call {
    /// API to run
    pub api: Sym,
    /// stretch of time to answer for
    pub range: TimeRange,
    /// header options of the request
    pub opts: Raw,
    /// arguments of the request
    pub args: Raw,
    /// this source's labels, whose names old-style requests have among their arguments
    pub labels: LabelSet,
}

/// Whether the answer is one partial of many or all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// a partial that an Agg will merge
    Partial,
    /// the whole answer
    Whole,
}

/// Runs a call on a snapshot of the tables.
pub fn run(
    tables: &Arc<dyn Tables>,
    call: &Call,
    wanted: Wanted,
    stop: &dyn Stop,
) -> Result<Payload, Failure> {
    match &*call.api.text() {
        api::PING => {
            let is_label = |name: &Sym| call.labels.keys().any(|label| label == name);
            sg::args::only(api::PING, &call.args, &sg::args::NAMES, &is_label)?;
            Ok(Payload::of(&true.into()))
        }
        api::GET_DATA => {
            let is_label = |name: &[u8]| call.labels.keys().any(|label| label.as_bytes() == name);
            get_data(tables, call, &Query::read(&call.args, cast(call)?, is_label)?, wanted, stop)
        }
        api::PREVIEW => {
            let is_label = |name: &Sym| call.labels.keys().any(|label| label == name);
            let args = preview(&dict(&call.args, "args")?, &is_label)?;
            let options = ParseOptions { cast: cast(call)?, labels: call.labels.keys().cloned().collect() };
            get_data(tables, call, &Query::parse(&args, &options)?, wanted, stop)
        }
        other => Err(Failure::new(
            Rc::NOT_SUPPORTED,
            Ac::API,
            format!("{other} is no API of this data process; it has {}", names().join(", ")),
        )),
    }
}

fn names() -> [&'static str; 3] {
    [api::GET_DATA, api::PING, api::PREVIEW]
}

fn dict(raw: &Raw, what: &str) -> Result<Dict, Failure> {
    let value = raw.decode(&Limits::internal()).map_err(|e| Failure::arg(format!("{what}: {e}")))?;
    match value {
        Value::Dict(d) => Ok((*d).clone()),
        other => Err(Failure::arg(format!("{what} must be a dictionary, got a {}", other.type_name()))),
    }
}

/// Preview is getData of some rows: with a limit, without anything that needs all of them.
fn preview(args: &Dict, is_label: &dyn Fn(&Sym) -> bool) -> Result<Dict, Failure> {
    const KEPT: [&str; 7] = ["table", "startTS", "endTS", "labels", "scope", "inputTZ", "limit"];
    const DEFAULT_LIMIT: i64 = 1_000;
    let mut pairs: Vec<(Sym, Value)> = args.pairs().collect();
    if let Some((odd, _)) =
        pairs.iter().find(|(name, _)| !name.is_null() && !is_label(name) && !KEPT.iter().any(|k| *name == *k))
    {
        return Err(sg::args::unknown(api::PREVIEW, odd, &KEPT));
    }
    match pairs.iter().find(|(name, _)| *name == "limit") {
        None => pairs.push(("limit".into(), DEFAULT_LIMIT.into())),
        Some((_, limit)) if limit.as_i64().is_some_and(|n| n > 0) => {}
        Some((_, other)) => {
            let got = match other.as_i64() {
                Some(n) => n.to_string(),
                None => format!("a {}", other.type_name()),
            };
            return Err(Failure::arg(format!(
                "limit of .kxi.preview must be a whole number from 1, got {got}"
            )));
        }
    }
    Ok(Dict::of(pairs.iter().map(|(k, v)| (k.as_bytes(), v.clone()))))
}

/// Header option `cast`.
fn cast(call: &Call) -> Result<bool, Failure> {
    if call.opts.0[..] == sg::opts::EMPTY_DICT {
        return Ok(false);
    }
    Ok(dict(&call.opts, "opts")?.get("cast").and_then(|v| v.as_bool()).unwrap_or(false))
}

fn get_data(
    tables: &Arc<dyn Tables>,
    call: &Call,
    query: &Query,
    wanted: Wanted,
    stop: &dyn Stop,
) -> Result<Payload, Failure> {
    let source = tables.source(&query.table).ok_or_else(|| Failure::table_not_found(&query.table.text()))?;
    let bound = query.bind(source.schema())?;
    let answer = match wanted {
        Wanted::Partial => getdata::execute(&bound, &*source, call.range, stop).map(Payload),
        Wanted::Whole => getdata::execute_whole(&bound, &*source, stop).map(|whole| Payload(whole.segments)),
    };
    // The execution only knows that it was interrupted; why is known here.
    answer.map_err(|failure| match failure.rc {
        Rc::CANCELLED => stop.why().unwrap_or(failure),
        _ => failure,
    })
}
