//! `corpus DIR`: loads each q file of a checkout in a fresh interpreter and says which do not load.

use std::{path::PathBuf, process::ExitCode, thread, time::Duration};

use clap::Parser;
use qcheck::{
    corpus,
    interpreter::{self, Interpreter},
    world,
};
use qlang::Kind;

/// Loads each q file of a checkout in a fresh interpreter.
#[derive(Parser)]
struct Options {
    /// the checkout
    dir: PathBuf,
    /// seconds that a file may take
    #[arg(long, default_value_t = 10)]
    limit: u64,
    /// load this one file here
    #[arg(long, hide = true)]
    child: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.child {
        return load(options);
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("corpus: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The child: one file; its first error on standard output.
fn load(options: Options) -> ExitCode {
    let work = move || {
        let mut interpreter = Interpreter::new(world::open(), Duration::from_secs(options.limit));
        match interpreter.load(&options.dir.to_string_lossy()) {
            Ok(()) => true,
            Err((error, _)) if error.kind() == Kind::Exit(0) => true,
            Err((_, shown)) => {
                println!("{shown}");
                false
            }
        }
    };
    match thread::Builder::new().stack_size(interpreter::STACK).spawn(work).map(|t| t.join()) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn run(options: &Options) -> Result<(), String> {
    let root = options.dir.canonicalize().map_err(|e| format!("{}: {e}", options.dir.display()))?;
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let files = corpus::files(&root)?;
    let mut loaded = 0;
    for file in &files {
        let outcome = corpus::load(&program, &root, file, Duration::from_secs(options.limit));
        match outcome.error {
            None => loaded += 1,
            Some(error) => {
                println!("{}", outcome.file.display());
                error.lines().take(6).for_each(|line| println!("    {line}"));
            }
        }
    }
    println!("{loaded} of {} load", files.len());
    Ok(())
}
