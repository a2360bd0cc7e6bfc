//! A data process without a mesh, and a client that calls it directly.
#![allow(dead_code, unreachable_pub)] // each test file uses its own part

use std::time::{Duration, Instant};

use data_access::{DataAccess, Options};
use kvalue::{Dict, Table, Value};
use qipc::net::{Client, ConnectOptions, Credentials};
use sg::config::Env;
use tokio_util::sync::CancellationToken;

/// A running data process; dropping it ends it.
pub struct Dap {
    pub client: Client,
    pub addr: String,
    shutdown: CancellationToken,
}

impl Drop for Dap {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub fn options(vars: &[(&str, &str)]) -> Options {
    let mut options = Options::from_env(&Env::of(vars.iter().copied())).expect("options");
    options.process.bind = "127.0.0.1".into();
    options.process.port = 0;
    options.process.http_port = None;
    options
}

pub async fn connect(addr: &str) -> Client {
    Client::connect(addr, &Credentials::new("test", ""), &ConnectOptions::default()).await.expect("connect")
}

pub async fn start(options: Options) -> Dap {
    let dap = DataAccess::bind(options).await.expect("bind");
    let addr = dap.local_addr().to_string();
    let shutdown = CancellationToken::new();
    tokio::spawn(dap.run(shutdown.clone()));
    Dap { client: connect(&addr).await, addr, shutdown }
}

impl Dap {
    /// Header and payload of a direct call.
    pub async fn call(&self, api: &str, args: Vec<(&str, Value)>) -> (Dict, Value) {
        let answer = self
            .client
            .call(api, vec![Dict::of(args).into(), Value::sym(""), Value::empty_dict()])
            .await
            .expect("an answer");
        (answer.index(0).as_dict().expect("a header").clone(), answer.index(1))
    }

    pub async fn get_data(&self, args: Vec<(&str, Value)>) -> Table {
        let (header, payload) = self.call(".kxi.getData", args).await;
        assert_eq!(header.get("rc").and_then(|v| v.as_i64()), Some(0), "{header:?}");
        payload.as_table().expect("a table").clone()
    }

    /// Rows of a table; 0 while it is not known.
    pub async fn rows(&self, table: &str) -> usize {
        let (_, payload) = self.call(".kxi.getData", vec![("table", Value::sym(table))]).await;
        payload.as_table().map_or(0, Table::len)
    }

    pub async fn wait_for_rows(&self, table: &str, rows: usize) {
        let limit = Instant::now() + Duration::from_secs(20);
        loop {
            let now = self.rows(table).await;
            if now == rows {
                return;
            }
            assert!(Instant::now() < limit && now < rows, "{table} has {now} rows, expected {rows}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
