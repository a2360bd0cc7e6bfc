//! the getData query: typed arguments, execution over a table source, mergeable partials, and their merge
