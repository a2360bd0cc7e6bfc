//! Primitives over vectors of 10 million, and a copy of their bytes: what memory allows. `tests/bench/q_vectors.py`
//! asks the same of numpy.

use std::{hint::black_box, path::Path, time::Instant};

use qlang::value::Value;

use super::{data, session, timed};
use crate::{error::Error, worker};

/// Inputs, by what all sides report them under.
const WORK: [&str; 12] = [
    "a+b",
    "2.5*a",
    "a>100",
    "sum a",
    "sums n",
    "max n",
    "asc a",
    "iasc n",
    "group codes",
    "n in few",
    "few?n",
    "steps bin a",
];

/// Our side.
pub(crate) fn serve(dir: &Path) -> Result<(), Error> {
    let mut q = session(1);
    let codes = data::code_column(dir, "trade.sym")?.into_iter().map(i64::from).collect();
    let values = [
        ("a", data::float_column(dir, "trade.price")?),
        ("b", data::float_column(dir, "vectors.b")?),
        ("n", data::long_column(dir, "trade.size")?),
        ("codes", Value::longs(codes)),
        ("few", data::long_column(dir, "vectors.few")?),
        ("steps", data::float_column(dir, "vectors.steps")?),
    ];
    for (name, value) in values {
        q.set(name, value).map_err(|e| Error::Other(e.to_string()))?;
    }
    worker::serve(|| WORK.iter().map(|text| Ok((*text, timed(&mut q, text)?.0))).collect())
}

/// The bytes that a primitive has to move, moved: as many read and written as its arguments and result have.
pub(crate) fn copy() -> Result<(), Error> {
    let from = vec![1u8; 8 * data::ROWS];
    worker::serve(|| {
        let start = Instant::now();
        let to = black_box(&from).clone();
        let one = start.elapsed().as_secs_f64() * 1e3;
        drop(black_box(to));
        let start = Instant::now();
        let sum = black_box(&from)
            .as_chunks::<8>()
            .0
            .iter()
            .map(|c| u64::from_le_bytes(*c))
            .fold(0, u64::wrapping_add);
        black_box(sum);
        let read = start.elapsed().as_secs_f64() * 1e3;
        // A vector read and one written is a copy; two read and one written half as much again.
        Ok(vec![
            ("a+b", one * 1.5),
            ("2.5*a", one),
            ("a>100", read),
            ("sum a", read),
            ("sums n", one),
            ("max n", read),
        ])
    })
}
