//! Name, parameters and retry safety of an API: the metadata that DAPs and Aggs register, that routing decides by
//! (`safe`), and that `.kxi.getMeta` shows.

use kvalue::{Dict, Sym, Value};

/// One parameter of an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// argument name
    pub name: Sym,
    /// q type numbers it accepts: negative for atoms, 98 table, 99 dictionary
    pub types: Vec<i16>,
    /// true where the call fails without it
    pub required: bool,
    /// one sentence
    pub description: String,
}

/// An API's registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// full name, for instance `.kxi.getData`
    pub name: Sym,
    /// one sentence
    pub description: String,
    /// parameters in documentation order
    pub params: Vec<Param>,
    /// q type number of what a DAP returns; 0 any
    pub returns: i16,
    /// aggregation function the Agg uses unless the request names another
    pub agg_fn: Sym,
    /// true where running it twice is harmless: it may be retried and hedged
    pub safe: bool,
    /// true for user code, false for what qmesh brings
    pub custom: bool,
}

/// The default aggregation: q's raze of the partials.
pub const AGG_RAZE: &str = ".sgagg.aggFnDflt";
/// The aggregation of `.kxi.getData`.
pub const AGG_GET_DATA: &str = ".sgagg.getData";
/// The aggregation of `.kxi.preview`: raze, cut to the limit.
pub const AGG_PREVIEW: &str = ".sgagg.preview";

/// `.kxi.getData`
pub const GET_DATA: &str = ".kxi.getData";
/// `.kxi.getMeta`
pub const GET_META: &str = ".kxi.getMeta";
/// `.kxi.ping`
pub const PING: &str = ".kxi.ping";
/// `.kxi.preview`
pub const PREVIEW: &str = ".kxi.preview";

fn param(name: &str, types: &[i16], required: bool, description: &str) -> Param {
    Param { name: name.into(), types: types.to_vec(), required, description: description.into() }
}

/// The APIs every DAP brings.
pub fn builtin() -> Vec<Api> {
    let labels = || param("labels", &[99], false, "label name to value or list of values; omitted: all");
    let scope = || param("scope", &[99], false, "assembly, tier and dap to target");
    let start = || param("startTS", &[-12], false, "inclusive start; omitted: minus infinity");
    let end = || param("endTS", &[-12], false, "exclusive end; omitted: plus infinity");
    let api = |name: &str, description: &str, params, returns, agg_fn: &str| Api {
        name: name.into(),
        description: description.into(),
        params,
        returns,
        agg_fn: agg_fn.into(),
        safe: true,
        custom: false,
    };
    vec![
        api(
            GET_DATA,
            "rows or aggregates of one table",
            vec![
                param("table", &[-11], true, "table name"),
                start(),
                end(),
                labels(),
                scope(),
                param("inputTZ", &[-11], false, "time zone of startTS and endTS; default UTC"),
                param("outputTZ", &[-11], false, "time zone of timestamps in the result; default UTC"),
                param("outputTZCols", &[11], false, "columns to convert to outputTZ; default all timestamps"),
                param("filter", &[0], false, "conditions (op;column;value), all of which must hold"),
                param("groupBy", &[11], false, "grouping columns"),
                param("agg", &[0, 11], false, "columns, (new;column) pairs or (new;function;column) triples"),
                param("fill", &[-11], false, "zero or forward"),
                param("temporality", &[-11], false, "snapshot (default) or slice"),
                param("slice", &[0, 19], false, "time of day window applied to each date, with slice"),
                param("sortCols", &[11], false, "columns to sort the result by"),
                param("limit", &[-7, 7], false, "rows: first n, last n if negative, or (offset;n)"),
            ],
            98,
            AGG_GET_DATA,
        ),
        api(
            GET_META,
            "APIs, aggregations, assemblies, schemas and processes of the mesh",
            vec![start(), end(), labels(), scope()],
            99,
            AGG_RAZE,
        ),
        api(PING, "1b from each target reached", vec![labels(), scope(), start(), end()], -1, AGG_RAZE),
        api(
            PREVIEW,
            "a cheap sample of a table's rows",
            vec![
                param("table", &[-11], true, "table name"),
                start(),
                end(),
                labels(),
                scope(),
                param("limit", &[-7], false, "most rows; default 1000"),
            ],
            98,
            AGG_PREVIEW,
        ),
    ]
}

impl Api {
    /// As it travels in a registration.
    pub fn to_value(&self) -> Value {
        let params: Vec<Value> = self
            .params
            .iter()
            .map(|p| {
                Value::from(Dict::of([
                    ("name", Value::Atom(p.name.clone().into())),
                    ("type", kvalue::Vector::new(kvalue::Type::Short, p.types.clone()).into()),
                    ("isReq", p.required.into()),
                    ("description", Value::str(&p.description)),
                ]))
            })
            .collect();
        Dict::of([
            ("api", Value::Atom(self.name.clone().into())),
            ("description", Value::str(&self.description)),
            ("params", Value::list(params)),
            ("returns", self.returns.into()),
            ("aggFn", Value::Atom(self.agg_fn.clone().into())),
            ("safe", self.safe.into()),
            ("custom", self.custom.into()),
        ])
        .into()
    }

    /// From a registration; `None` where it has no name. Missing parts take their defaults, so that a q
    /// process can register a bare name.
    pub fn from_value(value: &Value) -> Option<Self> {
        let Some(d) = value.as_dict() else {
            return Some(Api::bare(value.as_name()?));
        };
        let text = |v: Option<Value>| {
            v.and_then(|v| v.as_text()).map(|t| String::from_utf8_lossy(&t).into_owned()).unwrap_or_default()
        };
        let mut api = Api::bare(d.get("api")?.as_name()?);
        api.description = text(d.get("description"));
        api.returns = d.get("returns").and_then(|v| v.as_i64()).unwrap_or(0) as i16;
        api.safe = d.get("safe").and_then(|v| v.as_bool()).unwrap_or(false);
        api.custom = d.get("custom").and_then(|v| v.as_bool()).unwrap_or(true);
        if let Some(agg_fn) = d.get("aggFn").and_then(|v| v.as_name()).filter(|n| !n.is_null()) {
            api.agg_fn = agg_fn;
        }
        if let Some(Value::List(params)) = d.get("params") {
            api.params = params.items().iter().filter_map(Param::from_value).collect();
        }
        Some(api)
    }

    fn bare(name: Sym) -> Self {
        Api {
            name,
            description: String::new(),
            params: Vec::new(),
            returns: 0,
            agg_fn: AGG_RAZE.into(),
            safe: false,
            custom: true,
        }
    }
}

impl Param {
    fn from_value(value: &Value) -> Option<Self> {
        let d = value.as_dict()?;
        let types = match d.get("type") {
            Some(Value::Vector(v)) => v.as_buf::<i16>().map(|b| b.to_vec()).unwrap_or_default(),
            Some(atom) => atom.as_i64().map(|n| vec![n as i16]).unwrap_or_default(),
            None => Vec::new(),
        };
        Some(Param {
            name: d.get("name")?.as_name()?,
            types,
            required: d.get("isReq").and_then(|v| v.as_bool()).unwrap_or(false),
            description: d
                .get("description")
                .and_then(|v| v.as_text())
                .map(|t| String::from_utf8_lossy(&t).into_owned())
                .unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_survive_the_wire() {
        for api in builtin() {
            assert_eq!(Api::from_value(&api.to_value()), Some(api));
        }
    }

    #[test]
    fn a_q_process_may_register_a_bare_name() {
        let api = Api::from_value(&Value::sym(".custom.countBy")).unwrap();
        assert!(!api.safe && api.custom);
        assert_eq!(api.agg_fn, AGG_RAZE);
    }
}
