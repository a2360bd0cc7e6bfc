//! A request's header options: the fourth element of a call, read once at the GW.
//!
//! Values stay encoded: the GW looks at the few it acts on (`timeout`, `logCorr`) and passes the rest on as
//! they came, into the request that RC, DAP and Agg see and into the response header, which echoes every
//! field of the request. Fields of the system ([`RESERVED`]) cannot be set by a client and are left out.
//! [`pairs`] takes any encoded dictionary with names as keys apart, and [`join`] puts one together.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kvalue::{Atom, Sym, Value};
use qipc::{DecodeError, Limits, Raw};

/// Header fields that the system sets (spec §2.4); a client's values for them are left out.
pub const RESERVED: &[&str] = &[
    "gw",
    "client",
    "protocol",
    "corr",
    "rcvTS",
    "to",
    "api",
    "http",
    "userID",
    "userName",
    "rcSend",
    "numResp",
    "agg",
    "pvVer",
    "retryCount",
    "refVintage",
    "rc",
    "ac",
    "ai",
    "limitApplied",
    PACK,
];

/// Header options that mean something to the mesh. Other names belong to the client, except near misses of these names.
pub const KNOWN: [&str; 8] =
    ["timeout", "logCorr", "aggFn", "cast", "version", "sendPartials", "priority", "completeness"];

/// A field that the GW adds where its client is to get compressed answers: the Agg then may send the payload as the
/// stream of a [`qipc::Packer`], and says in [`PACKED`] how long the payload is.
pub const PACK: &str = "qmeshPack";
/// A field of an answer whose payload is a stream: bytes of the object it stands for, as a long. The GW takes it out.
pub const PACKED: &str = "qmeshPacked";

/// Most fields a client may put into a header.
pub const MAX_FIELDS: usize = 256;
/// Longest a client may ask the gateway to wait: a week.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(7 * 86_400);

const DICT: u8 = 99;
const SORTED_DICT: u8 = 127;
const SYMBOL_ATOM: u8 = 0xf5;
const CHAR_ATOM: u8 = 0xf6;
const CHARS: u8 = 10;
const SYMBOLS: u8 = 11;

/// What is wrong with header options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptsError {
    /// Not a dictionary.
    #[error("type: opts must be a dictionary of header fields such as `timeout, got type {got}")]
    NotADict {
        /// q type number
        got: i8,
    },
    /// A key that is no name.
    #[error("type: keys of opts must be symbols, got type {got}")]
    Key {
        /// q type number of the key
        got: i8,
    },
    /// Too many fields.
    #[error("limit: opts has {got} fields, at most {MAX_FIELDS} are taken")]
    TooMany {
        /// fields given
        got: usize,
    },
    /// A field with a value that cannot be used.
    #[error("type: opts field {field} must be {expected}, got {got}")]
    Field {
        /// its name
        field: &'static str,
        /// what it must be
        expected: &'static str,
        /// what it is
        got: String,
    },
    /// A name that is all but a known one.
    #[error("name: `{name}` is no option, `{nearest}` is; names of your own begin with app")]
    Misspelt {
        /// as it was given
        name: String,
        /// what was meant
        nearest: &'static str,
    },
    /// A name that occurs again.
    #[error("name: opts has `{name}` twice: give it once")]
    Twice {
        /// the name
        name: String,
    },
    /// Bytes that are no q object.
    #[error("{0}")]
    Bytes(#[from] DecodeError),
}

/// One field: its name and its value as an encoded object.
pub type Pair = (Sym, Bytes);

/// Header options of one request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Opts {
    fields: Vec<Pair>,
    /// `timeout`: the time the client gives the request; `None` for the gateway's default.
    pub timeout: Option<Duration>,
    /// `logCorr` as text; `None` where the client gave none.
    pub log_corr: Option<String>,
}

/// The log correlator of a request: the client's text, else the request's id. Written by `Display`, which alone
/// looks into the options, so that a line that is not logged costs nothing.
#[derive(Debug, Clone)]
pub struct LogCorr<'a> {
    /// the request
    pub corr: crate::Corr,
    /// its options
    pub opts: &'a Raw,
}

impl std::fmt::Display for LogCorr<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = Opts::parse(&self.opts.0, &Limits::internal()).ok().and_then(|o| o.log_corr);
        match said {
            Some(text) => f.write_str(&text),
            None => self.corr.fmt(f),
        }
    }
}

impl Opts {
    /// Reads an encoded dictionary. `::` and the empty list count as no options; a null key is ignored.
    pub fn parse(object: &Bytes, limits: &Limits) -> Result<Opts, OptsError> {
        let mut opts = Opts::default();
        for (name, value) in dictionary(object, limits)? {
            let reserved = || RESERVED.iter().any(|r| r.as_bytes() == name.as_bytes());
            if name.is_null() || reserved() {
                continue;
            }
            if opts.get(&name.text()).is_some() {
                return Err(OptsError::Twice { name: name.to_string() });
            }
            match name.as_bytes() {
                b"cast" => boolean("cast", &decoded(&value, limits)?)?,
                b"sendPartials" => boolean("sendPartials", &decoded(&value, limits)?)?,
                b"timeout" => opts.timeout = timeout(&decoded(&value, limits)?)?,
                b"logCorr" => opts.log_corr = text(&decoded(&value, limits)?),
                other => not_misspelt(other)?,
            }
            opts.fields.push((name, value));
        }
        Ok(opts)
    }

    /// Sets a field; an existing field keeps its position.
    pub fn set(&mut self, name: Sym, value: Bytes) {
        match self.fields.iter_mut().find(|(n, _)| *n == name) {
            Some(field) => field.1 = value,
            None => self.fields.push((name, value)),
        }
    }

    /// The options as they travel where the answer may come compressed.
    pub fn to_raw_packed(&self) -> Raw {
        const YES: [u8; 2] = [0xff, 1];
        let mut fields = self.fields.clone();
        fields.push((Sym::new(PACK), Bytes::from_static(&YES)));
        Raw(join(&fields))
    }

    /// The fields in the order of the request.
    pub fn fields(&self) -> &[Pair] {
        &self.fields
    }

    /// The encoded value of a field.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.fields.iter().find(|(n, _)| n.as_bytes() == name.as_bytes()).map(|(_, v)| v)
    }

    /// The options as they travel to RC, DAP and Agg: a dictionary of symbols to general values.
    pub fn to_raw(&self) -> Raw {
        if self.fields.is_empty() {
            return Raw(Bytes::from_static(&EMPTY_DICT));
        }
        Raw(join(&self.fields))
    }
}

/// True where [`PACK`] is among these options.
pub fn wants_packed(opts: &Raw) -> bool {
    if opts.0[..] == EMPTY_DICT {
        return false;
    }
    has_any(&opts.0, &[PACK]).unwrap_or(false)
}

/// True where a name of an encoded dictionary is one of these. Its values are not looked at where its names are a list
/// of symbols.
pub fn has_any(object: &Bytes, wanted: &[&str]) -> Result<bool, OptsError> {
    const SYMBOLS: u8 = 11;
    let is_wanted = |name: &[u8]| wanted.iter().any(|w| w.as_bytes() == name);
    let limits = Limits::internal();
    if let [DICT, SYMBOLS, 0..0x80, a, b, c, d, names @ ..] = &object[..] {
        let count = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let names = || names.split(|b| *b == 0);
        // What follows the last NUL is no name.
        if names().take(count + 1).count() == count + 1 {
            return Ok(names().take(count).any(is_wanted));
        }
    }
    match qipc::named_items(object, &limits)? {
        Some(items) => Ok(items.iter().any(|(name, _)| is_wanted(&object[name.clone()]))),
        None => Ok(dictionary(object, &limits)?.iter().any(|(name, _)| is_wanted(name.as_bytes()))),
    }
}

/// The length said by [`PACKED`], and the other fields. `None` where it is no length.
pub fn take_packed(fields: &mut Vec<Pair>) -> Option<Option<u64>> {
    let Some(at) = fields.iter().position(|(name, _)| name.as_bytes() == PACKED.as_bytes()) else {
        return Some(None);
    };
    let (_, value) = fields.swap_remove(at);
    let said = qipc::decode(value, &Limits::internal()).ok().and_then(|v| v.as_i64());
    said.and_then(|n| u64::try_from(n).ok()).map(Some)
}

/// `()!()`, encoded.
pub const EMPTY_DICT: [u8; 13] = [DICT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Names and encoded values of an encoded dictionary, sharing its buffer.
pub fn pairs(object: &Bytes, limits: &Limits) -> Result<Vec<Pair>, OptsError> {
    dictionary(object, limits)
}

/// The encoded dictionary of these fields: symbols to a general list.
pub fn join(fields: &[Pair]) -> Bytes {
    let size: usize = fields.iter().map(|(n, v)| n.as_bytes().len() + 1 + v.len()).sum();
    let mut out = BytesMut::with_capacity(13 + size);
    let mut names = BytesMut::with_capacity(size);
    for (name, _) in fields {
        names.put_slice(name.as_bytes());
        names.put_u8(0);
    }
    put_names(&mut out, &names, fields.len());
    for (_, value) in fields {
        out.put_slice(value);
    }
    out.freeze()
}

/// A dictionary up to its values, from NUL-terminated names: the caller appends as many encoded values.
pub(crate) fn put_names(out: &mut BytesMut, names: &[u8], count: usize) {
    out.put_slice(&[DICT, SYMBOLS, 0]);
    out.put_u32_le(count as u32);
    out.put_slice(names);
    out.put_slice(&qipc::list_header(count as u32));
}

fn dictionary(object: &Bytes, limits: &Limits) -> Result<Vec<Pair>, OptsError> {
    match object.first().copied() {
        Some(DICT | SORTED_DICT) => {}
        Some(0) if object.get(2..6) == Some(&[0; 4]) => return Ok(Vec::new()),
        Some(101) if object.get(1) == Some(&0) => return Ok(Vec::new()),
        other => return Err(OptsError::NotADict { got: other.unwrap_or_default() as i8 }),
    }
    if object[..] == EMPTY_DICT {
        return Ok(Vec::new());
    }
    if let Some(items) = qipc::named_items(object, limits)? {
        if items.len() > MAX_FIELDS {
            return Err(OptsError::TooMany { got: items.len() });
        }
        return Ok(items.into_iter().map(|(n, v)| (Sym::new(&object[n]), object.slice(v))).collect());
    }
    let inside = object.slice(1..);
    let keys_len = qipc::object_len(&inside, limits)?;
    let keys = qipc::list_items(&inside.slice(..keys_len), limits)?;
    if keys.len() > MAX_FIELDS {
        return Err(OptsError::TooMany { got: keys.len() });
    }
    let values = inside.slice(keys_len..);
    let values = match values.first().copied().unwrap_or_default() {
        0..=19 => qipc::list_items(&values, limits)?,
        other => return Err(OptsError::NotADict { got: other as i8 }),
    };
    if keys.len() != values.len() {
        let (got, expected) = (values.len() as u64, keys.len() as u64);
        return Err(
            DecodeError::Length { what: "dictionary values", offset: 1 + keys_len, got, expected }.into()
        );
    }
    keys.iter().map(name).zip(values).map(|(name, value)| Ok((name?, value))).collect()
}

/// The name of an encoded key: a symbol or a string.
fn name(key: &Bytes) -> Result<Sym, OptsError> {
    match key.first().copied().unwrap_or_default() {
        SYMBOL_ATOM if key.len() >= 2 => Ok(Sym::new(&key[1..key.len() - 1])),
        CHARS if key.len() >= 6 => Ok(Sym::new(&key[6..])),
        CHAR_ATOM if key.len() == 2 => Ok(Sym::new(&key[1..])),
        other => Err(OptsError::Key { got: other as i8 }),
    }
}

fn decoded(object: &Bytes, limits: &Limits) -> Result<Value, OptsError> {
    Ok(qipc::decode(object.clone(), limits)?)
}

/// Refuses a name that is all but a known one.
fn not_misspelt(name: &[u8]) -> Result<(), OptsError> {
    if name.starts_with(b"app") || KNOWN.iter().any(|k| k.as_bytes() == name) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(name);
    match crate::nearest(&text, KNOWN) {
        Some(nearest) => Err(OptsError::Misspelt { name: text.into_owned(), nearest }),
        None => Ok(()),
    }
}

/// An option that is on or off; null for its default.
fn boolean(field: &'static str, value: &Value) -> Result<(), OptsError> {
    match value {
        Value::Null | Value::Atom(Atom::Boolean(_)) => Ok(()),
        other => Err(OptsError::Field {
            field,
            expected: "true or false (a boolean)",
            got: format!("a {}", other.type_name()),
        }),
    }
}

/// A client's timeout: whole milliseconds of any integer type; null and `::` for the default.
fn timeout(value: &Value) -> Result<Option<Duration>, OptsError> {
    const EXPECTED: &str = "milliseconds from 1 as an int or long";
    let bad = |got: String| OptsError::Field { field: "timeout", expected: EXPECTED, got };
    match value {
        Value::Null => Ok(None),
        Value::Atom(a @ (Atom::Short(_) | Atom::Int(_) | Atom::Long(_))) => {
            if a.is_null() {
                return Ok(None);
            }
            match value.as_i64() {
                Some(ms) if ms > 0 => Ok(Some(Duration::from_millis(ms as u64).min(MAX_TIMEOUT))),
                other => Err(bad(other.unwrap_or_default().to_string())),
            }
        }
        // JSON and node-q know no integers.
        Value::Atom(Atom::Float(ms)) if *ms >= 1.0 => {
            Ok(Some(Duration::from_millis(*ms as u64).min(MAX_TIMEOUT)))
        }
        other => Err(bad(format!("a {}", other.type_name()))),
    }
}

/// A log correlator as text; anything but a name or a guid is echoed but not logged.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Atom(Atom::Guid(g)) => crate::Corr(*g).to_string(),
        other => other.as_name()?.text().into_owned(),
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvalue::{Dict, Vector};

    fn parse(value: &Value) -> Result<Opts, OptsError> {
        Opts::parse(&Raw::of(value).0, &Limits::client())
    }

    fn dict(pairs: &[(&str, Value)]) -> Value {
        Dict::of(pairs.iter().cloned()).into()
    }

    #[test]
    fn null_keys_and_system_fields_are_left_out() {
        let opts = parse(&dict(&[
            ("", Value::Null),
            ("logCorr", Value::str("x")),
            ("rc", 5i16.into()),
            ("corr", Value::sym("mine")),
            ("appId", 7i64.into()),
        ]))
        .unwrap();
        let names: Vec<_> = opts.fields().iter().map(|(n, _)| n.text().into_owned()).collect();
        assert_eq!(names, ["logCorr", "appId"]);
        assert_eq!(opts.log_corr.as_deref(), Some("x"));
    }

    #[test]
    fn options_that_are_all_but_known_are_named_and_others_are_the_client_s_own() {
        for (name, nearest) in
            [("timeOut", "timeout"), ("logcorr", "logCorr"), ("aggfn", "aggFn"), ("casts", "cast")]
        {
            let err = parse(&dict(&[(name, Value::Null)])).unwrap_err();
            assert_eq!(err, OptsError::Misspelt { name: name.into(), nearest }, "{name}");
        }
        for own in ["appTimeout", "desk", "traceparent", "x"] {
            assert!(parse(&dict(&[(own, Value::Null)])).is_ok(), "{own}");
        }
        let err = parse(&dict(&[("appId", 1i64.into()), ("appId", 2i64.into())])).unwrap_err();
        assert_eq!(err, OptsError::Twice { name: "appId".into() });
        assert!(
            parse(&dict(&[("cast", Value::sym("yes"))])).unwrap_err().to_string().contains("true or false")
        );
    }

    #[test]
    fn log_lines_name_a_request_by_its_client_s_correlator_else_by_its_id() {
        let corr = crate::Corr([7; 16]);
        let line = |opts: Value| LogCorr { corr, opts: &Raw::of(&opts) }.to_string();
        assert_eq!(line(dict(&[("logCorr", Value::str("desk 7"))])), "desk 7");
        assert_eq!(line(dict(&[])), corr.to_string());
        assert_eq!(line(Value::Null), corr.to_string());
    }

    #[test]
    fn only_the_gateway_asks_for_compressed_answers() {
        let mut opts = parse(&dict(&[(PACK, true.into())])).unwrap();
        assert!(opts.fields().is_empty() && !wants_packed(&opts.to_raw()));
        opts.set("appId".into(), Raw::of(&7i64.into()).0);
        assert!(wants_packed(&opts.to_raw_packed()) && !wants_packed(&opts.to_raw()));
        let of = |value: Value| {
            let mut fields = vec![("agg".into(), Bytes::new()), (PACKED.into(), Raw::of(&value).0)];
            (take_packed(&mut fields), fields.len())
        };
        assert_eq!(of(70i64.into()), (Some(Some(70)), 1));
        assert_eq!(of((-1i64).into()), (None, 1));
        assert_eq!(take_packed(&mut Vec::new()), Some(None));
    }

    #[test]
    fn values_are_passed_on_as_they_came() {
        let value = dict(&[("appTable", Value::syms(["a", "b"])), ("appNull", Value::Null)]);
        let opts = parse(&value).unwrap();
        assert_eq!(opts.to_raw().decode(&Limits::client()).unwrap(), value);
        assert_eq!(opts.get("appTable").unwrap(), &Raw::of(&Value::syms(["a", "b"])).0);
    }

    #[test]
    fn every_form_of_nothing_is_taken() {
        let typed_empty = Dict::new(Value::syms::<&str>([]), Value::list([])).unwrap();
        for value in [Value::empty_dict(), typed_empty.into(), Value::Null, Value::list([])] {
            assert_eq!(parse(&value), Ok(Opts::default()), "{value:?}");
        }
        assert_eq!(&Opts::default().to_raw().0[..], &Raw::of(&Value::empty_dict()).0[..]);
    }

    #[test]
    fn typed_values_and_text_keys_are_taken() {
        let typed = Dict::new(Value::syms(["timeout"]), Value::Vector(Vector::longs(vec![5000]))).unwrap();
        assert_eq!(parse(&typed.into()).unwrap().timeout, Some(Duration::from_secs(5)));
        let text = Dict::new(Value::list([Value::str("timeout")]), Value::list([250i32.into()])).unwrap();
        assert_eq!(parse(&text.into()).unwrap().timeout, Some(Duration::from_millis(250)));
    }

    #[test]
    fn timeouts_are_bounded_and_bad_ones_named() {
        assert_eq!(parse(&dict(&[("timeout", i64::MAX.into())])).unwrap().timeout, Some(MAX_TIMEOUT));
        assert_eq!(parse(&dict(&[("timeout", i64::MIN.into())])).unwrap().timeout, None, "a null");
        for bad in [Value::from(0i64), (-1i32).into(), Value::str("5s")] {
            let err = parse(&dict(&[("timeout", bad)])).unwrap_err().to_string();
            assert!(err.contains("timeout must be milliseconds"), "{err}");
        }
    }

    #[test]
    fn what_is_no_dictionary_of_names_is_an_error() {
        assert_eq!(parse(&Value::from(1i64)), Err(OptsError::NotADict { got: -7 }));
        let longs = Dict::new(Value::Vector(Vector::longs(vec![1])), Value::list([Value::Null])).unwrap();
        assert_eq!(parse(&longs.into()), Err(OptsError::Key { got: -7 }));
        let many = Dict::of((0..300).map(|i| (format!("app{i}"), Value::Null)));
        assert_eq!(parse(&many.into()), Err(OptsError::TooMany { got: 300 }));
    }

    #[test]
    fn damaged_bytes_are_errors() {
        let whole = Raw::of(&dict(&[("appId", 7i64.into())])).0;
        for cut in 1..whole.len() {
            assert!(Opts::parse(&whole.slice(..cut), &Limits::client()).is_err(), "cut at {cut}");
        }
    }
}
