//! Any text with the words of q is a tree or an error; the tree is a value, as `parse` gives it.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use qlang::{
    registry::registry,
    syntax::{Word, Words, parse, tree},
    value::Value,
};

struct All;

impl Words for All {
    fn word(&self, name: &[u8]) -> Option<Word> {
        let primitive = registry().find(name)?;
        Some(Word { value: Value::Prim(primitive), infix: registry().def(primitive).infix })
    }
}

fuzz_target!(|data: &[u8]| {
    let text: Arc<str> = String::from_utf8_lossy(data).into();
    if let Ok(parsed) = parse(&text, None, 1, &All) {
        let _ = tree::of_parsed(&parsed, &All);
    }
});
