//! The load sides: one client's latency, the rate of many clients, the time of a large answer, a process's memory.
//!
//! A side asks a mesh, or a chain of its own making that passes as many bytes as the mesh did when asked once.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::ask::{Connection, Request};
use crate::error::Error;
use crate::memory;
use crate::worker::{self, Sample, quantile};

/// What the sides are told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// A running mesh
    #[arg(long)]
    mesh: SocketAddr,
    /// What to ask
    #[arg(long)]
    request: Request,
    /// Ask a plain chain of as many hops and bytes instead; its number of sources
    #[arg(long, value_name = "SOURCES")]
    chain: Option<usize>,
    /// Requests of one turn
    #[arg(long, default_value_t = 1)]
    requests: usize,
    /// Clients that ask for a second at the same time, instead of one that asks `requests` times
    #[arg(long)]
    clients: Option<usize>,
    /// Report the most anonymous memory of this process during a turn
    #[arg(long, value_name = "PID")]
    watch: Option<u32>,
}

/// How long many clients ask per turn.
const TURN: Duration = Duration::from_secs(1);

/// How long a mesh may answer with errors before the first turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a side.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().map_err(Error::io("starting the runtime"))?;
    let frame = options.request.frame()?;
    let answer = runtime.block_on(first(options.mesh, &frame))?;
    let chain = options.chain.map(|sources| Chain::start(frame.len(), answer, sources)).transpose()?;
    let address = chain.as_ref().map_or(options.mesh, |chain| chain.address);
    let mut connections = runtime.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..options.clients.unwrap_or(1) {
            connections.push(Connection::open(address).await?);
        }
        Ok::<_, Error>(connections)
    })?;
    worker::serve(|| match options.watch {
        None => turn(&runtime, options, &mut connections, answer),
        Some(process) => {
            let (peak, sample) = memory::peak(process, || turn(&runtime, options, &mut connections, answer))?;
            sample.map(|mut sample| {
                sample.extend([("peak, MiB", peak), ("answer, MiB", answer as f64 / f64::from(1 << 20))]);
                sample
            })
        }
    })
}

/// Bytes of the first answer. Processes become ready one by one: after an error the request is sent again for a while.
async fn first(mesh: SocketAddr, frame: &qipc::Frame) -> Result<usize, Error> {
    let start = Instant::now();
    let mut connection = Connection::open(mesh).await?;
    loop {
        let message = connection.ask(frame).await?;
        match connection.success(&message) {
            Err(_) if start.elapsed() < PATIENCE => tokio::time::sleep(PATIENCE / 100).await,
            outcome => {
                connection.found_something(&message)?;
                return outcome;
            }
        }
    }
}

fn turn(
    runtime: &Runtime,
    options: &Options,
    connections: &mut Vec<Connection>,
    answer: usize,
) -> Result<Sample, Error> {
    match (options.clients, &mut connections[..]) {
        (None, [one]) => runtime.block_on(latency(one, options, answer)),
        _ => {
            let (rate, back) = runtime.block_on(rate(std::mem::take(connections), options))?;
            *connections = back;
            Ok(vec![("requests/s", rate)])
        }
    }
}

/// One client, one request after the other.
async fn latency(connection: &mut Connection, options: &Options, answer: usize) -> Result<Sample, Error> {
    let frame = options.request.frame()?;
    let mut times = Vec::with_capacity(options.requests);
    for _ in 0..options.requests.max(1) {
        let start = Instant::now();
        let message = connection.ask(&frame).await?;
        times.push(start.elapsed().as_secs_f64());
        if options.chain.is_none() {
            // Outside of the time: the chain has no return code to look at.
            connection.success(&message)?;
        }
    }
    let (p50, p99) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
    Ok(vec![("p50, µs", p50 * 1e6), ("p99, µs", p99 * 1e6), ("MB/s", answer as f64 / 1e6 / p50)])
}

/// All clients at once, each one request after the other; the connections are given back.
async fn rate(connections: Vec<Connection>, options: &Options) -> Result<(f64, Vec<Connection>), Error> {
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for mut connection in connections {
        let (frame, is_mesh) = (options.request.frame()?, options.chain.is_none());
        clients.spawn(async move {
            let mut answered = 0usize;
            while start.elapsed() < TURN {
                let message = connection.ask(&frame).await?;
                // Looking at every header would make the client the slowest part.
                if is_mesh && answered == 0 {
                    connection.success(&message)?;
                }
                answered += 1;
            }
            Ok::<_, Error>((answered, connection))
        });
    }
    let (mut answered, mut back) = (0, Vec::new());
    while let Some(client) = clients.join_next().await {
        let (n, connection) = client.map_err(|e| Error::Other(e.to_string()))??;
        answered += n;
        back.push(connection);
    }
    Ok((answered as f64 / start.elapsed().as_secs_f64(), back))
}

/// A chain in a process of its own. The chain ends on drop, and when this process is killed, by the end of the chain's
/// input.
struct Chain {
    child: Child,
    address: SocketAddr,
}

impl Chain {
    fn start(request: usize, answer: usize, sources: usize) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::io("finding this program"))?;
        let mut command = Command::new(program);
        command.arg("chain").stdin(Stdio::piped()).stdout(Stdio::piped());
        for (flag, value) in [("--request", request), ("--answer", answer), ("--sources", sources)] {
            command.arg(flag).arg(value.to_string());
        }
        let mut child = command.spawn().map_err(Error::io("starting the chain"))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(Error::io("reading the chain's port"))?;
        }
        let port: u16 = line
            .trim()
            .parse()
            .map_err(|_| Error::Other(format!("the chain printed `{line}`, expected its port")))?;
        Ok(Chain { child, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
