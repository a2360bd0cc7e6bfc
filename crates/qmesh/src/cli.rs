//! Subcommands, flags and what each runs.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{Failure, db_arg::DbArg, docs, query, serve, up};

/// A service gateway for kdb+/q data: one address that answers queries over many data processes.
#[derive(Debug, Parser)]
#[command(name = "qmesh", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the whole gateway on loopback: GW, RC, Aggs and data processes in one
    Up(Up),
    /// Ask a running gateway and print the answer
    Query(Box<query::QueryArgs>),
    /// The GW alone: QIPC and REST in front of the coordinators
    Gateway(serve::GatewayArgs),
    /// The RC alone: routes requests to data processes
    Coordinator(serve::CoordinatorArgs),
    /// The Agg alone: joins partial answers
    Aggregator(serve::AggregatorArgs),
    /// The DAP alone: serves a database or in-memory tables
    DataAccess(serve::DataAccessArgs),
    /// Print a page that is generated from the code
    Docs(docs::DocsArgs),
    /// The q language: a console, a script runner, a process that speaks kdb+ (`qmesh q --help`)
    #[command(disable_help_flag = true)]
    Q(QArgs),
}

/// Arguments of `qmesh q`: q's own flags, different from the flags of other commands.
#[derive(Debug, Clone, Args)]
pub struct QArgs {
    /// Script, q's flags, arguments of the script
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FILE and flags")]
    pub arguments: Vec<String>,
}

/// Flags of `up`.
#[derive(Debug, Clone, Args)]
pub struct Up {
    /// Database folder and the labels of its data; repeat for several. Databases of the same labels tile the
    /// time, for instance one per day. Default: the bundled sample data
    #[arg(long, value_name = "DIR[,label=value…]")]
    pub db: Vec<DbArg>,
    /// Port for QIPC clients; 0 chooses one and prints it
    #[arg(long, default_value_t = 5040)]
    pub qipc_port: u16,
    /// Port for HTTP clients; 0 chooses one and prints it
    #[arg(long, default_value_t = 8080)]
    pub http_port: u16,
    /// Address that clients' ports listen on; default: 127.0.0.1 and ::1. Whoever reaches it may ask for all data
    #[arg(long, value_name = "ADDRESS", env = "QMESH_LISTEN")]
    pub listen: Option<String>,
    /// Data processes per database
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub replicas: u16,
    /// Aggregators
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub aggregators: u16,
    /// Coordinators
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub coordinators: u16,
    /// Tickerplant to subscribe an in-memory tier to
    #[arg(long, value_name = "HOST:PORT")]
    pub tickerplant: Option<String>,
    /// Add a made-up real-time feed into an in-memory tier for today, so that one query spans both tiers
    #[arg(long, conflicts_with = "tickerplant")]
    pub live: bool,
    /// Folder that end of day saves the in-memory tables to
    #[arg(long, value_name = "DIR")]
    pub save_dir: Option<PathBuf>,
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Up(args) => up::run(args),
        Command::Query(args) => query::run(*args),
        Command::Gateway(args) => serve::gateway(args),
        Command::Coordinator(args) => serve::coordinator(args),
        Command::Aggregator(args) => serve::aggregator(args),
        Command::DataAccess(args) => serve::data_access(args),
        Command::Docs(args) => docs::run(args),
        Command::Q(args) => match qhost::run(args.arguments) {
            0 => Ok(()),
            code => Err(Failure::work(format!("q ended with {code}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
