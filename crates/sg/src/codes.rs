//! Return codes: `rc` (framework), `ac` (application), `ai` (the sentence for people).
//!
//! Numbers with a source are KX's (codes and troubleshooting pages, see `docs/protocol.md`); names without a published
//! number have numbers of qmesh, from 100 up, so that no number collides with a published number.

/// A return code. Zero is success; codes named `APP…` say that an API or its aggregation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rc(pub i16);

/// An application code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ac(pub i16);

macro_rules! codes {
    ($ty:ident { $($(#[$doc:meta])* $name:ident = $n:expr, $safe:expr;)* }) => {
        impl $ty {
            $($(#[$doc])* pub const $name: $ty = $ty($n);)*
            /// Every code with its name and whether the caller may simply try again.
            pub const ALL: &'static [($ty, &'static str, bool)] = &[$(($ty::$name, stringify!($name), $safe)),*];
            /// The code's name; `UNKNOWN` for a number not in the table.
            pub fn name(self) -> &'static str {
                Self::ALL.iter().find(|(c, _, _)| *c == self).map_or("UNKNOWN", |(_, n, _)| n)
            }
            /// True where trying the same request again may succeed.
            pub fn is_retryable(self) -> bool {
                Self::ALL.iter().any(|(c, _, retry)| *c == self && *retry)
            }
        }
    };
}

codes! { Rc {
    /// success
    OK = 0, false;
    /// application error, see `ac`
    APP = 5, false;
    /// application-level database error
    APP_DB = 6, false;
    /// application-level recoverable condition
    APP_RETRY2 = 7, true;
    /// general error
    ERR = 10, false;
    /// the request could not be queued: an admission limit is reached
    QUEUE = 11, true;
    /// API or service class not supported
    NOT_SUPPORTED = 12, false;
    /// version not supported
    VERSION = 13, false;
    /// the request names something that routing cannot find, for instance a table
    ROUTE = 56, false;
    /// no resources connected
    NOT_READY = 58, true;
    /// the deadline passed (number is qmesh's)
    TIMEOUT = 100, true;
    /// a process the request depended on was lost (number is qmesh's)
    CONN = 101, true;
    /// the caller or an operator cancelled the request (number is qmesh's)
    CANCELLED = 102, false;
    /// the caller may not do this (number is qmesh's)
    AUTH = 103, false;
    /// an answer or its parts exceed a limit (number is qmesh's)
    LIMIT = 104, false;
} }

codes! { Ac {
    /// success
    OK = 0, false;
    /// not supported
    NOT_SUPPORTED = 17, false;
    /// not ready
    NOT_READY = 20, true;
    /// bad argument
    ARG = 23, false;
    /// table not found
    TABLE = 27, false;
    /// bad input (number is qmesh's)
    INPUT = 100, false;
    /// q type error (number is qmesh's)
    TYPE = 101, false;
    /// q length error (number is qmesh's)
    LENGTH = 102, false;
    /// stored data is damaged or gone (number is qmesh's)
    DATA = 103, false;
    /// the deadline passed (number is qmesh's)
    TIMEOUT = 104, true;
    /// a process was lost (number is qmesh's)
    CONN = 105, true;
    /// cancelled (number is qmesh's)
    CANCELLED = 106, false;
    /// a limit was exceeded (number is qmesh's)
    LIMIT = 107, false;
    /// API or aggregation function unknown (number is qmesh's)
    API = 108, false;
    /// label set or scope matches nothing (number is qmesh's)
    TARGET = 109, false;
    /// a bug in qmesh; please report (number is qmesh's)
    INTERNAL = 110, false;
} }

/// Why a request, portion or aggregation failed: what travels as `rc`, `ac` and `ai`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{ai} (rc {} {}, ac {} {})", rc.0, rc.name(), ac.0, ac.name())]
pub struct Failure {
    /// return code
    pub rc: Rc,
    /// application code
    pub ac: Ac,
    /// one sentence: the wrong value, the expected value, the next step
    pub ai: String,
}

impl Failure {
    /// A failure of these codes.
    pub fn new(rc: Rc, ac: Ac, ai: impl Into<String>) -> Self {
        Failure { rc, ac, ai: ai.into() }
    }

    /// A bad argument: rc 5, ac 23.
    pub fn arg(ai: impl Into<String>) -> Self {
        Failure::new(Rc::APP, Ac::ARG, ai)
    }

    /// No resources connected: rc 58, ac 20.
    pub fn not_ready() -> Self {
        Failure::new(Rc::NOT_READY, Ac::NOT_READY, "No resources connected")
    }

    /// Table not found: rc 56, ac 27.
    pub fn table_not_found(table: &str) -> Self {
        Failure::new(Rc::ROUTE, Ac::TABLE, format!("Table not found, table={table}"))
    }

    /// The HTTP status this failure is answered with (spec §3.4).
    pub fn http_status(&self) -> u16 {
        match self.rc {
            Rc::OK => 200,
            Rc::APP | Rc::APP_DB | Rc::APP_RETRY2 | Rc::ROUTE | Rc::VERSION => match self.ac {
                Ac::DATA | Ac::INTERNAL => 500,
                _ => 400,
            },
            Rc::NOT_SUPPORTED => match self.ac {
                Ac::API => 404,
                _ => 400,
            },
            Rc::LIMIT => 413,
            Rc::CANCELLED => 499,
            Rc::QUEUE => 429,
            Rc::AUTH => 403,
            Rc::NOT_READY | Rc::CONN => 503,
            Rc::TIMEOUT => 504,
            _ => 500,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_numbers_are_kept() {
        assert_eq!([Rc::APP, Rc::NOT_SUPPORTED, Rc::ROUTE, Rc::NOT_READY].map(|c| c.0), [5, 12, 56, 58]);
        assert_eq!([Ac::NOT_SUPPORTED, Ac::NOT_READY, Ac::ARG, Ac::TABLE].map(|c| c.0), [17, 20, 23, 27]);
    }

    #[test]
    fn no_number_has_two_names() {
        for table in
            [Rc::ALL.iter().map(|c| c.0.0).collect::<Vec<_>>(), Ac::ALL.iter().map(|c| c.0.0).collect()]
        {
            let mut seen = table.clone();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), table.len());
        }
    }
}
