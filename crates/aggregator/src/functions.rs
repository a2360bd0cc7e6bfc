//! The aggregation functions: partials in, one result out.
//!
//! A name that is not here is an error that says which names are: partials are never joined in a way that was
//! not asked for. Custom functions (`KXI_CUSTOM_FILE`) need a q engine, which is not built in. Tests: here and
//! `tests/agg`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use getdata::{ParseOptions, Query};
use kvalue::{Dict, Sym, Value};
use qipc::{Limits, Raw};
use sg::{
    Ac, Api, Failure, LabelSet, Rc,
    api::{AGG_GET_DATA, AGG_PREVIEW, AGG_RAZE, GET_DATA, PREVIEW},
};

/// Rows of a preview where the request does not say.
const PREVIEW_ROWS: i64 = 1_000;

/// What a function gets to see.
#[derive(Debug)]
pub struct Input<'a> {
    /// API of the request
    pub api: &'a Sym,
    /// the request's arguments
    pub args: &'a Raw,
    /// the request's header options
    pub opts: &'a Raw,
    /// label sets of its portions
    pub labels: &'a [LabelSet],
    /// encoded partials in answer order
    pub partials: Vec<Bytes>,
}

/// A result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// the encoded object, in segments
    pub segments: Vec<Bytes>,
    /// whether a limit left rows out; `None` where the function has no notion of rows
    pub limit_applied: Option<bool>,
    /// bytes of the object, where the segments are a compressed stream instead
    pub packed: Option<u64>,
}

impl Output {
    fn of(merged: getdata::Merged) -> Output {
        Output { segments: merged.segments, limit_applied: Some(merged.limit_applied), packed: None }
    }
}

type Function = fn(Input<'_>) -> Result<Output, Failure>;

const FUNCTIONS: [(&str, Function, &str); 3] = [
    (AGG_RAZE, raze, "joins the partials: q's raze"),
    (AGG_GET_DATA, get_data, "merges partials of .kxi.getData: groups, fill, order, limit"),
    (AGG_PREVIEW, preview, "joins the partials and cuts them to args.limit rows, 1000 by default"),
];

/// What the Agg registers with RCs.
pub fn registered() -> Vec<Api> {
    let api = |(name, _, description): &(&str, Function, &str)| Api {
        name: (*name).into(),
        description: (*description).to_string(),
        params: Vec::new(),
        returns: 0,
        agg_fn: Sym::null(),
        safe: true,
        custom: false,
    };
    FUNCTIONS.iter().map(api).collect()
}

/// The function of this name; the null name is raze.
fn find(name: &Sym) -> Result<Function, Failure> {
    let wanted = if name.is_null() { AGG_RAZE.into() } else { name.text() };
    let found = FUNCTIONS.iter().find(|(known, _, _)| *known == wanted);
    found.map(|(_, function, _)| *function).ok_or_else(|| {
        let known: Vec<&str> = FUNCTIONS.iter().map(|(known, _, _)| *known).collect();
        Failure::new(
            Rc::NOT_SUPPORTED,
            Ac::API,
            format!(
                "aggFn {wanted} is not known to this aggregator, which has {}; custom functions need a q engine, which is not built in",
                known.join(", ")
            ),
        )
    })
}

/// Runs a function. A panic in it is a bug of ours and costs its request, not the process.
pub fn run(name: &Sym, input: Input<'_>) -> Result<Output, Failure> {
    let function = find(name)?;
    catch_unwind(AssertUnwindSafe(|| function(input))).unwrap_or_else(|_| {
        let ai =
            format!("aggregation {name} failed inside; this is a bug in qmesh, please report the request");
        Err(Failure::new(Rc::ERR, Ac::INTERNAL, ai))
    })
}

/// q's raze. What its caller limited stays limited: partials of getData and preview may have more rows than were asked
/// for, and those of getData may be states of groups.
fn raze(input: Input<'_>) -> Result<Output, Failure> {
    if input.api == PREVIEW && !input.partials.is_empty() {
        return preview(input);
    }
    if input.api == GET_DATA && !input.partials.is_empty() && !is_plain(input.args) {
        let query = query(&input)?;
        let merged = getdata::merge_by_portion(&query, input.partials)?;
        return Ok(Output::of(merged));
    }
    Ok(Output { segments: getdata::raze::raze(input.partials)?, limit_applied: None, packed: None })
}

/// Arguments of getData that say what is made of the partials; the others said which rows are in them, and have
/// been read by the DAPs.
const SAY_HOW: [&str; 5] = ["groupBy", "agg", "fill", "sortCols", "limit"];

/// True where the partials are rows to be joined as they are. Arguments that cannot be read are an error later.
fn is_plain(args: &Raw) -> bool {
    sg::opts::has_any(&args.0, &SAY_HOW).is_ok_and(|any| !any)
}

fn get_data(input: Input<'_>) -> Result<Output, Failure> {
    if !input.partials.is_empty() && is_plain(input.args) {
        let segments = getdata::raze::tables_or_one(input.partials, &Limits::internal())?;
        return Ok(Output { segments, limit_applied: Some(false), packed: None });
    }
    let query = query(&input)?;
    merged(&query, input.partials)
}

/// The request as getData reads it.
fn query(input: &Input<'_>) -> Result<Query, Failure> {
    let cast = dict(input.opts, "opts")?.get("cast").and_then(|v| v.as_bool()).unwrap_or(false);
    let mut labels: Vec<Sym> =
        input.labels.iter().flat_map(|set| set.iter().map(|(k, _)| k.clone())).collect();
    labels.sort();
    labels.dedup();
    Query::parse(&dict(input.args, "args")?, &ParseOptions { cast, labels })
}

fn preview(input: Input<'_>) -> Result<Output, Failure> {
    let limit = match dict(input.args, "args")?.get("limit") {
        None | Some(Value::Null) => PREVIEW_ROWS,
        Some(limit) => limit.as_i64().filter(|n| *n > 0).ok_or_else(|| {
            Failure::arg(format!(
                "limit of .kxi.preview must be a positive long, got a {}",
                limit.type_name()
            ))
        })?,
    };
    // Rows of partials are cut as getData cuts them; its other arguments have been dealt with by the DAPs.
    let args = Dict::of([("table", Value::sym("preview")), ("limit", limit.into())]);
    let query = Query::parse(&args, &ParseOptions { cast: false, labels: Vec::new() })?;
    merged(&query, input.partials)
}

fn merged(query: &Query, partials: Vec<Bytes>) -> Result<Output, Failure> {
    getdata::merge(query, partials).map(Output::of)
}

fn dict(raw: &Raw, what: &str) -> Result<Dict, Failure> {
    match raw.decode(&Limits::internal()).map_err(|e| Failure::arg(format!("{what}: {e}")))? {
        Value::Dict(d) => Ok((*d).clone()),
        other => Err(Failure::arg(format!("{what} must be a dictionary, got a {}", other.type_name()))),
    }
}

#[cfg(test)]
mod tests {
    use kvalue::{Table, Vector};

    use super::*;

    fn call(name: &str, args: Value, partials: &[Value]) -> Result<(Value, Option<bool>), Failure> {
        call_of(".some.api", name, args, partials)
    }

    fn call_of(
        api: &str,
        name: &str,
        args: Value,
        partials: &[Value],
    ) -> Result<(Value, Option<bool>), Failure> {
        let (args, opts) = (Raw::of(&args), Raw::of(&Value::empty_dict()));
        let partials = partials.iter().map(|p| Raw::of(p).0).collect();
        let input = Input { api: &api.into(), args: &args, opts: &opts, labels: &[], partials };
        let output = run(&name.into(), input)?;
        Ok((
            qipc::decode(output.segments.concat().into(), &Limits::internal()).unwrap(),
            output.limit_applied,
        ))
    }

    fn rows(n: i64) -> Value {
        Table::of([("x", Value::from(Vector::longs((0..n).collect())))]).unwrap().into()
    }

    #[test]
    fn raze_joins_what_pings_answer() {
        let (value, limited) = call(AGG_RAZE, Value::empty_dict(), &[true.into(), true.into()]).unwrap();
        assert_eq!((value, limited), (Value::from(Vector::booleans(vec![true, true])), None));
        assert!(call("", Value::empty_dict(), &[true.into()]).is_ok(), "the null name is raze");
    }

    #[test]
    fn a_preview_is_cut_to_its_limit_and_says_so() {
        let limit = |n: i64| Value::from(Dict::of([("limit", Value::from(n))]));
        let (value, limited) = call(AGG_PREVIEW, limit(5), &[rows(3), rows(3)]).unwrap();
        assert_eq!((value.count(), limited), (5, Some(true)));
        let (value, limited) = call(AGG_PREVIEW, Value::empty_dict(), &[rows(3), rows(3)]).unwrap();
        assert_eq!((value.count(), limited), (6, Some(false)));
        let (value, _) = call(AGG_PREVIEW, Value::empty_dict(), &[rows(900), rows(900)]).unwrap();
        assert_eq!(value.count(), 1000);
        assert_eq!(call(AGG_PREVIEW, limit(-1), &[rows(3)]).unwrap_err().ac, Ac::ARG);
    }

    #[test]
    fn raze_of_what_has_a_limit_keeps_it() {
        let three = [rows(3), rows(3), rows(3)];
        let args = |limit: Value| Value::from(Dict::of([("table", Value::sym("t")), ("limit", limit)]));
        let pair = Value::from(Vector::longs(vec![2, 3]));
        for (api, limit, wanted) in [
            (GET_DATA, Value::from(2i64), vec![0, 1]),
            (GET_DATA, Value::from(-2i64), vec![1, 2]),
            (GET_DATA, pair, vec![2, 0, 1]),
            (PREVIEW, Value::from(4i64), vec![0, 1, 2, 0]),
        ] {
            let (value, limited) = call_of(api, AGG_RAZE, args(limit), &three).unwrap();
            let xs = value.as_table().unwrap().column("x").unwrap().clone();
            assert_eq!((xs, limited), (Value::from(Vector::longs(wanted)), Some(true)), "{api}");
        }
        // For other APIs `limit` is the author's own argument: raze does not read it.
        let (value, limited) = call(AGG_RAZE, args(Value::from(2i64)), &three).unwrap();
        assert_eq!((value.count(), limited), (9, None));
    }

    #[test]
    fn rows_of_get_data_are_joined_as_they_are_unless_an_argument_says_how() {
        let args = |more: &[(&str, Value)]| {
            let table = ("table", Value::sym("t"));
            Value::from(Dict::of(std::iter::once(table).chain(more.iter().cloned())))
        };
        let ask = |more: &[(&str, Value)]| call(AGG_GET_DATA, args(more), &[rows(3), rows(2)]).unwrap();
        let (value, limited) = ask(&[("labels", Value::empty_dict())]);
        assert_eq!((value.count(), limited), (5, Some(false)));
        let (value, limited) = ask(&[("limit", Value::from(4i64))]);
        assert_eq!((value.count(), limited), (4, Some(true)));
        let (value, _) = ask(&[("sortCols", Value::sym("x"))]);
        let xs = value.as_table().unwrap().column("x").unwrap().clone();
        assert_eq!(xs, Value::from(Vector::longs(vec![0, 0, 1, 1, 2])));
        let other = Table::of([("y", Value::from(Vector::longs(vec![1])))]).unwrap();
        assert!(call(AGG_GET_DATA, args(&[]), &[rows(1), other.into()]).is_err());
    }

    #[test]
    fn an_unknown_function_is_refused_with_those_there_are() {
        let failure = call(".my.agg", Value::empty_dict(), &[rows(1)]).unwrap_err();
        assert_eq!((failure.rc, failure.ac), (Rc::NOT_SUPPORTED, Ac::API));
        assert!(failure.ai.contains(".my.agg") && failure.ai.contains(AGG_RAZE), "{}", failure.ai);
    }

    #[test]
    fn what_cannot_be_merged_fails_its_request_alone() {
        let other = Table::of([("y", Value::from(Vector::longs(vec![1])))]).unwrap();
        assert!(call(AGG_RAZE, Value::empty_dict(), &[rows(1), other.into()]).is_err());
        let garbage = Raw(Bytes::from_static(&[98, 0, 99]));
        let (args, opts) = (Raw::of(&Value::empty_dict()), Raw::of(&Value::empty_dict()));
        let partials = vec![garbage.0.clone(), garbage.0];
        assert!(
            run(
                &AGG_RAZE.into(),
                Input { api: &"a".into(), args: &args, opts: &opts, labels: &[], partials }
            )
            .is_err()
        );
    }
}
