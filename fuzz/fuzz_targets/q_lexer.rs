//! Any text is lines and statements, in order and whole; each is a tree or an error that says where.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use qlang::syntax::{Word, Words, parse, script};

/// No names at all: what is left is characters and literals.
struct Nothing;

impl Words for Nothing {
    fn word(&self, _: &[u8]) -> Option<Word> {
        None
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut last = 0;
    for line in script::split(&text) {
        if let script::Line::Statement { text, line } = line {
            assert!(line >= last, "lines go down: {line} after {last}");
            last = line;
            let _ = parse(&Arc::from(text.as_str()), None, line, &Nothing);
        }
    }
});
