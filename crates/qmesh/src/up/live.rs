//! A made-up real-time feed, so that a demo has a real-time tier: a random walk of trades for today, published
//! over QIPC as any feed handler would.

use std::{net::SocketAddr, time::Duration};

use data_access::assembly::TableSchema;
use kvalue::{Type, Value, Vector};
use qipc::net::{Client, ConnectOptions, Credentials};
use tokio_util::sync::CancellationToken;

use crate::Failure;

/// Names and starting prices of what is traded; the names are those of the sample database.
const LISTED: [(&str, f64); 10] = [
    ("AAPL", 108.0),
    ("AIG", 55.0),
    ("AMD", 2.6),
    ("DELL", 13.8),
    ("DOW", 43.0),
    ("GOOG", 500.0),
    ("HPQ", 38.0),
    ("IBM", 156.0),
    ("INTC", 36.0),
    ("MSFT", 46.0),
];

/// Rows a batch has, and the time between batches.
const BATCH: usize = 20;
const PERIOD: Duration = Duration::from_millis(100);

/// The schema of the fed table: that of the sample's `trade`.
pub(super) fn schemas() -> Vec<TableSchema> {
    let columns = [
        ("time", Type::Timestamp),
        ("sym", Type::Symbol),
        ("price", Type::Float),
        ("size", Type::Int),
        ("stop", Type::Boolean),
        ("cond", Type::Char),
        ("ex", Type::Char),
    ];
    vec![TableSchema {
        name: "trade".into(),
        time_column: "time".into(),
        columns: columns.into_iter().map(|(n, t)| (n.into(), Some(t))).collect(),
    }]
}

/// Publishes until shutdown; a lost connection is opened again.
pub(super) async fn feed(to: SocketAddr, shutdown: CancellationToken) -> Result<(), Failure> {
    let mut walk = Walk::new();
    while !shutdown.is_cancelled() {
        let client =
            match Client::connect(&to.to_string(), &Credentials::new("feed", ""), &ConnectOptions::default())
                .await
            {
                Ok(client) => client,
                Err(_) => {
                    tokio::time::sleep(PERIOD).await;
                    continue;
                }
            };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(PERIOD) => {}
            }
            let call = Value::list([Value::sym("upd"), Value::sym("trade"), walk.batch()]);
            if client.asyn(&call).await.is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// Prices that wander, from a small generator of our own: the feed needs variety, not randomness.
struct Walk {
    prices: Vec<f64>,
    state: u64,
}

impl Walk {
    fn new() -> Self {
        Walk { prices: LISTED.iter().map(|(_, p)| *p).collect(), state: kvalue::time::now() as u64 | 1 }
    }

    fn next(&mut self, below: u64) -> u64 {
        // xorshift64
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % below
    }

    fn batch(&mut self) -> Value {
        let picks: Vec<usize> = (0..BATCH).map(|_| self.next(LISTED.len() as u64) as usize).collect();
        let prices = picks
            .iter()
            .map(|&i| {
                let step = (self.next(201) as f64 - 100.0) / 100_000.0;
                self.prices[i] = ((self.prices[i] * (1.0 + step)) * 100.0).round() / 100.0;
                self.prices[i]
            })
            .collect();
        let sizes = (0..BATCH).map(|_| self.next(100) as i32 + 1).collect();
        let now = kvalue::time::now();
        let chars = |c: u8| Value::from(Vector::chars(vec![c; BATCH]));
        Value::list([
            Vector::timestamps((0..BATCH as i64).map(|i| now + i).collect()).into(),
            Value::syms(picks.iter().map(|&i| LISTED[i].0)),
            Vector::floats(prices).into(),
            Vector::new::<i32>(Type::Int, sizes).into(),
            Vector::booleans(vec![false; BATCH]).into(),
            chars(b' '),
            chars(b'N'),
        ])
    }
}
