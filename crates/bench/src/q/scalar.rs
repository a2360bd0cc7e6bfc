//! Loops of scalar code. `tests/bench/q_scalar.py` asks the same of CPython.

use super::{session, timed};
use crate::{error::Error, worker};

const WORK: [(&str, &str); 3] = [
    ("{x+1}/[1000000;0]", "{x+1}/[1000000;0]"),
    ("fib 25", "{$[x<2;x;.z.s[x-1]+.z.s[x-2]]} 25"),
    ("{x,string y}/[\"\";til 100000]", "{x,string y}/[\"\";til 100000]"),
];

/// Our side.
pub(crate) fn serve() -> Result<(), Error> {
    let mut q = session(1);
    worker::serve(|| WORK.iter().map(|(name, text)| Ok((*name, timed(&mut q, text)?.0))).collect())
}
