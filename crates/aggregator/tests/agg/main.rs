//! The Agg: its core event by event, and the process between fake RCs, DAPs and GWs.

mod core;
mod fakes;
mod flow;
mod large;
mod lone;
mod vintage;
