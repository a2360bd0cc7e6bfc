//! q values. Imports point one way: `sym` ← `buf` ← `core` (definitions) ← `atoms`, `vector` ← `access`, `compound`
//! ← `gather`, `groups`, `sorting`.

mod access;
mod atoms;
mod buf;
mod compound;
mod core;
mod gather;
mod groups;
mod sorting;
mod sym;
mod vector;

pub use self::{
    atoms::Scalar,
    buf::{Buf, Charge, Element, live_bytes},
    core::{
        Data, Derived, Dict, Domain, EnumAtom, HostFunction, Iterator, Lambda, List, Mapped, Primitive,
        Projection, Table, Value, Vector,
    },
    gather::NO_ROW,
    groups::{Groups, encode},
    sorting::{float_order, sort_rows, value_order},
    sym::{Sym, interned, names, order},
};
