//! Judges of the q interpreter.
//!
//! | module | what |
//! | --- | --- |
//! | [`page`] | transcripts as they lie in a file |
//! | [`compare`] | whether an output is the one of the transcript |
//! | [`chance`] | which steps depend on chance, clock or machine |
//! | [`interpreter`] | an interpreter whose console is kept |
//! | [`child`] | a page played in a process of its own |
//! | [`report`] | what was matched, by page |
//! | [`corpus`] | files of q code, each loaded in a process of its own |
//! | [`world`] | what a checked interpreter may see |
//!
//! Transcripts are data: nothing here knows what a page holds, and the interpreter sees the inputs only.
#![forbid(unsafe_code)]

pub mod chance;
pub mod child;
pub mod compare;
pub mod corpus;
pub mod interpreter;
pub mod page;
pub mod report;
pub mod world;
