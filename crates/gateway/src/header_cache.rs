//! Header fields of answers, taken apart.
//!
//! The header fields of an Agg are mostly the same: its name and empty values. So the last few headers are cached by
//! their bytes.

use std::cell::RefCell;

use bytes::Bytes;
use qipc::{Limits, Raw};
use sg::{
    header,
    opts::{OptsError, Pair},
};

/// Fields that are known: one for each of some Aggs.
const KNOWN: usize = 8;
/// Longer ones are not kept.
const SHORT: usize = 256;

thread_local! {
    static LAST: RefCell<Last> = const { RefCell::new(Last { known: Vec::new(), next: 0 }) };
}

struct Last {
    known: Vec<(Bytes, Vec<Pair>)>,
    /// the one whose place the next takes
    next: usize,
}

/// The fields of a dictionary, by name.
pub(crate) fn fields(raw: &Raw, limits: &Limits) -> Result<Vec<Pair>, OptsError> {
    if raw.0.len() > SHORT {
        return header::extra(raw, limits);
    }
    LAST.with_borrow_mut(|last| {
        if let Some((_, fields)) = last.known.iter().find(|(bytes, _)| *bytes == raw.0) {
            return Ok(fields.clone());
        }
        // A copy: the message lies in a buffer with others.
        let raw = Raw(Bytes::copy_from_slice(&raw.0));
        let fields = header::extra(&raw, limits)?;
        let entry = (raw.0, fields.clone());
        match last.known.get_mut(last.next) {
            Some(oldest) => *oldest = entry,
            None => last.known.push(entry),
        }
        last.next = (last.next + 1) % KNOWN;
        Ok(fields)
    })
}

#[cfg(test)]
mod tests {
    use kvalue::{Dict, Value};

    use super::*;

    #[test]
    fn fields_are_those_of_the_bytes_however_many_have_been_seen() {
        let limits = Limits::internal();
        for round in 0..3 {
            for n in 0..2 * KNOWN as i64 {
                let text = "x".repeat(if n == 3 { 2 * SHORT } else { 3 });
                let said = Dict::of([("n", Value::from(n)), ("text", Value::str(&text))]);
                let raw = Raw::of(&said.into());
                let again = [(), ()].map(|()| fields(&raw, &limits).unwrap());
                let [first, second] = &again;
                assert_eq!(first, second);
                assert_eq!(first, &header::extra(&raw, &limits).unwrap(), "{round} {n}");
            }
        }
        assert!(fields(&Raw::of(&Value::from(1i64)), &limits).is_err());
        LAST.with_borrow(|last| assert_eq!(last.known.len(), KNOWN));
    }
}
