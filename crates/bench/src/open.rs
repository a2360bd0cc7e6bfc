//! An open-loop load: requests begin on a beat, whether earlier ones have been answered or not. What happens to
//! the mesh meanwhile is somebody else's doing; here it is seen how many requests failed and how long they took.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::ask::{Connection, Request};
use crate::error::Error;
use crate::worker::{self, Sample, quantile};

/// What the side is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// A running mesh
    #[arg(long)]
    mesh: SocketAddr,
    /// What to ask
    #[arg(long)]
    request: Request,
    /// Requests a second
    #[arg(long)]
    rate: f64,
    /// How long a turn lasts, in seconds
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
}

/// Connections without a request under way.
type Free = Arc<Mutex<Vec<Connection>>>;

/// Runs the side.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().map_err(Error::io("starting the runtime"))?;
    let free = Free::default();
    worker::serve(|| runtime.block_on(turn(options, &free)))
}

async fn turn(options: &Options, free: &Free) -> Result<Sample, Error> {
    let mut beats = tokio::time::interval(Duration::from_secs_f64(1.0 / options.rate.max(0.1)));
    let (start, mut flying) = (Instant::now(), JoinSet::new());
    while start.elapsed().as_secs_f64() < options.seconds {
        beats.tick().await;
        let (free, mesh, request) = (Arc::clone(free), options.mesh, options.request);
        flying.spawn(async move {
            let since = Instant::now();
            let outcome = ask(&free, mesh, request).await;
            (since.elapsed().as_secs_f64() * 1e3, outcome)
        });
    }
    let (mut times, mut failed) = (Vec::new(), 0usize);
    while let Some(done) = flying.join_next().await {
        let (time, outcome) = done.map_err(|e| Error::Other(e.to_string()))?;
        times.push(time);
        if let Err(error) = outcome {
            eprintln!("bench open: {error}");
            failed += 1;
        }
    }
    let asked = times.len();
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|part| quantile(&mut times, part));
    let right = (asked - failed) as f64 / asked.max(1) as f64;
    Ok(vec![
        ("asked", asked as f64),
        ("answered well, part of all", right),
        ("p50, ms", p50),
        ("p99, ms", p99),
        ("longest, ms", most),
    ])
}

async fn ask(free: &Free, mesh: SocketAddr, request: Request) -> Result<(), Error> {
    let frame = request.frame()?;
    let idle = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut connection = match idle {
        Some(connection) => connection,
        None => Connection::open(mesh).await?,
    };
    let message = connection.ask(&frame).await?;
    let outcome = connection.success(&message).map(drop);
    free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    outcome
}
