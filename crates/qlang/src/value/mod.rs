//! q values. Imports point one way: `sym` ← `buf` ← `core` (definitions) ← `atoms`, `vector` ← `access`, `compound`
//! ← `gather`, `order` ← `classes` ← `groups`, `concat`, `sorting`.

mod access;
mod atoms;
mod buf;
mod classes;
mod compound;
mod concat;
mod core;
mod gather;
mod groups;
pub mod order;
mod radix;
mod sorting;
mod spread;
mod sym;
mod vector;

pub use self::{
    atoms::Scalar,
    buf::{Buf, Charge, Element, live_bytes},
    classes::{Finder, firsts},
    concat::{concat, push},
    core::{
        Data, Derived, Dict, Domain, EnumAtom, HostFunction, Iterator, Lambda, List, Mapped, Primitive,
        Projection, Table, Value, Vector,
    },
    gather::{NO_ROW, NullOf, Position},
    groups::Groups,
    order::{compare as value_order, float_order},
    sorting::{sort_rows, sorted},
    sym::{Sym, interned, names, order},
};
