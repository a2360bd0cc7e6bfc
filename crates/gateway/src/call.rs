//! What a QIPC client asks: a call, one of the questions that PyKX's default connect begins with, or
//! something that gets an error with a sentence.
//!
//! A call is `(api; args; callback; opts)`; `(api; args; opts)`, `(api; args; callback)`, `(api; args)` and
//! `(api)` are taken too. Names may be symbols or text. Arguments stay encoded. Tests: below.

use bytes::Bytes;
use kvalue::{Sym, Value};
use qipc::{DecodeError, Limits, Raw};
use sg::opts::{EMPTY_DICT, Opts, OptsError};

/// How to call a gateway, for error sentences.
pub(crate) const USAGE: &str =
    "call (api; args; callback; opts), for instance (`.kxi.getData; args; `; ()!())";

/// Longest API or callback name.
pub(crate) const MAX_NAME: usize = 256;

/// A request as a client made it.
#[derive(Debug, PartialEq)]
pub(crate) enum Ask {
    /// A call to pass on.
    Call(Call),
    /// A question answered here, with this value.
    Probe(Value),
}

/// A call to pass on.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    /// API name
    pub api: Sym,
    /// encoded dictionary of arguments
    pub args: Raw,
    /// function of the client that takes the answer of an asynchronous call; null for none
    pub callback: Sym,
    /// header options
    pub opts: Opts,
}

/// What is wrong with a request; the text is what the client reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// Text to evaluate.
    #[error("this is a gateway, not a q session: text is not evaluated; {USAGE}")]
    Text,
    /// A function to run.
    #[error("this is a gateway, not a q session: functions are not run; {USAGE}")]
    Function,
    /// Rows for a table, or a subscription.
    #[error(
        "this is a gateway, which takes no rows and no subscriptions: send {api} to the data process that keeps the \
         table in memory (its KXI_PORT), or to the tickerplant that the data process subscribes to"
    )]
    Feed {
        /// what was called
        api: Sym,
    },
    /// Something that is no call.
    #[error("type: a request must be a list that begins with an API name, got type {got}; {USAGE}")]
    NotACall {
        /// q type number
        got: i8,
    },
    /// Too many or no elements.
    #[error("rank: a call has 1 to 4 elements, got {got}; {USAGE}")]
    Rank {
        /// elements given
        got: usize,
    },
    /// A name that cannot be one.
    #[error("type: {what} must be a symbol or text of 1 to {MAX_NAME} characters, got {got}; {USAGE}")]
    Name {
        /// which
        what: &'static str,
        /// what it is
        got: String,
    },
    /// Arguments that are no dictionary.
    #[error("type: args must be a dictionary of named arguments, got type {got}; {USAGE}")]
    Args {
        /// q type number
        got: i8,
    },
    /// Bad header options.
    #[error("{0}")]
    Opts(#[from] OptsError),
    /// Bytes that are no q object.
    #[error("{0}")]
    Bytes(#[from] DecodeError),
}

impl Ask {
    /// Reads a request.
    pub(crate) fn parse(object: &Bytes, limits: &Limits) -> Result<Ask, AskError> {
        match object.first().map_or(0, |&b| b as i8) {
            0 | 11 => {}
            10 | -10 => return text(object, limits),
            got @ 100..=112 => {
                return Err(if got == 101 && object[..] == [101, 0] {
                    AskError::NotACall { got }
                } else {
                    AskError::Function
                });
            }
            got => return Err(AskError::NotACall { got }),
        }
        let items = qipc::list_items(object, limits)?;
        if let Some(answer) = probe(&items) {
            return Ok(Ask::Probe(answer));
        }
        let (api, rest) = items.split_first().ok_or(AskError::Rank { got: 0 })?;
        if rest.len() > 3 {
            return Err(AskError::Rank { got: items.len() });
        }
        if (100..=112).contains(&type_of(api)) {
            return Err(AskError::Function);
        }
        let api = name("the API", api)?;
        if api.is_null() {
            return Err(AskError::Name { what: "the API", got: "an empty name".into() });
        }
        if is_feed(&api) {
            return Err(AskError::Feed { api });
        }
        let args = rest.first().map_or(Ok(Raw(Bytes::from_static(&EMPTY_DICT))), arguments)?;
        let third_is_opts = rest.len() == 2 && matches!(type_of(&rest[1]), 99 | 127);
        let callback = match rest.get(1) {
            Some(item) if !third_is_opts => name("the callback", item)?,
            _ => Sym::null(),
        };
        let opts = match if third_is_opts { rest.get(1) } else { rest.get(2) } {
            Some(item) => Opts::parse(item, limits)?,
            None => Opts::default(),
        };
        Ok(Ask::Call(Call { api, args, callback, opts }))
    }
}

/// The readable part of a request that is no call, for calling the sender back.
#[derive(Debug, PartialEq)]
pub(crate) struct Heard {
    /// API name, null where it cannot be read
    pub api: Sym,
    /// function of the client
    pub callback: Sym,
    /// header options that can be read, to be echoed
    pub opts: Opts,
}

impl Heard {
    /// The callback that a request names, with whatever else can be read of it.
    pub(crate) fn of(object: &Bytes, limits: &Limits) -> Option<Heard> {
        let items = match object.first() {
            Some(0 | 11) => qipc::list_items(object, limits).ok()?,
            _ => return None,
        };
        let api = items.first().and_then(|item| name("the API", item).ok()).unwrap_or_default();
        // The third element of a publisher's message is data.
        let callback = items.get(2).filter(|_| !is_feed(&api)).and_then(|item| name("", item).ok())?;
        let opts = items.get(3).and_then(|item| Opts::parse(item, limits).ok()).unwrap_or_default();
        (!callback.is_null()).then_some(Heard { api, callback, opts })
    }
}

/// What publishers and subscribers call, of a tickerplant and of a data process.
fn is_feed(api: &Sym) -> bool {
    matches!(api.as_bytes(), b"upd" | b".u.upd" | b".u.sub" | b".u.end")
}

fn type_of(object: &Bytes) -> i8 {
    object.first().map_or(0, |&b| b as i8)
}

fn is_nothing(object: &Bytes) -> bool {
    object[..] == [101, 0] || object[..] == [0; 6]
}

fn arguments(object: &Bytes) -> Result<Raw, AskError> {
    match type_of(object) {
        99 | 127 => Ok(Raw(object.clone())),
        // kola cannot send an empty dictionary.
        _ if is_nothing(object) => Ok(Raw(Bytes::from_static(&EMPTY_DICT))),
        got => Err(AskError::Args { got }),
    }
}

/// A symbol or text; `::` and `()` are the null name.
fn name(what: &'static str, object: &Bytes) -> Result<Sym, AskError> {
    let text: &[u8] = match type_of(object) {
        -11 => &object[1..object.len() - 1],
        10 => object.get(6..).unwrap_or_default(),
        -10 => &object[1..],
        _ if is_nothing(object) => return Ok(Sym::null()),
        got => return Err(AskError::Name { what, got: format!("type {got}") }),
    };
    if text.len() > MAX_NAME {
        return Err(AskError::Name { what, got: format!("{} characters", text.len()) });
    }
    if text.contains(&0) {
        return Err(AskError::Name { what, got: "a name with a NUL".into() });
    }
    Ok(Sym::new(text))
}

/// Text is answered where it is PyKX's third question, else refused.
fn text(object: &Bytes, limits: &Limits) -> Result<Ask, AskError> {
    const HAS_CONTEXT: &[u8] = b"@[{2<count .s};(::);{0b}]";
    qipc::object_len(object, limits)?;
    match object.get(6..) {
        Some(text) if object[0] == 10 && text == HAS_CONTEXT => Ok(Ask::Probe(Value::from(false))),
        _ => Err(AskError::Text),
    }
}

/// The answers that let PyKX's default connect succeed: the gateway looks like an empty q session to it.
fn probe(items: &[Bytes]) -> Option<Value> {
    const MARKER: &[u8] = b"k){x:. x;$[99h<@x;:`$\"_pykx_fn_marker\"";
    const NAMESPACE: &[u8] = b"\xf5.q\0";
    let [question, of] = items else { return None };
    if type_of(question) != 10 || of[..] != *NAMESPACE {
        return None;
    }
    match question.get(6..)? {
        b"key" => Some(Value::syms(["", "neg", "not", "null", "string"])),
        text if text.starts_with(MARKER) => Some(Value::sym("_pykx_ctx_marker")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvalue::{Dict, Opaque};

    fn ask(value: &Value) -> Result<Ask, AskError> {
        Ask::parse(&Raw::of(value).0, &Limits::client())
    }

    fn call(items: Vec<Value>) -> Call {
        match ask(&Value::list(items)) {
            Ok(Ask::Call(call)) => call,
            other => panic!("{other:?}"),
        }
    }

    fn args() -> Value {
        Dict::of([("table", Value::sym("trade"))]).into()
    }

    fn opts() -> Value {
        Dict::of([("appId", Value::from(1i64))]).into()
    }

    #[test]
    fn the_documented_call_and_its_shorter_forms_are_read() {
        let full = call(vec![Value::sym(".kxi.getData"), args(), Value::sym("cb"), opts()]);
        assert_eq!((full.api, full.callback), (".kxi.getData".into(), "cb".into()));
        assert_eq!(full.args, Raw::of(&args()));
        assert_eq!(full.opts.fields().len(), 1);

        let no_callback = call(vec![Value::str(".kxi.getData"), args(), opts()]);
        assert_eq!((no_callback.callback, no_callback.opts.fields().len()), (Sym::null(), 1));
        let no_opts = call(vec![Value::str("f"), args(), Value::str("cb")]);
        assert_eq!((no_opts.callback, no_opts.opts.fields().len()), ("cb".into(), 0));
        assert_eq!(call(vec![Value::sym("f"), args()]).args, Raw::of(&args()));
    }

    #[test]
    fn nothing_stands_for_empty_arguments_and_no_callback() {
        for nothing in [Value::Null, Value::list([]), Value::empty_dict()] {
            let call = call(vec![Value::sym(".kxi.ping"), nothing, Value::Null, Value::Null]);
            assert_eq!((call.args, call.callback), (Raw::of(&Value::empty_dict()), Sym::null()));
        }
    }

    #[test]
    fn a_list_of_names_that_q_made_a_symbol_vector_is_a_call_with_bad_arguments() {
        assert_eq!(ask(&Value::syms([".kxi.ping", "x"])), Err(AskError::Args { got: -11 }));
        assert!(matches!(ask(&Value::syms([".kxi.ping"])), Ok(Ask::Call(_))));
    }

    #[test]
    fn what_is_no_call_gets_a_sentence_that_says_how() {
        let lambda = Opaque::new(Bytes::from_static(b"\x64\0\x0a\0\x05\0\0\0{x+y}"));
        let long_name = "f".repeat(300);
        for bad in [
            Value::str("1+1"),
            Value::from(1i64),
            Value::list([]),
            Value::list([Value::from(1i64), args()]),
            Value::list([Value::sym(""), args()]),
            Value::list([Value::sym(&long_name), args()]),
            Value::list([Value::Opaque(lambda.clone()), args()]),
            Value::Opaque(lambda),
            Value::list([Value::sym("f"), Value::from(1i64)]),
            Value::list([Value::sym("f"), args(), Value::from(1i64), opts()]),
            Value::list(vec![Value::sym("f"), args(), Value::Null, opts(), Value::Null]),
            Value::Null,
        ] {
            let err = ask(&bad).unwrap_err().to_string();
            assert!(err.contains("(api; args; callback; opts)"), "{bad:?}: {err}");
        }
        let err = ask(&Value::list([Value::sym("f"), args(), Value::Null, Value::from(1i64)])).unwrap_err();
        assert!(err.to_string().contains("opts must be a dictionary"), "{err}");
    }

    #[test]
    fn the_questions_of_a_default_pykx_connect_are_answered() {
        let first = "k){x:. x;$[99h<@x;:`$\"_pykx_fn_marker\";99h~@x;if[` in!x;if[(::)~x`;:`$\"_pykx_ctx_marker\"]]]x}";
        let asked = |text: &str| ask(&Value::list([Value::str(text), Value::sym(".q")])).unwrap();
        assert_eq!(asked(first), Ask::Probe(Value::sym("_pykx_ctx_marker")));
        assert!(matches!(asked("key"), Ask::Probe(Value::Vector(_))));
        assert_eq!(ask(&Value::str("@[{2<count .s};(::);{0b}]")), Ok(Ask::Probe(false.into())));
    }

    #[test]
    fn damaged_bytes_are_errors() {
        let whole = Raw::of(&Value::list([Value::sym("f"), args(), Value::sym(""), opts()])).0;
        for cut in 0..whole.len() {
            assert!(Ask::parse(&whole.slice(..cut), &Limits::client()).is_err(), "cut at {cut}");
        }
    }
}
