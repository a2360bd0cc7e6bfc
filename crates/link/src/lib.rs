//! a self-healing internal QIPC link: dial, hello, heartbeat, bounded ordered send queue
