//! the RC process: sockets and timers around the routing core
