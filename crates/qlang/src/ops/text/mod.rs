//! Text: strings, patterns, casts and what reads values from text; `.Q`, `.j` and `.h` as far as they make text.

pub mod cast;
mod codes;
mod dotq;
mod enumerate;
pub mod json;
pub mod like;
mod map;
mod pad;
pub mod split;
pub mod string;
#[cfg(test)]
mod tests;
pub mod tok;
mod when;

pub use self::{
    cast::{cast_named, cast_word, dollar, is_cast_name, named_type, to as cast_to},
    codes::{md5, sha1},
    enumerate::{extend, link},
    string::{texts, write_element},
    tok::{parse as parse_text, tok_column},
};
use crate::ctx::Def;

/// What q text says of `.Q` and `.h`, for the evaluator to run.
pub const PRELUDE: &str = include_str!("text.q");

/// The family's primitives.
pub static TABLE: &[Def] = &[
    Def::operator("$", dollar),
    Def::unary("string", "$:", string::string),
    Def::monad("lower", string::lower).typed(101),
    Def::monad("upper", string::upper),
    Def::monad("trim", string::trim),
    Def::monad("ltrim", string::ltrim),
    Def::monad("rtrim", string::rtrim),
    Def::dyad("like", like::like).typed(102),
    Def::dyad("ss", like::ss).typed(102),
    Def::many("ssr", (3, 3), like::ssr),
    Def::dyad("vs", split::vs).typed(102),
    Def::dyad("sv", split::sv).typed(102),
    Def::monad("md5", codes::md5_of),
    Def::monad("hsym", dotq::hsym),
    Def::monad("ltime", dotq::ltime),
    Def::monad("gtime", dotq::gtime),
    Def::monad(".Q.s", dotq::s),
    Def::monad(".Q.s1", dotq::s1),
    Def::many(".Q.S", (3, 3), dotq::lines),
    Def::many(".Q.f", (2, 2), dotq::f),
    Def::many(".Q.fmt", (3, 3), dotq::fmt),
    Def { infix: false, ..Def::dyad(".Q.addmonths", dotq::addmonths) },
    Def::monad(".Q.addr", dotq::addr),
    Def::monad(".Q.ty", dotq::ty),
    Def { infix: false, ..Def::dyad(".Q.dd", dotq::dd) },
    Def::monad(".Q.id", dotq::id),
    Def::monad(".Q.btoa", codes::btoa),
    Def::monad(".Q.atob", codes::atob),
    Def::monad(".Q.sha1", codes::sha1_of),
    Def::monad(".Q.x10", codes::x10),
    Def::monad(".Q.j10", codes::j10),
    Def::monad(".Q.x12", codes::x12),
    Def::monad(".Q.j12", codes::j12),
    Def::monad(".j.j", json::to_text),
    Def::monad(".j.jd", json::to_text_with),
    Def::monad(".j.k", json::from_text),
];
