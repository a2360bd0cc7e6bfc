//! Text: strings, patterns, casts and what reads values from text; `.Q`, `.j` and `.h` as far as they make text.

pub mod cast;
mod enumerate;
pub mod like;
mod map;
mod pad;
pub mod split;
pub mod string;
pub mod tok;
mod when;

pub use self::{
    cast::{cast_named, dollar, is_cast_name, named_type, to as cast_to},
    enumerate::{extend, link},
    string::{texts, write_element},
    tok::{parse as parse_text, tok_column},
};
use crate::ctx::Def;

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
];
