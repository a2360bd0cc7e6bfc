//! REST arguments as q values.
//!
//! Arguments that routing reads have fixed types; the others get the type that the API's metadata declares,
//! and without one the nearest of q: strings char vectors, whole numbers longs, other numbers floats, arrays
//! lists, objects dictionaries. `null` is an argument left out. Tests: below.

use kvalue::{Atom, Dict, Type, Value, Vector};
use sg::{Api, Failure};

use super::input::Json;

/// The body of a request: arguments and, apart from them, header options.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    pub(super) args: Value,
    pub(super) opts: Vec<(String, Value)>,
}

/// Types of the arguments that routing reads, whatever the API.
fn routed(name: &str) -> Option<&'static [i16]> {
    Some(match name {
        "table" | "inputTZ" | "outputTZ" => &[-11],
        "startTS" | "endTS" => &[-12],
        "labels" | "scope" => &[99],
        _ => return None,
    })
}

/// True for arguments that are texts whatever they look like.
pub(super) fn is_text(name: &str) -> bool {
    routed(name).is_some_and(|types| types != [99])
}

/// Arguments and options of a request for `api`.
pub(super) fn call(fields: Vec<(String, Json)>, api: Option<&Api>) -> Result<Call, Failure> {
    let mut args = Vec::new();
    let mut opts = Vec::new();
    let is_zoned = fields.iter().any(|(name, json)| name == "inputTZ" && *json != Json::Null);
    for (name, json) in fields {
        if json == Json::Null {
            continue;
        }
        if name == "opts" {
            opts = options(json)?;
            continue;
        }
        let declared = api.and_then(|a| a.params.iter().find(|p| p.name == name.as_str()));
        let types = routed(&name).or(declared.map(|p| &p.types[..])).unwrap_or_default();
        let value = match (name.as_str(), json) {
            ("labels" | "scope", json) => labels(&name, json)?,
            // An offset of its own counts whatever the zone is, and a timestamp has none.
            ("startTS" | "endTS", Json::Text(text)) if is_zoned && kvalue::time::has_offset(&text) => {
                time(&name, &text, Type::Timestamp)?;
                Value::str(text)
            }
            // A lone name stands for a list of one where a list is needed.
            (_, json) => typed(&name, json, types)?,
        };
        args.push((name, value));
    }
    Ok(Call { args: if args.is_empty() { Value::empty_dict() } else { Dict::of(args).into() }, opts })
}

/// The parameter `assembly` of KDB-X's DB Service as the scope that it is here.
pub(super) fn assembly_as_scope(fields: &mut [(String, Json)]) {
    if fields.iter().any(|(name, _)| name == "scope") {
        return;
    }
    if let Some((name, value)) =
        fields.iter_mut().find(|(n, v)| n == "assembly" && matches!(v, Json::Text(_)))
    {
        *name = "scope".into();
        *value = Json::Object(vec![("assembly".into(), std::mem::replace(value, Json::Null))]);
    }
}

/// `labels` and `scope`: an object of names and lists of names.
fn labels(name: &str, json: Json) -> Result<Value, Failure> {
    let Json::Object(fields) = json else {
        let what = json.kind();
        return Err(Failure::arg(format!(
            "{name} must be an object such as {{\"region\": \"amer\"}}, not {what}"
        )));
    };
    let value = |json: Json| match json {
        Json::List(items) if items.iter().all(|i| matches!(i, Json::Text(_))) => symbols(items),
        Json::Text(text) => Value::sym(text),
        other => plain(other),
    };
    Ok(Dict::of(fields.into_iter().map(|(k, v)| (k, value(v)))).into())
}

/// Header options: names as names, the rest as it is.
fn options(json: Json) -> Result<Vec<(String, Value)>, Failure> {
    let Json::Object(fields) = json else {
        return Err(Failure::arg(format!("opts must be an object of header fields, not {}", json.kind())));
    };
    let value = |name: &str, json| match (name, json) {
        ("aggFn", Json::Text(text)) => Value::sym(text),
        (_, json) => plain(json),
    };
    Ok(fields
        .into_iter()
        .filter(|(_, json)| *json != Json::Null)
        .map(|(name, json)| (value(&name, json), name))
        .map(|(value, name)| (name, value))
        .collect())
}

fn symbols(items: Vec<Json>) -> Value {
    Value::syms(items.into_iter().map(|i| match i {
        Json::Text(text) => text,
        _ => String::new(),
    }))
}

/// A value of one of these q types; of the nearest type where none fits or none is declared.
fn typed(name: &str, json: Json, types: &[i16]) -> Result<Value, Failure> {
    let takes = |ty: i16| types.contains(&ty);
    Ok(match json {
        Json::Text(text) => {
            if takes(-11) {
                return Ok(Value::sym(text));
            }
            if takes(11) && !takes(0) {
                return Ok(Value::syms([text]));
            }
            if takes(10) || takes(0) {
                return Ok(Value::str(text));
            }
            let temporal = types.iter().find_map(|ty| {
                Type::from_number(u8::try_from(ty.checked_neg()?).ok()?).filter(|ty| ty.is_temporal())
            });
            match temporal {
                Some(ty) => Value::Atom(time(name, &text, ty)?),
                None if takes(-2) => match sg::ids::parse_guid(&text) {
                    Some(guid) => Value::Atom(Atom::Guid(guid)),
                    None => return Err(Failure::arg(format!("{name} `{text}` is no guid"))),
                },
                None => Value::str(text),
            }
        }
        Json::Int(n) => match types.iter().find(|ty| matches!(ty, -9..=-5)) {
            Some(-6) => Value::from(i32::try_from(n).map_err(|_| range(name, n, "an int"))?),
            Some(-5) => Value::from(i16::try_from(n).map_err(|_| range(name, n, "a short"))?),
            Some(-8) if n as f32 as i128 != i128::from(n) => return Err(range(name, n, "a real")),
            Some(-8) => Value::Atom(Atom::Real(n as f32)),
            Some(-9) if !takes(-7) && n as f64 as i128 != i128::from(n) => {
                return Err(range(name, n, "a float"));
            }
            Some(-9) if !takes(-7) => Value::from(n as f64),
            _ => Value::from(n),
        },
        Json::Float(x) if takes(-8) && !takes(-9) => Value::Atom(Atom::Real(x as f32)),
        Json::List(items) => list(name, items, types)?,
        other => plain(other),
    })
}

fn range(name: &str, n: i64, what: &str) -> Failure {
    Failure::arg(format!("{name} is {n}, which does not fit {what}"))
}

fn list(name: &str, items: Vec<Json>, types: &[i16]) -> Result<Value, Failure> {
    let all_text = !items.is_empty() && items.iter().all(|i| matches!(i, Json::Text(_)));
    if types.contains(&11) && (all_text || (items.is_empty() && !types.contains(&0))) {
        return Ok(symbols(items));
    }
    let vector = types.iter().find_map(|ty| Type::from_number(u8::try_from(*ty).ok()?));
    if let Some(ty) = vector.filter(|ty| all_text && ty.is_temporal() && !types.contains(&0)) {
        let atoms = items.iter().map(|i| match i {
            Json::Text(text) => time(name, text, ty),
            _ => Ok(Atom::null(ty)),
        });
        let atoms = atoms.collect::<Result<Vec<_>, _>>()?;
        return Vector::from_atoms(ty, &atoms).map(Value::Vector).map_err(|e| Failure::arg(e.to_string()));
    }
    Ok(plain(Json::List(items)))
}

/// A time from q's or ISO text.
fn time(name: &str, text: &str, ty: Type) -> Result<Atom, Failure> {
    kvalue::time::parse(ty, text).ok_or_else(|| {
        let beyond = ty == Type::Timestamp && sg::instant::is_beyond(text);
        Failure::arg(match beyond {
            true => format!(
                "bad args purview dimensions: {name} {}",
                sg::instant::Unreadable::Beyond(text.into())
            ),
            false => format!(
                "bad args purview dimensions: {name} `{text}` is no {}: write 2024.11.02D09:30:00.000000000 or 2024-11-02T09:30:00Z",
                ty.name()
            ),
        })
    })
}

/// A value of the nearest q type.
fn plain(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => b.into(),
        Json::Int(n) => n.into(),
        Json::Float(x) => x.into(),
        Json::Text(text) => Value::str(text),
        Json::List(items) => {
            let ints: Option<Vec<i64>> =
                items.iter().map(|i| if let Json::Int(n) = i { Some(*n) } else { None }).collect();
            // Together as floats where none loses a digit by that.
            let numbers: Option<Vec<f64>> = items.iter().map(number).collect();
            let truths: Option<Vec<bool>> =
                items.iter().map(|i| if let Json::Bool(b) = i { Some(*b) } else { None }).collect();
            match (ints, numbers, truths) {
                _ if items.is_empty() => Value::list([]),
                (Some(ints), _, _) => Value::Vector(Vector::longs(ints)),
                (_, Some(numbers), _) => Value::Vector(Vector::floats(numbers)),
                (_, _, Some(truths)) => Value::Vector(Vector::booleans(truths)),
                _ => Value::list(items.into_iter().map(plain).collect::<Vec<_>>()),
            }
        }
        Json::Object(fields) if fields.is_empty() => Value::empty_dict(),
        Json::Object(fields) => Dict::of(fields.into_iter().map(|(k, v)| (k, plain(v)))).into(),
    }
}

fn number(json: &Json) -> Option<f64> {
    match json {
        Json::Int(n) => (*n as f64 as i128 == i128::from(*n)).then_some(*n as f64),
        Json::Float(x) => Some(*x),
        _ => None,
    }
}

/// True where an argument name cannot be a symbol of a dictionary.
pub(super) fn bad_name(fields: &[(String, Json)]) -> Option<&str> {
    let bad = |n: &&str| n.is_empty() || n.contains('\0') || n.len() > crate::call::MAX_NAME;
    fields.iter().map(|(n, _)| n.as_str()).find(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::input::body;

    fn get_data(text: &str) -> Result<Dict, Failure> {
        let apis = sg::api::builtin();
        let call = call(body(text.as_bytes()).unwrap(), Some(&apis[0]))?;
        Ok(call.args.as_dict().unwrap().clone())
    }

    fn custom(text: &str) -> Dict {
        call(body(text.as_bytes()).unwrap(), None).unwrap().args.as_dict().unwrap().clone()
    }

    #[test]
    fn arguments_of_get_data_have_its_types() {
        let args = get_data(
            r#"{"table":"trade","startTS":"2024.11.02D00:00:00.000000000","endTS":"2024-11-03T00:00:00.0",
                "labels":{"region":"amer","class":["a","b"]},"scope":{"assembly":"x"},"inputTZ":"Europe/London",
                "filter":[["=","sym","AAPL"],["<","price",500]],"groupBy":["sym"],"sortCols":"time",
                "agg":[["o","first","price"]],"fill":"zero","temporality":"slice","slice":["09:30","16:00"],
                "limit":-5,"nothing":null}"#,
        )
        .unwrap();
        let of = |name: &str| args.get(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(of("table"), Value::sym("trade"));
        let day = kvalue::time::parse(Type::Timestamp, "2024.11.02").map(Value::Atom);
        assert_eq!(args.get("startTS"), day);
        assert!(matches!(of("endTS"), Value::Atom(Atom::Timestamp(_))));
        let labels = Dict::of([("region", Value::sym("amer")), ("class", Value::syms(["a", "b"]))]);
        assert_eq!(of("labels"), labels.into());
        assert_eq!(of("scope"), Dict::of([("assembly", Value::sym("x"))]).into());
        let first = Value::list([Value::str("="), Value::str("sym"), Value::str("AAPL")]);
        let second = Value::list([Value::str("<"), Value::str("price"), 500i64.into()]);
        assert_eq!(of("filter"), Value::list([first, second]));
        assert_eq!(of("groupBy"), Value::syms(["sym"]));
        assert_eq!(of("sortCols"), Value::syms(["time"]));
        assert_eq!(
            of("agg"),
            Value::list([Value::list([Value::str("o"), Value::str("first"), Value::str("price")])])
        );
        assert_eq!((of("fill"), of("temporality")), (Value::sym("zero"), Value::sym("slice")));
        assert_eq!(of("slice"), Value::list([Value::str("09:30"), Value::str("16:00")]));
        assert_eq!(of("limit"), Value::from(-5i64));
        assert_eq!(args.get("nothing"), None);
        assert_eq!(
            get_data(r#"{"limit":[3]}"#).unwrap().get("limit"),
            Some(Value::Vector(Vector::longs(vec![3])))
        );
        assert_eq!(get_data(r#"{"agg":["a","b"]}"#).unwrap().get("agg"), Some(Value::syms(["a", "b"])));
    }

    #[test]
    fn a_bad_time_is_named() {
        let failure = get_data(r#"{"table":"t","startTS":"yesterday"}"#).unwrap_err();
        assert_eq!((failure.rc.0, failure.ac.0, failure.http_status()), (5, 23, 400));
        assert!(failure.ai.contains("startTS `yesterday`"), "{}", failure.ai);
        assert!(get_data(r#"{"labels":"amer"}"#).unwrap_err().ai.contains("labels must be an object"));
        assert!(get_data(r#"{"opts":5}"#).unwrap_err().ai.contains("opts must be an object"));
    }

    #[test]
    fn an_offset_of_its_own_is_kept_where_there_is_a_zone() {
        let text = "2024-11-02T00:00:00+02:00";
        let zoned = get_data(&format!(r#"{{"startTS":"{text}","inputTZ":"America/New_York"}}"#)).unwrap();
        assert_eq!(zoned.get("startTS"), Some(Value::str(text)));
        let alone = get_data(&format!(r#"{{"startTS":"{text}"}}"#)).unwrap();
        assert_eq!(alone.get("startTS"), kvalue::time::parse(Type::Timestamp, text).map(Value::Atom));
        let beyond = get_data(r#"{"endTS":"9999-12-31"}"#).unwrap_err();
        assert!(beyond.ai.contains("leave it out for an open end"), "{}", beyond.ai);
    }

    #[test]
    fn numbers_that_a_float_cannot_hold_stay_whole() {
        let args = custom(r#"{"n":[9007199254740993,0.5],"least":-9223372036854775808}"#);
        let kept = Value::list([Value::from(9_007_199_254_740_993i64), Value::from(0.5)]);
        assert_eq!(args.get("n"), Some(kept));
        assert_eq!(args.get("least"), Some(Value::from(i64::MIN as f64)));
    }

    #[test]
    fn wrong_kinds_are_passed_on_for_the_api_to_name() {
        assert_eq!(get_data(r#"{"table":5}"#).unwrap().get("table"), Some(5i64.into()));
        assert_eq!(get_data(r#"{"startTS":5}"#).unwrap().get("startTS"), Some(5i64.into()));
    }

    #[test]
    fn unknown_arguments_have_the_nearest_types() {
        let args = custom(
            r#"{"s":"x","n":1,"f":0.5,"b":true,"ns":[1,2],"fs":[1,0.5],"bs":[true],"m":["a",1],"e":[],
                "o":{"k":"v"},"eo":{},"table":"t"}"#,
        );
        let expected = [
            ("s", Value::str("x")),
            ("n", 1i64.into()),
            ("f", 0.5f64.into()),
            ("b", true.into()),
            ("ns", Value::Vector(Vector::longs(vec![1, 2]))),
            ("fs", Value::Vector(Vector::floats(vec![1.0, 0.5]))),
            ("bs", Value::Vector(Vector::booleans(vec![true]))),
            ("m", Value::list([Value::str("a"), 1i64.into()])),
            ("e", Value::list([])),
            ("o", Dict::of([("k", Value::str("v"))]).into()),
            ("eo", Value::empty_dict()),
            ("table", Value::sym("t")),
        ];
        for (name, value) in expected {
            assert_eq!(args.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn declared_types_of_custom_apis_are_honoured() {
        let param = |name: &str, ty: i16| sg::api::Param {
            name: name.into(),
            types: vec![ty],
            required: false,
            description: String::new(),
        };
        let mut api = Api::from_value(&Value::sym(".c.f")).unwrap();
        api.params = vec![
            param("sym", -11),
            param("syms", 11),
            param("i", -6),
            param("f", -9),
            param("day", -14),
            param("days", 14),
            param("id", -2),
        ];
        let of = |text: &str| {
            call(body(text.as_bytes()).unwrap(), Some(&api))
                .map(|c| c.args.as_dict().unwrap().values().index(0))
        };
        assert_eq!(of(r#"{"sym":"a"}"#), Ok(Value::sym("a")));
        assert_eq!(of(r#"{"syms":"a"}"#), Ok(Value::syms(["a"])));
        assert_eq!(of(r#"{"i":7}"#), Ok(7i32.into()));
        assert!(of(r#"{"i":7000000000}"#).unwrap_err().ai.contains("does not fit an int"));
        assert_eq!(of(r#"{"f":7}"#), Ok(7.0f64.into()));
        assert_eq!(of(r#"{"day":"2000.01.02"}"#), Ok(Value::Atom(Atom::Date(1))));
        assert_eq!(of(r#"{"days":["2000-01-02"]}"#), Ok(Value::Vector(Vector::new(Type::Date, vec![1i32]))));
        assert!(matches!(
            of(r#"{"id":"8c680a01-5a49-5aab-5a65-d4bfddb6a661"}"#),
            Ok(Value::Atom(Atom::Guid(_)))
        ));
    }

    #[test]
    fn options_are_apart_from_arguments() {
        let fields =
            body(br#"{"table":"t","opts":{"timeout":500,"logCorr":"x","aggFn":".c.agg","appN":null}}"#)
                .unwrap();
        let call = call(fields, None).unwrap();
        assert_eq!(call.args.as_dict().unwrap().len(), 1);
        let expected = [
            ("timeout".to_string(), Value::from(500i64)),
            ("logCorr".to_string(), Value::str("x")),
            ("aggFn".to_string(), Value::sym(".c.agg")),
        ];
        assert_eq!(call.opts, expected);
    }
}
