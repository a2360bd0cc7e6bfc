//! Files, handles, databases: what q does with the world beyond the clock.
//!
//! | file | what |
//! | --- | --- |
//! | `path` | names of files and processes |
//! | `image`, `heap` | the bytes of a kdb+ file as a value |
//! | `write`, `heap_write`, `part_index` | a value as the bytes of a kdb+ file |
//! | `store` | `get`, `set`, appends, splayed folders |
//! | `bytes`, `records` | `read0 read1 1: hcount hdel` |
//! | `text`, `csv` | `0:` |
//! | `wire` | `-8! -9! -18!` |

mod bytes;
mod csv;
mod heap;
mod heap_write;
mod image;
mod part_index;
pub mod path;
mod records;
mod store;
mod text;
pub mod wire;
mod write;

pub use self::{
    bytes::key,
    store::{amend, amend_columns, append, get},
    text::zero,
};
use crate::ctx::Def;

/// Puts tables of primitives one behind the other.
const fn joined<const N: usize>(tables: &[&[Def]]) -> [Def; N] {
    let mut out = [tables[0][0]; N];
    let (mut at, mut t) = (0, 0);
    while t < tables.len() {
        let mut i = 0;
        while i < tables[t].len() {
            out[at] = tables[t][i];
            at += 1;
            i += 1;
        }
        t += 1;
    }
    out
}

const PARTS: &[&[Def]] = &[bytes::ROWS, store::ROWS, text::ROWS, wire::ROWS];

const COUNT: usize = {
    let (mut n, mut t) = (0, 0);
    while t < PARTS.len() {
        n += PARTS[t].len();
        t += 1;
    }
    n
};

/// The family's primitives.
pub static TABLE: &[Def] = &joined::<COUNT>(PARTS);
