//! Sources over real sockets: what both promise, and what a bad API server does to the one of pods.

mod api_server;
mod common;
mod sources;
