//! The table of all primitives.

use std::sync::LazyLock;

use crate::{ctx::Registry, eval, ops};

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    Registry::new(&[
        ops::arith::TABLE,
        ops::aggregate::TABLE,
        ops::index::TABLE,
        ops::list::TABLE,
        ops::table::TABLE,
        ops::text::TABLE,
        ops::query::TABLE,
        ops::files::TABLE,
        ops::marks::TABLE,
        eval::TABLE,
    ])
});

/// All primitives of the process.
pub fn registry() -> &'static Registry {
    &REGISTRY
}
