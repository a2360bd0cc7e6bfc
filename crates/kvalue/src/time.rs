//! q clocks
