//! One process of the mesh, configured by its environment with flags laid over it.
//!
//! A wrong variable or flag ends the process before anything listens, with exit code 2; SIGTERM and SIGINT
//! end it cleanly with exit code 0.

use std::future::Future;

use clap::Args;
use sg::config::{Env, Var, common};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Failure, settings};

/// Flags every process has.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// Process name (KXI_NAME)
    #[arg(long)]
    pub name: Option<String>,
    /// Address that all ports listen on; default: all of this machine (QMESH_LISTEN)
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Port of health and metrics (QMESH_HTTP_PORT)
    #[arg(long)]
    pub health_port: Option<u16>,
}

/// Flags of `qmesh gateway`.
#[derive(Debug, Clone, Args)]
pub struct GatewayArgs {
    /// Coordinators, host:port with commas (KXI_SG_RC_ADDR)
    #[arg(long)]
    pub rc: Option<String>,
    /// Port for QIPC clients (GATEWAY_QIPC_PORT)
    #[arg(long)]
    pub qipc_port: Option<u16>,
    /// Port for HTTP clients (GATEWAY_HTTP_PORT)
    #[arg(long)]
    pub http_port: Option<u16>,
    /// Process name (KXI_NAME)
    #[arg(long)]
    pub name: Option<String>,
    /// Address that all ports listen on; default: all of this machine (QMESH_LISTEN)
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
}

/// Flags of `qmesh coordinator`.
#[derive(Debug, Clone, Args)]
pub struct CoordinatorArgs {
    /// Port for GWs, Aggs and DAPs (KXI_PORT)
    #[arg(long)]
    pub port: Option<u16>,
    #[command(flatten)]
    common: CommonArgs,
}

/// Flags of `qmesh aggregator`.
#[derive(Debug, Clone, Args)]
pub struct AggregatorArgs {
    /// Coordinator to register with, host:port or a comma list (KXI_SG_RC_ADDR)
    #[arg(long)]
    pub rc: Option<String>,
    /// Port for DAPs (KXI_PORT)
    #[arg(long)]
    pub port: Option<u16>,
    #[command(flatten)]
    common: CommonArgs,
}

/// Flags of `qmesh data-access`.
#[derive(Debug, Clone, Args)]
pub struct DataAccessArgs {
    /// Folder of a kdb+ database (QMESH_DB)
    #[arg(long, value_name = "DIR")]
    pub db: Option<String>,
    /// Label of the source, key=value; repeat for several (QMESH_LABELS)
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
    /// Tier: rdb, idb or hdb (KXI_SC)
    #[arg(long)]
    pub tier: Option<String>,
    /// Coordinator to register with, host:port or a comma list (KXI_SG_RC_ADDR)
    #[arg(long)]
    pub rc: Option<String>,
    /// Tickerplant to subscribe to, host:port (rdb tier) (QMESH_TICKERPLANT)
    #[arg(long)]
    pub tickerplant: Option<String>,
    /// Port for publishers and direct calls (KXI_PORT)
    #[arg(long)]
    pub port: Option<u16>,
    #[command(flatten)]
    common: CommonArgs,
}

/// Lays a flag over the environment.
fn flag(env: Env, var: &Var, value: Option<impl ToString>) -> Env {
    match value {
        Some(value) => env.with(var, value.to_string()),
        None => env,
    }
}

fn with_common(env: Env, args: &CommonArgs) -> Env {
    let env = flag(env, &common::NAME, args.name.as_ref());
    let env = flag(env, &common::LISTEN, args.listen.as_ref());
    flag(env, &common::HTTP_PORT, args.health_port)
}

/// Runs the GW until a signal.
pub fn gateway(args: GatewayArgs) -> Result<(), Failure> {
    let env = flag(Env::from_process(), &common::RC_ADDR, args.rc);
    let env = flag(env, &gateway::config::QIPC_PORT, args.qipc_port);
    let env = flag(env, &gateway::config::HTTP_PORT, args.http_port);
    let env = flag(env, &common::NAME, args.name);
    let env = flag(env, &common::LISTEN, args.listen);
    let options = gateway::Options::from_env(&env).map_err(Failure::usage)?;
    link::logging::speak_as("GW");
    process(
        &env,
        gateway::config::VARS,
        || (),
        |shutdown| async move {
            let gateway = gateway::Gateway::bind(options).await.map_err(Failure::work)?;
            tracing::info!(qipc = %gateway.qipc_addr(), http = %gateway.http_addr(), "gateway listens");
            gateway.run(shutdown).await.map_err(Failure::work)
        },
    )
}

/// Runs the RC until a signal.
pub fn coordinator(args: CoordinatorArgs) -> Result<(), Failure> {
    let env = flag(with_common(Env::from_process(), &args.common), &coordinator::config::PORT, args.port);
    let options = coordinator::Options::from_env(&env).map_err(Failure::usage)?;
    link::logging::speak_as("RC");
    process(
        &env,
        coordinator::config::VARS,
        || (),
        |shutdown| async move {
            let rc = coordinator::Coordinator::bind(options).await.map_err(Failure::work)?;
            tracing::info!(qipc = %rc.local_addr(), "coordinator listens");
            rc.run(shutdown).await.map_err(Failure::work)
        },
    )
}

/// Runs the Agg until a signal.
pub fn aggregator(args: AggregatorArgs) -> Result<(), Failure> {
    let env = flag(with_common(Env::from_process(), &args.common), &aggregator::config::PORT, args.port);
    let env = flag(env, &common::RC_ADDR, args.rc);
    let options = aggregator::Options::from_env(&env).map_err(Failure::usage)?;
    link::logging::speak_as("AGG");
    process(
        &env,
        aggregator::config::VARS,
        || (),
        |shutdown| async move {
            let agg = aggregator::Aggregator::bind(options).await.map_err(Failure::work)?;
            tracing::info!(qipc = %agg.local_addr(), "aggregator listens");
            agg.run(shutdown).await.map_err(Failure::work)
        },
    )
}

/// Runs the DAP until a signal.
pub fn data_access(args: DataAccessArgs) -> Result<(), Failure> {
    use data_access::config as var;
    let env = flag(with_common(Env::from_process(), &args.common), &var::PORT, args.port);
    let env = flag(env, &common::RC_ADDR, args.rc);
    let env = flag(env, &var::DB, args.db);
    let env = flag(env, &var::TIER, args.tier);
    let env = flag(env, &var::TICKERPLANT, args.tickerplant);
    let labels = (!args.labels.is_empty()).then(|| args.labels.join(","));
    let env = flag(env, &var::LABELS, labels);
    let all = data_access::Options::all(&env).map_err(Failure::usage)?;
    without_huge_pages();
    link::logging::speak_as("DA");
    process(&env, var::VARS, || (), |shutdown| data_processes(all, shutdown))
}

/// The data processes of one instance, one per served tier. The end of one process ends all.
async fn data_processes(all: Vec<data_access::Options>, shutdown: CancellationToken) -> Result<(), Failure> {
    let mut bound = Vec::new();
    for options in all {
        let tier = options.tier.clone();
        let dap = data_access::DataAccess::bind(options).await.map_err(Failure::work)?;
        tracing::info!(qipc = %dap.local_addr(), %tier, "data process listens");
        bound.push(dap);
    }
    let mut tasks = JoinSet::new();
    for dap in bound {
        let shutdown = shutdown.clone();
        tasks.spawn(async move { dap.run(shutdown).await.map_err(Failure::work) });
    }
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        shutdown.cancel();
        outcome = outcome.and(ended.map_err(Failure::work).and_then(|result| result));
    }
    outcome
}

/// The allocator asks for huge pages. Each of its threads' first small object then costs 2 MiB, and of a large answer
/// that is gone more stays: a data process had 13 MiB when idle where it needs 3. Answers are as fast without them.
fn without_huge_pages() {
    #[cfg(target_os = "linux")]
    // Where the system knows no such switch they stay. Nothing is logged yet.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Runs a process on a runtime of its own until it ends or a signal asks it to; `at_signal` is called first then.
pub fn process<F: Future<Output = Result<(), Failure>>>(
    env: &Env,
    vars: &[&Var],
    at_signal: fn(),
    body: impl FnOnce(CancellationToken) -> F,
) -> Result<(), Failure> {
    link::check(env, vars).map_err(Failure::usage)?;
    link::logging::init(env).map_err(Failure::usage)?;
    for sentence in settings::misspelt(env) {
        tracing::warn!("{sentence}");
    }
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::work)?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        tokio::spawn(cancel_on_signal(shutdown.clone(), at_signal));
        body(shutdown).await
    })
}

/// Cancels at the first SIGINT or SIGTERM.
async fn cancel_on_signal(shutdown: CancellationToken, at_signal: fn()) {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be watched; only SIGINT ends this process cleanly");
            let _ = tokio::signal::ctrl_c().await;
            at_signal();
            return shutdown.cancel();
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    at_signal();
    shutdown.cancel();
}
