//! the q wire protocol: sans-io codec, compression, handshake, async client and server
