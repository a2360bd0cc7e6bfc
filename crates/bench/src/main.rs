//! Sides of the benches that `cargo xtask bench` lets take turns: each subcommand is one.
//!
//! | module | what |
//! | --- | --- |
//! | `worker` | the protocol with `cargo xtask bench`: one line of numbers per turn |
//! | `codec` | our codec, and a copy of the same bytes |
//! | `chain` | plain TCP tasks with a mesh's hops and bytes |
//! | `ask` | the requests, and a connection that sends them |
//! | `load` | latency, rate, large answers, of a mesh or of a chain |
//! | `open` | requests on a beat, whatever becomes of the mesh |
//! | `memory` | what another process holds while it works |
//! | `routing` | the queueing model of the routing core |
//! | `q` | sides of the q interpreter |
//! | `trade` | made-up trades, as a table and as databases |
#![forbid(unsafe_code)]

mod ask;
mod chain;
mod codec;
mod error;
mod load;
mod memory;
mod open;
mod q;
mod routing;
mod trade;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::error::Error;

/// The allocator of the program `qmesh`: a codec is as fast as the memory it gets.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sides of the benches.
#[derive(Parser)]
#[command(name = "bench")]
enum Command {
    /// Write the messages of the codec sides into a folder
    CodecFiles { dir: PathBuf },
    /// Our codec
    Codec { dir: PathBuf },
    /// A copy of the bytes
    Copy { dir: PathBuf },
    /// Write databases of made-up trades below a folder and print their folders
    Days {
        /// Where
        dir: PathBuf,
        /// How many days
        #[arg(long)]
        days: usize,
        /// Rows of each day
        #[arg(long)]
        rows: usize,
        /// Compress the columns
        #[arg(long)]
        compressed: bool,
        /// One database of all days; otherwise one a day
        #[arg(long)]
        together: bool,
    },
    /// Plain TCP tasks with a mesh's hops and bytes
    Chain(chain::Sizes),
    /// Ask a mesh, or a chain
    Load(load::Options),
    /// Ask on a beat, whether earlier requests have been answered or not
    Open(open::Options),
    /// Print the anonymous memory of a process in MiB
    Memory { process: u32 },
    /// Play the queueing model of the routing core and print its rows, one a line
    Routing {
        /// Requests of each setup
        #[arg(long, default_value_t = 50_000)]
        requests: usize,
        /// Seeds of each; the worst counts. The core was tuned on the first
        #[arg(long, default_value_t = 5)]
        seeds: u64,
    },
    /// Write the columns that the sides of the q benches read
    QTable { dir: PathBuf },
    /// Queries over 10 million rows in the q interpreter
    QQueries {
        /// The folder of the columns
        dir: PathBuf,
        /// Threads; 0 for as many as there are processors
        #[arg(long, default_value_t = 1)]
        threads: usize,
        /// One query, by its number
        #[arg(long)]
        only: Option<String>,
    },
    /// Primitives over long vectors in the q interpreter
    QVectors { dir: PathBuf },
    /// The bytes of those vectors, copied
    QCopy,
    /// Loops of scalar code in the q interpreter
    QScalar,
    /// A program that starts and ends
    Start {
        /// The program
        program: PathBuf,
        /// What it is given
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::CodecFiles { dir } => codec::write(&dir),
        Command::Codec { dir } => codec::ours(&dir),
        Command::Copy { dir } => codec::copy(&dir),
        Command::Days { dir, days, rows, compressed, together } => {
            let shape = trade::Shape { days, rows_per_day: rows, compressed, apart: !together };
            trade::write(&dir, shape)?
                .iter()
                .try_for_each(|folder| worker::say(&folder.display().to_string()))
        }
        Command::Chain(sizes) => {
            if sizes.answer < 2 * sizes.sources.max(1) * chain::MARK || sizes.request < chain::MARK {
                return Err(Error::Other(format!("{sizes:?}: a message is longer than its mark of 8 bytes")));
            }
            let runtime = tokio::runtime::Runtime::new().map_err(Error::io("starting the runtime"))?;
            // Where nobody reads the port nobody connects either.
            let ready = |port: u16| drop(worker::say(&port.to_string()));
            // The chain must not outlive whoever started it, who may be killed: then the input ends.
            let (gone, left) = tokio::sync::oneshot::channel::<()>();
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                drop(gone);
            });
            runtime.block_on(async {
                tokio::select! {
                    ended = chain::run(sizes, ready) => ended.map_err(Error::io("the chain")),
                    _ = left => Ok(()),
                }
            })
        }
        Command::Load(options) => load::run(&options),
        Command::Open(options) => open::run(&options),
        Command::Routing { requests, seeds } => routing::run(requests, seeds),
        Command::QTable { dir } => q::data::write(&dir),
        Command::QQueries { dir, threads, only } => q::queries::serve(&dir, threads, only.as_deref()),
        Command::QVectors { dir } => q::vectors::serve(&dir),
        Command::QCopy => q::vectors::copy(),
        Command::QScalar => q::scalar::serve(),
        Command::Start { program, args } => q::start::serve(&program, &args),
        Command::Memory { process } => worker::say(&memory::anonymous(process)?.to_string()),
    }
}
