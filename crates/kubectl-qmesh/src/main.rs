//! `kubectl qmesh`: what a ServiceGateway stands for, what applying it would change, how it is, what is wrong.
//!
//! | module | what |
//! | --- | --- |
//! | `cluster` | what is asked of the API server |
//! | `render` | every object that would be made; needs no cluster |
//! | `diff` | what applying would change, as the server's own dry run says |
//! | `additions` | fields of children that somebody else has set |
//! | `schema` | a manifest against the definition, its CEL rules included |
//! | `out` | printing |
//! | `status` | roles and pods, and why a pod is not ready |
//! | `operator` | which images the operator takes where a resource names none |
//! | `check` | references, selectors, names in the way, rights |
#![forbid(unsafe_code)]

mod additions;
mod check;
mod cluster;
mod diff;
mod error;
mod operator;
mod out;
mod render;
mod schema;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::cluster::Cluster;
use crate::error::Error;

#[derive(Parser)]
#[command(
    name = "kubectl-qmesh",
    bin_name = "kubectl qmesh",
    version,
    about = "ServiceGateways, seen from outside"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print every object that a ServiceGateway in a file stands for; needs no cluster.
    Render {
        /// The file; - for standard input. Other kinds in it are passed over.
        #[arg(short, long)]
        file: PathBuf,
    },
    /// Print what applying would change now, which pods would be replaced, and what others have added; ends with 1
    /// where something would change.
    Diff {
        /// The ServiceGateway; with --file only this one of it.
        #[arg(required_unless_present = "file")]
        name: Option<String>,
        /// Compare with the ServiceGateways of this file, as if they were applied first; - for standard input.
        #[arg(short, long)]
        file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Print roles and pods, and why a pod is not ready.
    Status(Target),
    /// Look for what is missing, in the way or not allowed; ends with 1 where something is.
    Check(Target),
}

#[derive(Args)]
struct Target {
    /// The ServiceGateway.
    name: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Place {
    /// Its namespace; default: the context's.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Context of the kubeconfig; default: the current one.
    #[arg(long)]
    context: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("kubectl qmesh: {error}");
            ExitCode::from(2)
        }
    }
}

/// True where all is well.
async fn run(command: Command) -> Result<bool, Error> {
    match command {
        Command::Render { file } => {
            out::print(format_args!("{}", render::file(&file)?));
            Ok(true)
        }
        Command::Diff { name, file, place } => {
            let mut cluster = Cluster::open(&place.context, &place.namespace).await?;
            match (file, name) {
                (Some(file), name) => diff::file(&mut cluster, &file, name.as_deref()).await,
                (None, Some(name)) => diff::stored(&cluster, &name).await,
                (None, None) => Ok(true),
            }
        }
        Command::Status(target) => {
            status::run(&Cluster::open(&target.place.context, &target.place.namespace).await?, &target.name)
                .await
        }
        Command::Check(target) => {
            check::run(&Cluster::open(&target.place.context, &target.place.namespace).await?, &target.name)
                .await
        }
    }
}
