//! Tables: their shape, rows in and out, joins.

pub mod asof;
pub mod insert;
pub mod join;
pub mod literal;
pub mod lookup;
pub mod names;
pub mod parted;
pub mod shape;
pub mod tools;
pub mod window;

pub use self::{
    insert::{insert, upsert, upsert_value},
    join::stack,
    lookup::{match_rows, nulls_of, put_rows, shared_groups},
    names::{change, columns_of, full_name, named, rekey, symbols},
    shape::{attr_name, cols, keys, letter, meta, with_attr, xasc, xcol, xcols, xdesc, xkey},
};
use crate::ctx::Def;

/// The family's primitives.
pub static TABLE: &[Def] = &[
    Def::monad("cols", shape::cols),
    Def::monad("keys", shape::keys),
    Def::dyad("xkey", shape::xkey),
    Def::dyad("xcol", shape::xcol),
    Def::dyad("xcols", shape::xcols),
    Def::dyad("xasc", shape::xasc),
    Def::dyad("xdesc", shape::xdesc),
    Def::dyad("xgroup", shape::xgroup),
    Def::monad("ungroup", shape::ungroup),
    Def::monad("meta", shape::meta),
    Def::operator("insert", insert::insert),
    Def::dyad("upsert", insert::upsert),
    Def::dyad("lj", join::lj),
    Def::dyad("ljf", join::ljf),
    Def::dyad("ij", join::ij),
    Def::dyad("ijf", join::ijf),
    Def::dyad("pj", join::pj),
    Def::dyad("uj", join::uj),
    Def::dyad("ujf", join::ujf),
    Def::many("ej", (3, 3), join::ej),
    Def::many("aj", (3, 3), asof::aj),
    Def::many("aj0", (3, 3), asof::aj0),
    Def::many("ajf", (3, 3), asof::ajf),
    Def::many("ajf0", (3, 3), asof::ajf0),
    Def::dyad("asof", asof::asof),
    Def::many("wj", (4, 4), window::wj),
    Def::many("wj1", (4, 4), window::wj1),
    Def::many(".Q.ft", (2, 2), tools::ft),
    Def::many(".Q.fk", (1, 1), tools::fk),
    Def::many(".Q.fu", (2, 2), tools::fu),
    Def::many(".Q.fc", (2, 2), tools::fc),
];
