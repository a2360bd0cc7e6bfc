//! The arguments of a call that routing decides by; all others stay undecoded.
//!
//! Rule kept: the coordinator looks only at `table`, `labels`, `scope`, `startTS`, `endTS` and `inputTZ`; a
//! filter of any size is stepped over, not built. A bad one is rc 5, ac 23 "bad args purview dimensions: …".

use bytes::Bytes;
use kvalue::{Atom, Dict, Sym, Value};
use qipc::{Limits, NamedItem, Raw};

use crate::{Failure, LabelQuery, TimeRange, instant, tz::Zone};

/// The argument names that routing reads.
pub const NAMES: [&str; 6] = ["table", "labels", "scope", "startTS", "endTS", "inputTZ"];

/// What the arguments of a call say about where it must run.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutingArgs {
    /// table; null where the call names none
    pub table: Sym,
    /// labels wanted
    pub labels: LabelQuery,
    /// processes wanted
    pub scope: Scope,
    /// instants wanted, UTC
    pub range: TimeRange,
    /// sentences for the log and the answer's header
    pub warnings: Vec<String>,
}

/// The `scope` argument: null parts do not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// one assembly
    pub assembly: Sym,
    /// one tier (`rdb`, `idb`, `hdb`)
    pub tier: Sym,
    /// one process
    pub dap: Sym,
    /// of coordinators for the assembly: true for `hard`, never another; `None` where nothing is said
    pub hard: Option<bool>,
}

impl Scope {
    /// True where nothing is restricted.
    pub fn is_empty(&self) -> bool {
        self.assembly.is_null() && self.tier.is_null() && self.dap.is_null()
    }

    fn from_value(value: &Value) -> Result<Self, Failure> {
        let dict = value.as_dict().ok_or_else(|| {
            bad(format!(
                "scope must be a dictionary of assembly, tier, dap, affinity, got a {}",
                value.type_name()
            ))
        })?;
        let mut scope = Scope::default();
        let mut seen: Vec<Sym> = Vec::new();
        for (key, value) in dict.pairs().filter(|(k, v)| !k.is_null() && v != &Value::Null) {
            if seen.contains(&key) {
                return Err(twice(&format!("scope.{key}")));
            }
            seen.push(key.clone());
            let name = value
                .as_name()
                .ok_or_else(|| bad(format!("scope.{key} must be a symbol, got a {}", value.type_name())))?;
            match key.as_bytes() {
                b"assembly" => scope.assembly = name,
                b"tier" => scope.tier = name,
                b"dap" => scope.dap = name,
                b"affinity" => {
                    scope.hard = match name.as_bytes() {
                        b"hard" => Some(true),
                        b"soft" => Some(false),
                        b"" => None,
                        _ => return Err(bad(format!("scope.affinity must be soft or hard, got {name}"))),
                    };
                }
                _ => return Err(bad(format!("scope has assembly, tier, dap and affinity, not {key}"))),
            }
        }
        Ok(scope)
    }
}

impl Default for RoutingArgs {
    /// No table, any label, all times.
    fn default() -> Self {
        RoutingArgs {
            table: Sym::null(),
            labels: LabelQuery::default(),
            scope: Scope::default(),
            range: TimeRange::ALL,
            warnings: Vec::new(),
        }
    }
}

impl RoutingArgs {
    /// Reads the routing arguments. `is_label` says whether an argument that is none of [`NAMES`] is to be
    /// taken as a label (the style before 1.5), with a warning.
    pub fn parse(args: &Raw, is_label: &dyn Fn(&Sym) -> bool) -> Result<Self, Failure> {
        let mut out = RoutingArgs::default();
        let (mut start, mut end, mut zone, mut kxname) = (None, None, None, Sym::null());
        let mut seen = [false; NAMES.len()];
        let (object, items) = pairs(args)?;
        for (key, value) in items {
            let key = &object[key];
            let Some(which) = NAMES.iter().position(|n| n.as_bytes() == key) else {
                let name = Sym::new(key);
                if !name.is_null() && is_label(&name) {
                    out.old_label(name, &object.slice(value))?;
                }
                continue;
            };
            if std::mem::replace(&mut seen[which], true) {
                return Err(twice(NAMES[which]));
            }
            if let Some(symbol) = symbol_of(&object[value.clone()]) {
                match which {
                    0 => out.table = symbol,
                    5 => zone = Some(symbol),
                    _ => {
                        let value = Value::Atom(Atom::Symbol(symbol));
                        out.take(which, value, &mut start, &mut end, &mut kxname)?;
                    }
                }
                continue;
            }
            let value = match timestamp_of(&object[value.clone()]) {
                Some(timestamp) => Value::Atom(Atom::Timestamp(timestamp)),
                None => decode(&object.slice(value))?,
            };
            if value == Value::Null {
                continue;
            }
            if which == 5 {
                let name = value
                    .as_name()
                    .ok_or_else(|| bad(format!("inputTZ must be a symbol, got a {}", value.type_name())))?;
                zone = Some(name);
                continue;
            }
            out.take(which, value, &mut start, &mut end, &mut kxname)?;
        }
        out.name_assembly(std::mem::take(&mut kxname))?;
        let zone = match zone {
            Some(name) if !name.is_null() => Zone::named("inputTZ", &name.text())?,
            _ => Zone::utc(),
        };
        let start = bound("startTS", start.as_ref(), &zone)?.unwrap_or(TimeRange::MIN);
        let end = bound("endTS", end.as_ref(), &zone)?.unwrap_or(TimeRange::MAX);
        out.range = TimeRange::new(start, end).ok_or_else(|| {
            let text = |t| kvalue::time::text(&Atom::Timestamp(t));
            bad(format!(
                "startTS {} is after endTS {}: give startTS <= endTS (both UTC unless inputTZ says otherwise)",
                text(start),
                text(end)
            ))
        })?;
        Ok(out)
    }

    fn take(
        &mut self,
        which: usize,
        value: Value,
        start: &mut Option<Value>,
        end: &mut Option<Value>,
        kxname: &mut Sym,
    ) -> Result<(), Failure> {
        match which {
            0 => {
                self.table = value
                    .as_name()
                    .ok_or_else(|| bad(format!("table must be a symbol, got a {}", value.type_name())))?;
            }
            1 => {
                for (key, values) in LabelQuery::from_value(&value)?.iter() {
                    let first = match (key.as_bytes(), values) {
                        // The label that every assembly has of itself: its name.
                        (b"kxname", [name]) if kxname.is_null() => {
                            *kxname = name.clone();
                            true
                        }
                        (b"kxname", [_]) => false,
                        (b"kxname", _) => {
                            return Err(bad(format!(
                                "label kxname names one assembly, got {}; ask once for each, or leave it out",
                                values.len()
                            )));
                        }
                        _ => self.labels.insert(key.clone(), values.to_vec()),
                    };
                    if !first {
                        return Err(twice(&format!("label {key}")));
                    }
                }
            }
            2 => self.scope = Scope::from_value(&value)?,
            3 => *start = Some(value),
            _ => *end = Some(value),
        }
        Ok(())
    }

    /// The assembly of the label `kxname`, beside `scope.assembly`.
    fn name_assembly(&mut self, name: Sym) -> Result<(), Failure> {
        let scope = &mut self.scope.assembly;
        if !name.is_null() && !scope.is_null() && *scope != name {
            return Err(bad(format!(
                "labels.kxname is {name} and scope.assembly is {scope}: name one assembly"
            )));
        }
        if !name.is_null() {
            *scope = name;
        }
        Ok(())
    }

    fn old_label(&mut self, name: Sym, object: &Bytes) -> Result<(), Failure> {
        let value = decode(object)?;
        if value == Value::Null {
            return Ok(());
        }
        let values = value.as_names().ok_or_else(|| {
            bad(format!("label {name} must be a symbol or list of symbols, got a {}", value.type_name()))
        })?;
        self.warnings.push(format!(
            "argument {name} is taken as a label: write it inside `labels`, the old style will go"
        ));
        match self.labels.insert(name.clone(), values) {
            true => Ok(()),
            false => Err(twice(&format!("label {name}"))),
        }
    }
}

/// The `scope` of a call, if it has one that can be read: what is wrong with another one says the coordinator.
pub fn scope(args: &Raw) -> Option<Scope> {
    let (object, items) = pairs(args).ok()?;
    let (_, value) = items.into_iter().find(|(name, _)| object[name.clone()] == *b"scope")?;
    Scope::from_value(&decode(&object.slice(value)).ok()?).ok()
}

/// The arguments as a dictionary of symbols to a list, and where in it names and values lie. `::` and `()` are no
/// arguments at all.
fn pairs(args: &Raw) -> Result<(Bytes, Vec<NamedItem>), Failure> {
    const DICT: u8 = 99;
    const SORTED_DICT: u8 = 127;
    let object = &args.0;
    match object.first() {
        None | Some(101) => return Ok(Default::default()),
        Some(0) if object.get(2..6) == Some(&[0; 4]) => return Ok(Default::default()),
        Some(&(DICT | SORTED_DICT)) => {}
        Some(_) => {
            return Err(Failure::arg(format!(
                "args must be a dictionary of named arguments, got type {}",
                args.type_number()
            )));
        }
    }
    let limits = Limits::client();
    let damaged = |e: qipc::DecodeError| Failure::arg(format!("args are no valid q dictionary: {e}"));
    if let Some(items) = qipc::named_items(object, &limits).map_err(damaged)? {
        return Ok((object.clone(), items));
    }
    // Names or values in another form.
    let body = object.slice(1..);
    let keys_len = qipc::object_len(&body, &limits).map_err(damaged)?;
    let keys = names(&body.slice(..keys_len))?;
    let values = qipc::list_items(&body.slice(keys_len..), &limits).map_err(damaged)?;
    if keys.len() != values.len() {
        return Err(Failure::arg(format!("args have {} names and {} values", keys.len(), values.len())));
    }
    let pairs: Vec<_> = keys.iter().map(Sym::new).zip(values).collect();
    let object = crate::opts::join(&pairs);
    let items = qipc::named_items(&object, &limits).map_err(damaged)?.unwrap_or_default();
    Ok((object, items))
}

fn names(keys: &Bytes) -> Result<Vec<Bytes>, Failure> {
    const SYMBOLS: u8 = 11;
    if keys.first() == Some(&SYMBOLS) && keys.len() >= 6 {
        // object_len has counted the names, so each NUL ends one.
        let mut rest = keys.slice(6..);
        let mut out = Vec::with_capacity(8);
        while let Some(end) = rest.iter().position(|b| *b == 0) {
            let name = rest.split_to(end + 1);
            out.push(name.slice(..end));
        }
        return Ok(out);
    }
    let value = decode(keys)?;
    let names = value
        .as_names()
        .ok_or_else(|| Failure::arg(format!("names of args must be symbols, got a {}", value.type_name())));
    match value.count() {
        0 => Ok(Vec::new()),
        _ => Ok(names?.into_iter().map(|n| Bytes::copy_from_slice(n.as_bytes())).collect()),
    }
}

/// The symbol of a symbol atom, without a decoder's allocations.
fn symbol_of(object: &[u8]) -> Option<Sym> {
    const SYMBOL_ATOM: u8 = 0xf5;
    (object.first() == Some(&SYMBOL_ATOM)).then(|| Sym::new(&object[1..]))
}

/// As [`symbol_of`], of a timestamp.
fn timestamp_of(object: &[u8]) -> Option<i64> {
    const TIMESTAMP_ATOM: u8 = 0xf4;
    match object.split_first()? {
        (&TIMESTAMP_ATOM, nanoseconds) => Some(i64::from_le_bytes(nanoseconds.try_into().ok()?)),
        _ => None,
    }
}

fn decode(object: &Bytes) -> Result<Value, Failure> {
    qipc::decode(object.clone(), &Limits::client())
        .map_err(|e| Failure::arg(format!("args hold a damaged value: {e}")))
}

/// A bound of the range in UTC; `None` where it is open.
fn bound(arg: &str, value: Option<&Value>, zone: &Zone) -> Result<Option<i64>, Failure> {
    let read = value.map(|v| instant::utc(v, zone)).transpose();
    read.map(Option::flatten).map_err(|why| bad(format!("{arg} {why}")))
}

/// The error for what is given twice: which of them is meant nobody can tell.
pub fn twice(what: &str) -> Failure {
    bad(format!("{what} is given twice: give it once"))
}

/// Refuses arguments that an API of `names` does not take, with the nearest of those that it does.
pub fn only(api: &str, args: &Raw, names: &[&str], is_label: &dyn Fn(&Sym) -> bool) -> Result<(), Failure> {
    let (object, items) = pairs(args)?;
    for (key, _) in items {
        let name = Sym::new(&object[key]);
        if !name.is_null() && !names.iter().any(|n| name == *n) && !is_label(&name) {
            return Err(unknown(api, &name, names));
        }
    }
    Ok(())
}

/// The error for an argument that an API does not take.
pub fn unknown(api: &str, name: &Sym, names: &[&str]) -> Failure {
    let text = name.text();
    let hint = match crate::nearest(&text, names.iter().copied()) {
        Some(near) => format!("did you mean {near}? "),
        None if crate::opts::KNOWN.contains(&&*text) => "it is a header option and goes into opts; ".into(),
        None => String::new(),
    };
    Failure::arg(format!("`{name}` is no argument of {api}: {hint}it takes {}", names.join(", ")))
}

fn bad(why: String) -> Failure {
    Failure::arg(format!("bad args purview dimensions: {why}"))
}

/// Arguments as they travel; for tests and tools.
pub fn encode<K: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Raw {
    Raw::of(&Dict::of(pairs).into())
}

#[cfg(test)]
mod tests {
    use kvalue::{Type, time};

    use super::*;

    fn ts(text: &str) -> i64 {
        match time::parse(Type::Timestamp, text) {
            Some(Atom::Timestamp(t)) => t,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn parse(pairs: Vec<(&str, Value)>) -> Result<RoutingArgs, Failure> {
        RoutingArgs::parse(&encode(pairs), &|_| false)
    }

    fn refused(pairs: Vec<(&str, Value)>) -> String {
        let failure = parse(pairs).unwrap_err();
        assert_eq!((failure.rc.0, failure.ac.0), (5, 23), "{failure}");
        failure.ai
    }

    #[test]
    fn nothing_given_means_everything() {
        for none in [Value::Null, Value::list([]), Value::empty_dict()] {
            assert_eq!(
                RoutingArgs::parse(&Raw::of(&none), &|_| false).unwrap(),
                RoutingArgs::default(),
                "{none:?}"
            );
        }
    }

    #[test]
    fn symbols_and_texts_name_the_same() {
        let typed = vec![
            ("table", Value::sym("trade")),
            ("startTS", Value::Atom(Atom::Timestamp(ts("2015.01.07D09:30")))),
            ("endTS", Value::Atom(Atom::Date((ts("2015.01.08") / time::DAY) as i32))),
            ("filter", Value::list([Value::from(1i64)])),
        ];
        let texts = vec![
            ("table", Value::str("trade")),
            ("startTS", Value::str("2015-01-07T09:30:00")),
            ("endTS", Value::str("2015.01.08")),
        ];
        let typed = parse(typed).unwrap();
        assert_eq!(typed, parse(texts).unwrap());
        assert_eq!(typed.table, "trade");
        assert_eq!(typed.range, TimeRange::new(ts("2015.01.07D09:30"), ts("2015.01.08")).unwrap());
    }

    #[test]
    fn times_are_read_in_the_input_zone() {
        let args = parse(vec![
            ("startTS", Value::str("2015.01.07D09:30")),
            ("inputTZ", Value::sym("America/New_York")),
        ])
        .unwrap();
        assert_eq!(args.range.start(), ts("2015.01.07D14:30"));
        assert_eq!(args.range.end(), TimeRange::MAX);
        assert!(parse(vec![("inputTZ", Value::sym("Mars/Olympus"))]).is_err());
    }

    #[test]
    fn nulls_and_infinities_leave_a_side_open() {
        let args = parse(vec![
            ("startTS", Value::Atom(Atom::Timestamp(i64::MIN))),
            ("endTS", Value::Atom(Atom::Date(i32::MAX))),
        ])
        .unwrap();
        assert_eq!(args.range, TimeRange::ALL);
    }

    #[test]
    fn a_dictionary_of_one_type_is_read_too() {
        let keys = Value::syms(["table", "inputTZ"]);
        let one_type = Dict::new(keys, Value::syms(["trade", "UTC"])).unwrap();
        let args = RoutingArgs::parse(&Raw::of(&one_type.into()), &|_| false).unwrap();
        assert_eq!(args.table, "trade");
    }

    #[test]
    fn labels_and_scope_are_read() {
        let labels = Dict::of([("region", Value::syms(["amer", "emea"])), ("", Value::Null)]);
        let scope: Value =
            Dict::of([("assembly", Value::sym("fin")), ("affinity", Value::str("hard"))]).into();
        let args = parse(vec![("labels", labels.into()), ("scope", scope.clone())]).unwrap();
        assert_eq!(args.labels.to_string(), "region=amer|emea");
        assert!(args.scope.hard == Some(true) && args.scope.assembly == "fin");
        let raw = encode([("table", Value::sym("t")), ("scope", scope)]);
        assert_eq!(super::scope(&raw), Some(args.scope));
    }

    #[test]
    fn bad_routing_arguments_are_named() {
        assert!(refused(vec![("table", Value::from(1i64))]).contains("table must be a symbol"));
        assert!(refused(vec![("startTS", Value::str("yesterday"))]).contains("startTS must be a timestamp"));
        assert!(refused(vec![("startTS", Value::from(1i64))]).contains("got the long 1"));
        assert!(refused(vec![("labels", Value::sym("amer"))]).contains("labels must be a dictionary"));
        assert!(refused(vec![("scope", Dict::of([("rc", Value::sym("x"))]).into())]).contains("not rc"));
        let backwards =
            refused(vec![("startTS", Value::str("2024.01.02")), ("endTS", Value::str("2024.01.01"))]);
        assert!(backwards.contains("startTS 2024.01.02D") && backwards.contains("endTS 2024.01.01D"));
        assert!(RoutingArgs::parse(&Raw::of(&Value::from(1i64)), &|_| false).is_err());
    }

    #[test]
    fn old_style_labels_are_taken_with_a_warning() {
        let args = encode([("region", Value::sym("amer")), ("other", Value::sym("x"))]);
        let args = RoutingArgs::parse(&args, &|name| name == "region").unwrap();
        assert_eq!(args.labels.to_string(), "region=amer");
        assert_eq!(args.warnings.len(), 1);
        assert!(args.warnings[0].contains("argument region"));
    }

    #[test]
    fn damaged_arguments_are_an_error() {
        for damaged in [&[99u8, 11, 0, 1, 0, 0, 0][..], &[99, 1], &[99], &[98, 0, 99]] {
            let raw = Raw(Bytes::copy_from_slice(damaged));
            assert!(RoutingArgs::parse(&raw, &|_| false).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn the_label_kxname_is_the_assembly() {
        let parse = |labels: Value, scope: Option<&str>| {
            let mut args = vec![("labels", labels)];
            args.extend(scope.map(|a| ("scope", Dict::of([("assembly", Value::sym(a))]).into())));
            for turn in 0..args.len() {
                args.rotate_left(turn);
            }
            RoutingArgs::parse(&Raw::of(&Dict::of(args).into()), &|_| false)
        };
        let label =
            |name: &str| Value::from(Dict::of([("kxname", Value::sym(name)), ("region", Value::sym("e"))]));
        let args = parse(label("fin"), None).unwrap();
        assert_eq!(args.scope.assembly, "fin");
        assert!(args.labels.iter().all(|(key, _)| key.as_bytes() == b"region"), "the others stay labels");
        assert_eq!(parse(label("fin"), Some("fin")).unwrap().scope.assembly, "fin");
        assert!(parse(label("fin"), Some("eq")).unwrap_err().ai.contains("name one assembly"));
        let two = Dict::of([("kxname", Value::syms(["a", "b"]))]).into();
        assert!(parse(two, None).unwrap_err().ai.contains("kxname names one assembly"));
    }
}
