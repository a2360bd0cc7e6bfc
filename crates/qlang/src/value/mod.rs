//! q values. Imports point one way: `sym` ← `buf` ← `core` (definitions) ← `atoms`, `vector` ← `access`, `compound`.

mod access;
mod atoms;
mod buf;
mod compound;
mod core;
mod sym;
mod vector;

pub use self::{
    atoms::Scalar,
    buf::{Buf, Charge, Element, live_bytes},
    core::{
        Data, Derived, Dict, Domain, EnumAtom, HostFunction, Iterator, Lambda, List, Mapped, Primitive,
        Projection, Table, Value, Vector,
    },
    sym::{Sym, interned, names, order},
};
