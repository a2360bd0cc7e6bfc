//! The world around the q language: files, sockets, console, a process that speaks kdb+.
//!
//! | module | what |
//! | --- | --- |
//! | `world` | [`World`]: the host that the interpreter asks |
//! | `files`, `identity` | files, who and where this process is |
//! | `stream`, `connection`, `listener`, `client`, `net` | sockets, messages on them, open handles |
//! | `process` | the loop: console, timer, callers |
//! | `http`, `websocket`, `password` | browsers, and who may come in |
//! | `console`, `editor`, `help` | the terminal |
//! | `args`, `run` | the command line, and what it starts |
#![forbid(unsafe_code)]

mod args;
mod client;
mod connection;
mod console;
mod editor;
mod files;
mod help;
mod http;
mod identity;
mod listener;
mod net;
mod password;
mod process;
mod run;
mod stream;
mod websocket;
mod world;

pub use run::run;
pub use world::World;
