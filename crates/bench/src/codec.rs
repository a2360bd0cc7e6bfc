//! Row 1: our codec, and a copy of the same bytes.
//!
//! Both sides read the messages that [`fn@write`] made. What counts as decoding is what each library's users
//! wait for: bytes in memory to a value they can use; as encoding, a value to what is given to a socket. Ours shares
//! buffers both ways. So that nobody can say that the work was only put off, there is a second metric of each:
//! decoding and reading every item once, and encoding into one buffer.

use std::hint::black_box;
use std::path::Path;

use bytes::Bytes;
use kvalue::{Table, Type, Value, Vector};
use qipc::{Frame, Limits, MessageType};

use crate::error::Error;
use crate::trade;
use crate::worker::{self, Sample, milliseconds};

const ROWS: usize = 1_000_000;
/// Runs of each kind per turn, of which the median counts.
const RUNS: usize = 3;
const FILES: [&str; 2] = ["trade.qipc", "trade-fixed.qipc"];

/// Writes the two messages: all columns, and those of fixed width. Also without message header but with the
/// two bytes of a file that q's `set` writes, which is what kola's Python interface can decode.
pub(crate) fn write(dir: &Path) -> Result<(), Error> {
    for (name, with_symbols) in FILES.iter().zip([true, false]) {
        let table = Value::from(for_all_clients(&trade::table(trade::FIRST_DAY, ROWS, with_symbols)?)?);
        let message = qipc::encode_message(MessageType::Response, &table)?;
        let file = [&[0xff, 0x01], &message[qipc::message::HEADER_LEN..]].concat();
        for (suffix, bytes) in [("", &message[..]), (".set", &file[..])] {
            let path = dir.join(format!("{name}{suffix}"));
            std::fs::write(&path, bytes).map_err(Error::io(path.display().to_string()))?;
        }
    }
    Ok(())
}

/// Without columns of single characters: kola decodes such columns as strings, and would encode other bytes.
fn for_all_clients(table: &Table) -> Result<Table, Error> {
    let is_char = |column: &Value| column.as_vector().is_some_and(|v| v.ty() == Type::Char);
    Ok(Table::of(
        table.iter().filter(|(_, column)| !is_char(column)).map(|(name, c)| (name.to_vec(), c.clone())),
    )?)
}

fn read(dir: &Path) -> Result<[Bytes; 2], Error> {
    let one = |name: &str| {
        let path = dir.join(name);
        std::fs::read(&path).map(Bytes::from).map_err(Error::io(path.display().to_string()))
    };
    Ok([one(FILES[0])?, one(FILES[1])?])
}

/// Our side.
pub(crate) fn ours(dir: &Path) -> Result<(), Error> {
    let limits = Limits::internal();
    let [all, fixed] = read(dir)?;
    let value = |message: &Bytes| -> Result<Value, Error> {
        let message = qipc::Message::parse(message.clone(), &limits)?;
        message.decode(&limits)?.map_err(|e| Error::Other(e.to_string()))
    };
    let (all_value, fixed_value) = (value(&all)?, value(&fixed)?);
    for (message, value) in [(&all, &all_value), (&fixed, &fixed_value)] {
        if frame(value)?.to_bytes() != message || encode(value)? != message {
            return Err(Error::Other("our encoder wrote another message than the bench's".into()));
        }
    }
    worker::serve(|| {
        Ok(vec![
            ("decode, ms", milliseconds(RUNS, || value(&all))?),
            ("decode and read all, ms", milliseconds(RUNS, || Ok(black_box(touch(&value(&all)?))))?),
            ("encode, ms", milliseconds(RUNS, || frame(&all_value))?),
            ("encode into one buffer, ms", milliseconds(RUNS, || encode(&all_value))?),
            ("fixed: decode, ms", milliseconds(RUNS, || value(&fixed))?),
            ("fixed: decode and read all, ms", milliseconds(RUNS, || Ok(black_box(touch(&value(&fixed)?))))?),
            ("fixed: encode, ms", milliseconds(RUNS, || frame(&fixed_value))?),
            ("fixed: encode into one buffer, ms", milliseconds(RUNS, || encode(&fixed_value))?),
        ])
    })
}

/// What our clients and servers give to a socket.
fn frame(value: &Value) -> Result<Frame, Error> {
    Ok(Frame::of_value(MessageType::Response, value)?)
}

fn encode(value: &Value) -> Result<Bytes, Error> {
    Ok(qipc::encode_message(MessageType::Response, value)?)
}

/// The copy: the same bytes into a new buffer. It stands for decoding and encoding alike.
pub(crate) fn copy(dir: &Path) -> Result<(), Error> {
    let [all, fixed] = read(dir)?;
    worker::serve(|| {
        let copied = |bytes: &Bytes| milliseconds(RUNS, || Ok(black_box(bytes.to_vec())));
        let (all, fixed) = (copied(&all)?, copied(&fixed)?);
        Ok(same(&ALL, all).chain(same(&FIXED, fixed)).collect::<Sample>())
    })
}

const ALL: [&str; 4] = ["decode, ms", "decode and read all, ms", "encode, ms", "encode into one buffer, ms"];
const FIXED: [&str; 4] = [
    "fixed: decode, ms",
    "fixed: decode and read all, ms",
    "fixed: encode, ms",
    "fixed: encode into one buffer, ms",
];

fn same(names: &'static [&'static str], value: f64) -> impl Iterator<Item = (&'static str, f64)> {
    names.iter().map(move |name| (*name, value))
}

/// Reads every item of a table once.
fn touch(value: &Value) -> u64 {
    let columns = value.as_table().map(Table::columns).unwrap_or_default();
    columns.iter().filter_map(Value::as_vector).fold(0, |sum, column| sum.wrapping_add(touch_column(column)))
}

fn touch_column(column: &Vector) -> u64 {
    if let Some(symbols) = column.as_symbols() {
        return symbols.iter().map(|s| s.len() as u64 + u64::from(s.first().copied().unwrap_or(0))).sum();
    }
    match column.ty() {
        Type::Float => column.as_buf::<f64>().map_or(0, |b| b.iter().fold(0.0, |a, x| a + x).to_bits()),
        Type::Timestamp => {
            column.as_buf::<i64>().map_or(0, |b| b.iter().fold(0i64, i64::wrapping_add) as u64)
        }
        Type::Int => {
            column.as_buf::<i32>().map_or(0, |b| b.iter().fold(0i64, |a, x| a + i64::from(x)) as u64)
        }
        _ => column.as_bytes().map_or(0, |b| b.iter().fold(0, |a, x| a + u64::from(*x))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_touched() {
        let table = trade::table(1, 1000, true).unwrap();
        for (name, column) in table.iter() {
            let vector = column.as_vector().unwrap();
            assert_ne!(touch_column(vector), 0, "{}", String::from_utf8_lossy(name));
        }
    }
}
