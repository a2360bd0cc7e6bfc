//! `qmesh up`: every process of the mesh in one, on loopback, for a laptop, a demo, a test.
//!
//! The processes are the same code as when they run alone, joined by the same links over loopback; only their
//! ports are ephemeral. It is ready, and says so, when every data process it started has registered.

mod live;
mod sample;
mod tour;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::{Duration, Instant},
};

use kvalue::Sym;
use sg::config::{Env, common};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Failure, cli::Up, db_arg::DbArg, serve};

/// How long the processes may take to find each other.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Starts everything and serves until a signal.
pub fn run(mut args: Up) -> Result<(), Failure> {
    if args.db.is_empty() && args.tickerplant.is_none() {
        args.db.push(DbArg { dir: sample::find()?, labels: sg::LabelSet::default() });
    }
    let env = Env::from_process();
    // What a person at a terminal wants to see is the tour; what goes wrong still shows.
    let env = match env.is_set(&common::LOG_LEVELS) {
        true => env,
        false => env.with(&common::LOG_LEVELS, "default:warn"),
    };
    if let Some(dir) = args.save_dir.as_ref().filter(|dir| !dir.is_dir()) {
        return Err(Failure::Usage(format!(
            "--save-dir {}: there is no such folder; create it first",
            dir.display()
        )));
    }
    // The flag has been read; the variable is not for each process.
    let env = env.with(&common::LISTEN, "");
    let vars = [gateway::VARS, coordinator::VARS, aggregator::VARS, data_access::config::VARS].concat();
    serve::process(&env.clone(), &vars, quiet, |shutdown| up(args, env, shutdown))
}

/// All processes stop at once: that one misses the other is no news.
fn quiet() {
    if !Env::from_process().is_set(&common::LOG_LEVELS) {
        // The logger is ours; where it is not, nothing is lost but quiet.
        let _ = link::logging::set_levels("default:error");
    }
}

async fn up(args: Up, env: Env, shutdown: CancellationToken) -> Result<(), Failure> {
    let started = Instant::now();
    let mut mesh = Mesh { env, shutdown: shutdown.clone(), tasks: JoinSet::new(), databases: Vec::new() };
    let rc = mesh.coordinators(args.coordinators).await?;
    let rc = rc.as_str();
    for i in 0..args.aggregators {
        mesh.aggregator(i, rc).await?;
    }
    let mut daps = 0;
    for (i, db) in args.db.iter().enumerate() {
        for replica in 0..args.replicas {
            mesh.database(db, i, replica, rc, args.db.len()).await?;
            daps += 1;
        }
    }
    let memory = if args.live || args.tickerplant.is_some() {
        daps += 1;
        Some(mesh.memory(&args, rc).await?)
    } else {
        None
    };
    let gateway = mesh.gateway(&args, rc).await?;
    if let (true, Some(memory)) = (args.live, memory) {
        mesh.tasks.spawn(live::feed(memory, shutdown.clone()));
    }
    wait_until_ready(gateway.qipc, daps, &shutdown, &mut mesh).await?;
    // Whatever happens to the tour, the mesh serves on.
    let printed = tokio::spawn(async move { tour::print(&gateway, daps, started.elapsed()).await }).await;
    if let Err(error) = printed {
        tracing::error!(%error, "the tour could not be printed");
    }
    match mesh.tasks.join_next().await {
        // A process ended: by the signal, or because it failed.
        Some(Ok(outcome)) => {
            shutdown.cancel();
            let rest = mesh.tasks.join_all().await;
            rest.into_iter().fold(outcome, Result::and)
        }
        Some(Err(panic)) => Err(Failure::Work(format!("a process of the mesh ended in a bug: {panic}"))),
        None => Ok(()),
    }
}

/// Addresses of the gateway that was started.
pub(crate) struct GatewayAddrs {
    pub(crate) qipc: SocketAddr,
    pub(crate) http: SocketAddr,
}

struct Mesh {
    env: Env,
    shutdown: CancellationToken,
    tasks: JoinSet<Result<(), Failure>>,
    /// folders served, with how their data processes fare
    databases: Vec<(PathBuf, data_access::Status)>,
}

impl Mesh {
    /// The environment for one process: its own name, loopback, no port but its own.
    fn env(&self, name: &str) -> Env {
        self.env.clone().with(&common::NAME, name).with(&common::ADVERTISE, "127.0.0.1")
    }

    /// Coordinators that know each other; the list that leads to them.
    async fn coordinators(&mut self, n: u16) -> Result<String, Failure> {
        let mut bound = Vec::new();
        for i in 0..n {
            let env = self.env(&format!("rc-{i}")).with(&coordinator::config::PORT, "0");
            let mut options = coordinator::Options::from_env(&env).map_err(Failure::usage)?;
            // No process of this mesh has known another coordinator.
            options.settings.settle = 0;
            options.process.bind = Ipv4Addr::LOCALHOST.to_string();
            options.process.http_port = None;
            options.daps = None;
            bound.push(coordinator::Coordinator::bind(options).await.map_err(Failure::work)?);
        }
        let addrs: Vec<String> = bound.iter().map(|rc| rc.local_addr().to_string()).collect();
        for mut rc in bound {
            rc.meet((n > 1).then(|| addrs.clone()));
            let shutdown = self.shutdown.clone();
            self.tasks.spawn(async move { rc.run(shutdown).await.map_err(Failure::work) });
        }
        Ok(addrs.join(","))
    }

    async fn aggregator(&mut self, i: u16, rc: &str) -> Result<(), Failure> {
        let env = self.env(&format!("agg-{i}")).with(&aggregator::config::PORT, "0");
        let env = env.with(&common::RC_ADDR, rc);
        let mut options = aggregator::Options::from_env(&env).map_err(Failure::usage)?;
        options.process.bind = Ipv4Addr::LOCALHOST.to_string();
        options.process.http_port = None;
        let agg = aggregator::Aggregator::bind(options).await.map_err(Failure::work)?;
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move { agg.run(shutdown).await.map_err(Failure::work) });
        Ok(())
    }

    async fn database(
        &mut self,
        db: &DbArg,
        i: usize,
        replica: u16,
        rc: &str,
        databases: usize,
    ) -> Result<(), Failure> {
        use data_access::config as var;
        let env = self
            .env(&format!("hdb-{i}-{replica}"))
            .with(&var::PORT, "0")
            .with(&var::DB, db.dir.display().to_string())
            .with(&var::TIER, "hdb")
            .with(&common::RC_ADDR, rc);
        let mut options = data_access::Options::from_env(&env).map_err(Failure::usage)?;
        options.labels = db.labels.clone();
        options.tier = "hdb".into();
        options.source = Some(Sym::new(format!("db-{i}")));
        options.save_dir = None;
        options.tickerplant = None;
        // One machine, one budget: what is set is for all of them together.
        options.cache_bytes = (options.cache_bytes / databases as u64).max(16 << 20);
        let (_, status) = self.data_process(options).await?;
        self.databases.push((db.dir.clone(), status));
        Ok(())
    }

    async fn memory(&mut self, args: &Up, rc: &str) -> Result<SocketAddr, Failure> {
        use data_access::config as var;
        let env = self.env("rdb-0").with(&var::PORT, "0").with(&common::RC_ADDR, rc);
        let env = env.with(&var::TIER, "rdb").with(&var::DB, "");
        let mut options = data_access::Options::from_env(&env).map_err(Failure::usage)?;
        if let Some(first) = args.db.first() {
            options.labels = first.labels.clone();
        }
        options.tickerplant = args.tickerplant.clone();
        options.save_dir = args.save_dir.clone();
        if args.live {
            options.schemas = live::schemas();
        }
        self.data_process(options).await.map(|(addr, _)| addr)
    }

    async fn data_process(
        &mut self,
        mut options: data_access::Options,
    ) -> Result<(SocketAddr, data_access::Status), Failure> {
        options.process.bind = Ipv4Addr::LOCALHOST.to_string();
        options.process.http_port = None;
        let dap = data_access::DataAccess::bind(options).await.map_err(Failure::work)?;
        let (addr, status) = (dap.local_addr(), dap.status());
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move { dap.run(shutdown).await.map_err(Failure::work) });
        Ok((addr, status))
    }

    async fn gateway(&mut self, args: &Up, rc: &str) -> Result<GatewayAddrs, Failure> {
        let env = self
            .env("gw-0")
            .with(&gateway::config::QIPC_PORT, args.qipc_port.to_string())
            .with(&gateway::config::HTTP_PORT, args.http_port.to_string())
            .with(&common::RC_ADDR, rc);
        let mut options = gateway::Options::from_env(&env).map_err(Failure::usage)?;
        options.bind = match args.listen.as_ref().filter(|address| !address.trim().is_empty()) {
            Some(address) => vec![address.clone()],
            None => vec![Ipv4Addr::LOCALHOST.to_string(), Ipv6Addr::LOCALHOST.to_string()],
        };
        let gateway = gateway::Gateway::bind(options).await.map_err(|error| match error {
            gateway::Error::Bind(mut taken) => {
                taken.variable = match taken.variable {
                    v if v == gateway::config::QIPC_PORT.name => "--qipc-port (0 for any that is free)",
                    v if v == gateway::config::HTTP_PORT.name => "--http-port (0 for any that is free)",
                    other => other,
                };
                Failure::work(taken)
            }
            other => Failure::work(other),
        })?;
        let addrs = GatewayAddrs { qipc: reached(gateway.qipc_addr()), http: reached(gateway.http_addr()) };
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move { gateway.run(shutdown).await.map_err(Failure::work) });
        Ok(addrs)
    }
}

/// Where this machine reaches a port that may listen on all addresses.
fn reached(local: SocketAddr) -> SocketAddr {
    let ip = match local.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, local.port())
}

/// Waits until the mesh's metadata shows every data process, as a client sees it.
async fn wait_until_ready(
    gateway: SocketAddr,
    daps: usize,
    shutdown: &CancellationToken,
    mesh: &mut Mesh,
) -> Result<(), Failure> {
    let limit = Instant::now() + START_LIMIT;
    let mut seen = 0;
    while Instant::now() < limit {
        if shutdown.is_cancelled() {
            return Ok(());
        }
        let refused = mesh.databases.iter().find_map(|(dir, status)| Some((dir, status.refusal()?)));
        if let Some((dir, why)) = refused {
            return Err(Failure::Usage(format!("--db {}: {why}", dir.display())));
        }
        if let Some(ended) = mesh.tasks.try_join_next() {
            return ended.map_err(Failure::work)?.and(Err(Failure::Work("a process ended at start".into())));
        }
        seen = tour::registered(gateway).await.unwrap_or(0);
        if seen >= daps {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(Failure::Work(format!(
        "only {seen} of {daps} data processes registered within {START_LIMIT:?}; set KXI_LOG_LEVELS=default:debug to see why"
    )))
}
