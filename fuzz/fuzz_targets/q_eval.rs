//! Any text evaluates within its budget of time, memory and depth, or says why not; no host, no world.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use qlang::{host::Closed, session::{Budget, Session}};

/// What one text may use up.
const TIME: Duration = Duration::from_millis(300);
const MEMORY: usize = 256 << 20;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut session = Session::new(Box::new(Closed::default()));
    session.budget(Budget { time: Some(TIME), memory: Some(MEMORY), ..Budget::default() });
    let start = std::time::Instant::now();
    if let Err(error) = session.console(&text) {
        let _ = session.report(&error);
    }
    assert!(start.elapsed() < TIME * 40, "the budget of time was not kept");
});
