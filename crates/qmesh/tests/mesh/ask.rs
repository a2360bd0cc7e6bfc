//! A client that knows what it may expect: one answer per question, with its codes taken apart.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use kvalue::{Dict, Table, Value};
use qipc::net::{CallError, Client, ConnectOptions, Credentials};

/// The program under test.
pub fn qmesh() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_qmesh"))
}

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What a request of these tests gives the mesh, in milliseconds.
pub const DEADLINE_MS: i64 = 10_000;

/// An answer, or what stands in for one.
#[derive(Debug, Clone)]
pub struct Answer {
    pub rc: i64,
    pub ac: i64,
    pub ai: String,
    /// all of the header
    pub header: Dict,
    pub payload: Value,
}

impl Answer {
    fn of(value: &Value) -> Answer {
        let header = value.index(0);
        let header = header.as_dict().unwrap_or_else(|| panic!("no header in {value:?}"));
        let code = |key: &str| header.get(key).and_then(|v| v.as_i64()).unwrap_or_else(|| panic!("no {key}"));
        let ai = header.get("ai").and_then(|v| v.as_text()).unwrap_or_default();
        Answer {
            rc: code("rc"),
            ac: code("ac"),
            ai: String::from_utf8_lossy(&ai).into_owned(),
            header: header.clone(),
            payload: value.index(1),
        }
    }

    /// The table of a success.
    pub fn table(&self) -> &Table {
        assert_eq!((self.rc, self.ac), (0, 0), "{}, in {:?}", self.ai, self.header);
        self.payload.as_table().unwrap_or_else(|| panic!("no table: {:?}", self.payload))
    }

    /// The one number of a `count` without groups.
    pub fn n(&self) -> i64 {
        self.table().column("n").and_then(|c| c.index(0).as_i64()).unwrap_or_else(|| panic!("{self:?}"))
    }

    /// True where the codes invite to try again.
    pub fn is_retryable(&self) -> bool {
        i16::try_from(self.rc).is_ok_and(|rc| sg::Rc(rc).is_retryable())
    }
}

/// One connection to a gateway.
pub struct Asker(Client);

impl Asker {
    /// Connects; tries until somebody listens.
    pub async fn to(addr: SocketAddr) -> Asker {
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(asker) = Asker::try_to(addr).await {
                return asker;
            }
            assert!(Instant::now() < limit, "no gateway at {addr} within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn try_to(addr: SocketAddr) -> Option<Asker> {
        let options = ConnectOptions { connect_time: Duration::from_secs(20), ..ConnectOptions::default() };
        let credentials = Credentials::new("tester", "");
        Client::connect(&addr.to_string(), &credentials, &options).await.ok().map(Asker)
    }

    /// Calls an API; the error is that of the connection, or a q error.
    pub async fn call(&self, api: &str, args: Vec<(&str, Value)>) -> Result<Answer, CallError> {
        self.call_with(api, args, Dict::of([("timeout", Value::from(DEADLINE_MS))])).await
    }

    /// Calls an API with these options.
    pub async fn call_with(
        &self,
        api: &str,
        args: Vec<(&str, Value)>,
        opts: Dict,
    ) -> Result<Answer, CallError> {
        let allowed = opts.get("timeout").and_then(|t| t.as_i64()).unwrap_or(DEADLINE_MS);
        let call = self.0.call(api, vec![Dict::of(args).into(), Value::sym(""), opts.into()]);
        // The deadline, and what a loaded machine may add to it.
        match tokio::time::timeout(Duration::from_millis(allowed as u64) + PATIENCE / 2, call).await {
            Ok(answer) => answer.map(|value| Answer::of(&value)),
            Err(_) => panic!("no answer to {api} long after its deadline"),
        }
    }

    pub async fn get(&self, args: Vec<(&str, Value)>) -> Answer {
        self.call(".kxi.getData", args).await.unwrap_or_else(|e| panic!("no answer: {e}"))
    }

    /// Rows of a table that fit further arguments.
    pub async fn count(&self, table: &str, more: Vec<(&str, Value)>) -> Answer {
        self.get(counting(table, more)).await
    }
}

/// Arguments that count the rows of a table.
pub fn counting<'a>(table: &str, more: Vec<(&'a str, Value)>) -> Vec<(&'a str, Value)> {
    let mut args =
        vec![("table", Value::sym(table)), ("agg", Value::list([Value::syms(["n", "count", "sym"])]))];
    args.extend(more);
    args
}

/// `sym = name` as a filter.
pub fn of_sym(name: &str) -> (&'static str, Value) {
    let condition = [Value::sym("="), Value::sym("sym"), Value::sym(name)];
    ("filter", Value::list([Value::list(condition)]))
}

/// An instant, from text such as `2015.01.07D10:30`.
pub fn at(text: &str) -> Value {
    kvalue::time::parse(kvalue::Type::Timestamp, text).expect("an instant").into()
}

/// Rows of the sample's trades per symbol, once the mesh is whole.
pub async fn rows_by_symbol(addr: SocketAddr) -> HashMap<String, i64> {
    let asker = Asker::to(addr).await;
    let args = || counting("trade", vec![("groupBy", Value::syms(["sym"]))]);
    let answer = eventually("the whole mesh", async || {
        asker.call(".kxi.getData", args()).await.ok().filter(|a| a.rc == 0)
    })
    .await;
    let (syms, counts) = (answer.table().column("sym"), answer.table().column("n"));
    let (syms, counts) = (syms.and_then(|c| c.as_names()).expect("names"), counts.expect("counts"));
    let pairs = syms.iter().enumerate();
    let counts: HashMap<String, i64> =
        pairs.map(|(i, s)| (s.text().into_owned(), counts.index(i).as_i64().expect("a count"))).collect();
    assert_eq!(counts.values().sum::<i64>(), crate::data::TRADES);
    counts
}

/// Tries until there is something.
pub async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(Instant::now() < limit, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
