//! Links over real sockets.

mod common;
mod follow;
mod handshake;
mod healing;
mod health;
mod pool;
mod traffic;
