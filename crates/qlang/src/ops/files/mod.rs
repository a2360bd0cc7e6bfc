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
//! | `markup` | tables as XML and spreadsheets |
//! | `enumerate` | `.Q.en .Q.ens` |
//! | `save` | `.Q.dpft save load rsave rload dsave .Q.par` |
//! | `load` | `\\l folder`, `.Q.bv .Q.view .Q.chk` |
//! | `domains`, `splayed`, `parts` | tables that stay on disk |
//! | `dotq`, `zed` | names of `.Q` and `.z` about files and the process |
//! | `ipc` | handles and messages |
//! | `log` | `-11!` |
//! | `wire` | `-8! -9! -18!` |

mod bytes;
mod csv;
mod domains;
mod dotq;
mod enumerate;
mod heap;
mod heap_write;
mod image;
pub mod ipc;
mod load;
mod log;
mod markup;
mod part_index;
mod parts;
pub mod path;
mod records;
mod save;
mod splayed;
mod store;
mod text;
pub mod wire;
mod write;
mod zed;

pub use self::{
    bytes::key,
    dotq::{pack, packed},
    load::{load, mapped},
    log::replay,
    store::{amend, amend_columns, append, get},
    text::zero,
};
use crate::ctx::Def;

/// Names that q text says best.
pub const PRELUDE: &str = include_str!("files.q");

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

/// Numbers of `n!x` that are about files and handles.
const INTERNAL: &[Def] = &[
    Def::monad("-11!", |ctx, x| replay(ctx, &x)),
    Def::monad("-19!", |ctx, x| pack(ctx, &x)),
    Def::monad("-21!", |ctx, x| packed(ctx, &x)),
    Def::monad("-25!", |ctx, x| ipc::broadcast(ctx, &x)),
    Def::monad("-30!", |ctx, x| ipc::respond(ctx, &x)),
    // by these names others reach what is here
    Def::monad(".get", |ctx, x| get(ctx, &path::named(&x)?)),
    Def::monad(".key", |ctx, x| key(ctx, &x)),
    Def::dyad(".mapped", |ctx, x, y| {
        let names = x.items().iter().map(crate::Value::as_sym).collect::<Option<Vec<_>>>();
        let of = y.as_sym().ok_or_else(crate::QError::type_)?;
        mapped(ctx, names.ok_or_else(crate::QError::type_)?, of)
    }),
    Def::dyad(".append", |ctx, x, y| {
        append(ctx, &path::named(&x)?, &y)?;
        Ok(x)
    }),
];

const PARTS: &[&[Def]] = &[
    bytes::ROWS,
    store::ROWS,
    text::ROWS,
    wire::ROWS,
    enumerate::ROWS,
    save::ROWS,
    load::ROWS,
    dotq::ROWS,
    zed::ROWS,
    ipc::ROWS,
    INTERNAL,
];

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
