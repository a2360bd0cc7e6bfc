//! the DAP process: serves a database or in-memory tables
