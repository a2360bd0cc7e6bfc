//! Scripts that come with the interpreter, as kdb+ has its examples in `QHOME`: `\l sp.q`, `\l trade.q`. A file of the
//! same name where one would be loaded comes first.

/// The text of a script that comes with the interpreter.
pub(crate) fn text(path: &str) -> Option<&'static str> {
    match path {
        "sp.q" => Some(include_str!("../../samples/sp.q")),
        "trade.q" => Some(include_str!("../../samples/trade.q")),
        _ => None,
    }
}
