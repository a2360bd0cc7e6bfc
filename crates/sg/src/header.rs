//! The response header, assembled at the GW from encoded parts.
//!
//! Order of the fields: those of the published example (`rcvTS, corr, logCorr, http, api, agg, refVintage, rc,
//! ac, ai, limitApplied`), every other field of the request behind `api`, and what else the Agg or RC has to
//! say at the end. User values and the Agg's extras are copied as they came, never decoded and encoded again.

use bytes::{BufMut, Bytes, BytesMut};
use kvalue::{Sym, types::INF_LONG};
use qipc::{Limits, Raw};

use crate::{
    Corr,
    codes::{Ac, Rc},
    ids::guid_text,
    opts::{self, Opts, OptsError, Pair},
};

/// `refVintage` of an answer without reference data: q's `-0Wj`, the maximum of no longs.
pub const NO_VINTAGE: i64 = -INF_LONG;

/// What the GW knows of a request when it comes to answer it.
#[derive(Debug, Clone)]
pub struct RequestHeader {
    /// when it was received, nanoseconds since 2000-01-01 UTC
    pub rcv_ts: i64,
    /// its id
    pub corr: Corr,
    /// API asked for
    pub api: Sym,
    /// response format of a REST request
    pub http: Option<&'static str>,
    /// header options
    pub opts: Opts,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// return code
    pub rc: Rc,
    /// application code
    pub ac: Ac,
    /// sentence; empty of a success
    pub ai: &'a str,
    /// fields from Agg or RC
    pub extra: &'a [Pair],
}

/// The fields of an answer's `extra` dictionary.
pub fn extra(raw: &Raw, limits: &Limits) -> Result<Vec<Pair>, OptsError> {
    opts::pairs(&raw.0, limits)
}

impl RequestHeader {
    /// `logCorr` as text: the client's, else the request's id.
    pub fn log_corr(&self) -> String {
        self.opts.log_corr.clone().unwrap_or_else(|| self.corr.to_string())
    }

    /// The response header as an encoded dictionary.
    pub fn respond(&self, outcome: Outcome<'_>) -> Bytes {
        let mut fields = Fields::new();
        fields.add(b"rcvTS", |out| {
            out.put_i8(-12);
            out.put_i64_le(self.rcv_ts);
        });
        fields.add(b"corr", |out| {
            out.put_i8(-2);
            out.put_slice(&self.corr.0);
        });
        match self.opts.get("logCorr") {
            Some(value) => fields.copy(b"logCorr", value),
            None => fields.add(b"logCorr", |out| put_text(out, &guid_text(&self.corr.0))),
        }
        if let Some(http) = self.http {
            fields.add(b"http", |out| put_symbol(out, http.as_bytes()));
        }
        fields.add(b"api", |out| put_symbol(out, self.api.as_bytes()));
        let said = |name: &[u8]| outcome.extra.iter().find(|(n, _)| n.as_bytes() == name);
        for (name, value) in self.opts.fields() {
            if name.as_bytes() != b"logCorr" && said(name.as_bytes()).is_none() {
                fields.copy(name.as_bytes(), value);
            }
        }
        match said(b"agg") {
            Some((_, value)) => fields.copy(b"agg", value),
            None => fields.add(b"agg", |out| put_symbol(out, b"")),
        }
        match said(b"refVintage") {
            Some((_, value)) => fields.copy(b"refVintage", value),
            None => fields.add(b"refVintage", |out| {
                out.put_i8(-7);
                out.put_i64_le(if outcome.rc == Rc::OK { NO_VINTAGE } else { 0 });
            }),
        }
        for (name, code) in [(b"rc", outcome.rc.0), (b"ac", outcome.ac.0)] {
            fields.add(name, |out| {
                out.put_i8(-5);
                out.put_i16_le(code);
            });
        }
        fields.add(b"ai", |out| put_text(out, outcome.ai.as_bytes()));
        if let Some((_, value)) = said(b"limitApplied") {
            fields.copy(b"limitApplied", value);
        }
        for (name, value) in outcome.extra.iter().filter(|(name, _)| !is_placed(name)) {
            fields.copy(name.as_bytes(), value);
        }
        fields.finish()
    }
}

/// Fields that have their place already, or that an Agg has no business setting.
fn is_placed(name: &Sym) -> bool {
    matches!(
        name.as_bytes(),
        b"" | b"rcvTS"
            | b"corr"
            | b"logCorr"
            | b"http"
            | b"api"
            | b"agg"
            | b"refVintage"
            | b"rc"
            | b"ac"
            | b"ai"
            | b"limitApplied"
    )
}

fn put_symbol(out: &mut BytesMut, name: &[u8]) {
    out.put_i8(-11);
    out.put_slice(name);
    out.put_u8(0);
}

fn put_text(out: &mut BytesMut, text: &[u8]) {
    out.put_slice(&[10, 0]);
    out.put_u32_le(text.len() as u32);
    out.put_slice(text);
}

/// Names and values side by side until their number is known.
struct Fields {
    names: BytesMut,
    values: BytesMut,
    count: usize,
}

impl Fields {
    fn new() -> Self {
        Fields { names: BytesMut::with_capacity(128), values: BytesMut::with_capacity(256), count: 0 }
    }

    fn add(&mut self, name: &[u8], value: impl FnOnce(&mut BytesMut)) {
        self.names.put_slice(name);
        self.names.put_u8(0);
        value(&mut self.values);
        self.count += 1;
    }

    fn copy(&mut self, name: &[u8], value: &Bytes) {
        self.add(name, |out| out.put_slice(value));
    }

    fn finish(self) -> Bytes {
        let mut out = BytesMut::with_capacity(13 + self.names.len() + self.values.len());
        opts::put_names(&mut out, &self.names, self.count);
        out.put_slice(&self.values);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvalue::{Atom, Dict, Value};

    fn request(opts: &Value) -> RequestHeader {
        RequestHeader {
            rcv_ts: 1_000,
            corr: Corr([7; 16]),
            api: ".kxi.ping".into(),
            http: None,
            opts: Opts::parse(&Raw::of(opts).0, &Limits::client()).unwrap(),
        }
    }

    fn respond(request: &RequestHeader, rc: Rc, ai: &str, given: &Value) -> Dict {
        let extra = extra(&Raw::of(given), &Limits::internal()).unwrap();
        let header = request.respond(Outcome { rc, ac: Ac::OK, ai, extra: &extra });
        qipc::decode(header, &Limits::client()).unwrap().as_dict().unwrap().clone()
    }

    fn names(header: &Dict) -> Vec<String> {
        header.pairs().map(|(n, _)| n.text().into_owned()).collect()
    }

    #[test]
    fn the_order_is_that_of_the_published_example() {
        let mut request = request(&Value::empty_dict());
        request.http = Some("json");
        let extra = Dict::of([
            ("limitApplied", Value::from(false)),
            ("agg", Value::sym(":127.0.0.1:5060")),
            ("refVintage", NO_VINTAGE.into()),
        ]);
        let header = respond(&request, Rc::OK, "", &extra.into());
        let expected = [
            "rcvTS",
            "corr",
            "logCorr",
            "http",
            "api",
            "agg",
            "refVintage",
            "rc",
            "ac",
            "ai",
            "limitApplied",
        ];
        assert_eq!(names(&header), expected);
        assert_eq!(header.get("rcvTS"), Some(Value::Atom(Atom::Timestamp(1_000))));
        assert_eq!(header.get("corr"), Some(Value::Atom(Atom::Guid([7; 16]))));
        assert_eq!(header.get("logCorr"), Some(Value::str("07070707-0707-0707-0707-070707070707")));
        assert_eq!(header.get("rc"), Some(Value::from(0i16)));
        assert_eq!(header.get("ai"), Some(Value::str("")));
    }

    #[test]
    fn request_fields_are_echoed_and_extras_follow() {
        let opts = Dict::of([
            ("appId", Value::from(7i64)),
            ("logCorr", Value::sym("mine")),
            ("timeout", 5i64.into()),
            ("coverage", Value::sym("forged")),
        ]);
        let extra = Dict::of([("coverage", Value::sym("observed")), ("rc", 9i16.into())]);
        let header = respond(&request(&opts.into()), Rc::OK, "", &extra.into());
        let expected = [
            "rcvTS",
            "corr",
            "logCorr",
            "api",
            "appId",
            "timeout",
            "agg",
            "refVintage",
            "rc",
            "ac",
            "ai",
            "coverage",
        ];
        assert_eq!(names(&header), expected);
        assert_eq!(header.get("logCorr"), Some(Value::sym("mine")), "as the client gave it");
        assert_eq!(header.get("coverage"), Some(Value::sym("observed")), "the system's word counts");
        assert_eq!(header.get("rc"), Some(Value::from(0i16)), "extras cannot set the return code");
    }

    #[test]
    fn a_failure_before_any_dap_has_vintage_zero_and_no_agg() {
        let header = respond(&request(&Value::empty_dict()), Rc::TIMEOUT, "late é", &Value::empty_dict());
        assert_eq!(header.get("agg"), Some(Value::sym("")));
        assert_eq!(header.get("refVintage"), Some(Value::from(0i64)));
        assert_eq!(header.get("ai"), Some(Value::str("late é")));
    }
}
