//! Formats of other tools, made of a whole payload: structured text, CSV, Arrow.
//!
//! CSV, NDJSON and Arrow have no place for the response header: it goes as JSON in the HTTP header [`HEADER`].

use axum::{
    body::Bytes,
    http::{HeaderName, HeaderValue, StatusCode},
};
use export::{ExportError, Loss, csv::Style};
use qipc::{Limits, Raw};
use sg::{
    Failure,
    codes::{Ac, Rc},
};

use super::negotiate::Format;
use crate::json::{Json, Part};

/// Name of the HTTP header that has the response header of formats without a place for it.
pub(super) const HEADER: &str = "qmesh-header";
/// Longer ones are left out: clients bound what they read.
const MOST: usize = 8 << 10;

/// Why a payload was not written.
pub(super) struct NotWritten {
    pub(super) status: StatusCode,
    pub(super) failure: Failure,
}

/// The payload in a format that is not written as it comes.
pub(super) fn payload(format: Format, payload: Bytes) -> Result<Bytes, NotWritten> {
    let value = Raw(payload).decode(&Limits::internal()).map_err(|e| {
        let ai = format!("the answer is no valid q object: {e}; please report this");
        NotWritten {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            failure: Failure::new(Rc::ERR, Ac::INTERNAL, ai),
        }
    })?;
    let mut out = Vec::new();
    match format {
        Format::Csv => {
            export::csv::write(&value, Style::Iso, &mut out).map_err(|e| not_written(format, e.into()))?;
        }
        Format::Arrow => {
            export::arrow::write_ipc(&value, Loss::Refused, &mut out).map_err(|e| not_written(format, e))?
        }
        _ => {
            let mut text = String::new();
            export::structured::write(&value, &mut text);
            out = text.into();
        }
    }
    Ok(out.into())
}

fn not_written(format: Format, e: ExportError) -> NotWritten {
    let (status, rc, ac) = match e.is_of_the_request() {
        true => (StatusCode::NOT_ACCEPTABLE, Rc::NOT_SUPPORTED, Ac::NOT_SUPPORTED),
        false => (StatusCode::INTERNAL_SERVER_ERROR, Rc::ERR, Ac::INTERNAL),
    };
    let ai = format!("the answer cannot be written as {}: {e}", format.media_type());
    NotWritten { status, failure: Failure::new(rc, ac, ai) }
}

/// A response header as an HTTP header: JSON in ASCII.
pub(super) fn header(header: &Bytes) -> Option<(HeaderName, HeaderValue)> {
    let mut json = Vec::new();
    Json::new([Part::Header(header.clone())], &Limits::internal()).fill(&mut json, usize::MAX).ok()?;
    let mut ascii = String::with_capacity(json.len());
    for c in String::from_utf8(json).ok()?.chars() {
        match c {
            ' '..='~' => ascii.push(c),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    ascii.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    let value = (ascii.len() <= MOST).then(|| HeaderValue::from_str(&ascii).ok()).flatten()?;
    Some((HeaderName::from_static(HEADER), value))
}
