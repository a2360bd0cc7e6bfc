//! `qmesh-operator`: turns ServiceGateways into Deployments, Services, accounts, rights and secrets.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use operator::config::Config;
use operator_api::install::{GENERATED, LEASE_RULES, RULES, USER_ROLES, manifests};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(name = "qmesh-operator", version, about = "The operator of ServiceGateways")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Reconcile ServiceGateways until told to stop.
    Run(Box<Config>),
    /// Print the CustomResourceDefinition.
    Crd {
        /// As the chart has it: kept when the chart is removed.
        #[arg(long)]
        keep: bool,
    },
    /// Print the rules of the operator's role.
    Rules,
    /// Print the rules of its role in its own namespace.
    LeaseRules,
    /// Print the ClusterRoles for users of namespaces.
    UserRoles,
    /// Print the plain manifests.
    Manifests,
    /// Print the page of all fields.
    Fields,
}

// One thread does the work of thousands of resources, and one heap is smaller than several.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Crd { keep } => print(operator_api::crd::yaml(keep)),
        Command::Rules => print::<std::fmt::Error>(Ok(format!("{GENERATED}{RULES}"))),
        Command::LeaseRules => print::<std::fmt::Error>(Ok(format!("{GENERATED}{LEASE_RULES}"))),
        Command::UserRoles => print::<std::fmt::Error>(Ok(format!("{GENERATED}{USER_ROLES}"))),
        Command::Manifests => print::<std::fmt::Error>(Ok(manifests(env!("CARGO_PKG_VERSION")))),
        Command::Fields => print(operator_api::reference::page()),
        Command::Run(config) => run(*config).await,
    }
}

fn print<E: std::fmt::Display>(text: Result<String, E>) -> ExitCode {
    match text {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("qmesh-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> ExitCode {
    let filter = match EnvFilter::try_new(&config.log) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!(
                "qmesh-operator: QMESH_OPERATOR_LOG '{}': {error}; write as info,kube=warn",
                config.log
            );
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match operator::run::run(config, stop_signal()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "ended");
            ExitCode::FAILURE
        }
    }
}

/// SIGTERM, as the kubelet stops pods, or Ctrl-C.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("told to stop");
}
