//! kdb+'s numbers of the built-in functions, types 101 and 102 of the wire (`qipc-spec.md` §5.8).

/// Unary primitives by code: what the console shows of each, or its word.
const UNARY: [&str; 45] = [
    "::", "+:", "-:", "*:", "%:", "&:", "|:", "^:", "=:", "<:", ">:", "$:", ",:", "#:", "_:", "~:", "!:",
    "?:", "@:", ".:", "0::", "1::", "2::", "avg", "last", "sum", "prd", "min", "max", "exit", "getenv",
    "abs", "sqrt", "log", "exp", "sin", "asin", "cos", "acos", "tan", "atan", "enlist", "var", "dev",
    "hopen",
];

/// The words of the first of them, which q text does not write as operators.
const WORDS: [&str; 20] = [
    "::",
    "flip",
    "neg",
    "first",
    "reciprocal",
    "where",
    "reverse",
    "null",
    "group",
    "iasc",
    "idesc",
    "string",
    "enlist",
    "count",
    "floor",
    "not",
    "key",
    "distinct",
    "type",
    "value",
];

/// Binary primitives by code.
const BINARY: [&str; 37] = [
    ":", "+", "-", "*", "%", "&", "|", "^", "=", "<", ">", "$", ",", "#", "_", "~", "!", "?", "@", ".", "0:",
    "1:", "2:", "in", "within", "like", "bin", "ss", "insert", "wsum", "wavg", "div", "xexp", "setenv",
    "binr", "cov", "cor",
];

/// The code of a unary primitive that the console shows as `text` and that q text names `word`.
pub(crate) fn unary(text: &str, word: &str) -> Option<u8> {
    let at = |names: &[&str], name: &str| names.iter().position(|n| *n == name);
    at(&UNARY, text).or_else(|| at(&WORDS, word)).or_else(|| at(&UNARY, word)).map(|i| i as u8)
}

/// The code of a binary primitive.
pub(crate) fn binary(word: &str) -> Option<u8> {
    BINARY.iter().position(|n| *n == word).map(|i| i as u8)
}

/// What q text calls the unary primitive of a code.
pub(super) fn unary_word(code: u8) -> Option<&'static str> {
    let code = usize::from(code);
    WORDS.get(code).or_else(|| UNARY.get(code)).copied()
}

/// What q text calls the binary primitive of a code.
pub(super) fn binary_word(code: u8) -> Option<&'static str> {
    BINARY.get(usize::from(code)).copied()
}
