//! What a fresh interpreter knows: the words of q as `.q`, library functions as `.Q`, `.h`, `.j`.

use std::sync::LazyLock;

use super::{globals::Globals, interp::Interp};
use crate::{
    host::Closed,
    registry::registry,
    value::{Sym, Value},
};

/// Library functions written in q.
const PRELUDE: &str = include_str!("prelude.q");

/// Primitives of the registry by name.
static WORDS: LazyLock<Globals> = LazyLock::new(|| {
    let mut g = Globals::default();
    for space in [".q", ".Q", ".h", ".j", ".o"] {
        g.make_space(Sym::new(space));
    }
    for p in registry().all() {
        let word = p.word.as_bytes();
        let name = match word {
            // names of `.z` are found when they are asked for
            [b'.', b'z', b'.', ..] => continue,
            [b'.', b'Q' | b'h' | b'j', b'.', ..] => Sym::new(word),
            [first, ..] if first.is_ascii_alphabetic() => Sym::new([b".q.", word].concat()),
            _ => continue,
        };
        // each name is new: nothing can refuse it
        let _ = g.set(name, Value::Prim(p));
    }
    g
});

/// The words and the library.
static LIBRARY: LazyLock<Globals> = LazyLock::new(|| {
    let mut interp = Interp::bare(Box::new(Closed::default()));
    interp.globals = WORDS.clone();
    interp.begin();
    let library = [PRELUDE, crate::ops::text::PRELUDE, crate::ops::files::PRELUDE];
    for line in library.into_iter().flat_map(crate::syntax::script::split) {
        if let crate::syntax::script::Line::Statement { text, .. } = line {
            // A line that fails leaves its name undefined; the tests of the library find it.
            let _ = interp.run_text(&text, None);
        }
    }
    interp.globals
});

/// Gives an interpreter q's words.
pub(crate) fn fill(interp: &mut Interp) {
    interp.globals = LIBRARY.clone();
}
