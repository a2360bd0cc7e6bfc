//! The REST interface's reading and writing of JSON for other programs: `qmesh query` takes arguments and
//! prints answers exactly as the gateway does.

use std::io::{self, Write};

use kvalue::Value;
use qipc::{Limits, Raw};
use sg::{Api, Failure};

use crate::{
    json::{Json, Part},
    rest,
};

/// Arguments of a call from the JSON object a REST client would post; `api` gives the types of its parameters.
pub fn args_from_json(text: &str, api: Option<&Api>) -> Result<Value, Failure> {
    rest::arguments(text, api)
}

/// Writes a value as the gateway's REST interface would.
pub fn write_json(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    write_part(value, Part::Object, out)
}

/// Writes the rows of a table as one JSON object a line; any other value as one line.
pub fn write_ndjson(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    write_part(value, Part::Lines, out)
}

fn write_part(value: &Value, part: fn(bytes::Bytes) -> Part, out: &mut dyn Write) -> io::Result<()> {
    const PIECE: usize = 1 << 16;
    let object = Raw::try_of(value).map_err(|e| io::Error::other(e.to_string()))?;
    let mut json = Json::new([part(object.0)], &Limits::internal());
    let mut piece = Vec::new();
    loop {
        let more = json.fill(&mut piece, PIECE).map_err(|e| io::Error::other(e.to_string()))?;
        out.write_all(&piece)?;
        piece.clear();
        if !more {
            return Ok(());
        }
    }
}
