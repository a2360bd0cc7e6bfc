//! Links over real sockets.

mod common;
mod handshake;
mod healing;
mod health;
mod pool;
mod traffic;
