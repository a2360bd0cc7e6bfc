//! `cargo xtask pages`: the pages of `docs/` and the README are executed.
//!
//! | module | what |
//! | --- | --- |
//! | `block` | the fenced blocks of a page, and what is done with each |
//! | `commands` | commands that stand in a line of text |
//! | `session` | scratch folder, programs and mesh that blocks run in |
//! | `run` | running one block |
//! | `compare` | whether a program printed what the page shows |
//!
//! Pages name the ports that a mesh has where nothing is set. So the blocks run in a network namespace of their own:
//! this program starts itself there.

mod block;
mod commands;
mod compare;
mod run;
mod session;

use std::path::PathBuf;

use clap::Args;

use crate::error::Error;
use crate::shell::Shell;
use crate::test::{Verdict, toolbox};
use crate::tree;
use block::{Block, Kind};
use session::Session;

/// Flags of `cargo xtask pages`.
#[derive(Args)]
pub(crate) struct Options {
    /// Pages to run, as files below the root of the repository; all where none is named.
    page: Vec<String>,
    /// Run here: the process is inside the namespace, and all tools are present.
    #[arg(long, hide = true)]
    inside: bool,
}

/// Run the pages; an error where one does not hold.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    if options.inside {
        return inside(&options.page);
    }
    let outside = outside(&options.page)?;
    outside.run().map_err(|error| match error {
        Error::Failed { .. } => Error::Reported,
        other => other,
    })
}

/// As a step of the test command.
pub(crate) fn check() -> Result<Verdict, Error> {
    if !cfg!(target_os = "linux") {
        return Ok(Verdict::skipped("pages run in a network namespace, which only Linux has"));
    }
    crate::test::of_checks(&outside(&[])?, "pages")
}

/// This program in a network namespace, with what the programs of the pages need.
fn outside(pages: &[String]) -> Result<Shell, Error> {
    let clients = tree::root().join("tests/clients");
    // With the other programs this one is built anew: the file that it was started from may be gone.
    Shell::program("qmesh")?;
    let own = tree::debug("xtask");
    let mut shell = Shell::new("unshare").arg("--net");
    if !Shell::new("unshare").args(["--net", "true"]).succeeds() {
        // Not root: a user namespace gives the right to make the other.
        shell = shell.args(["--user", "--map-root-user"]);
    }
    shell = shell.arg(own).args(["pages", "--inside"]).args(pages);
    for name in ["kola", "pykx", "qpython"] {
        let python = toolbox::python(&clients.join(format!("requirements-{name}.txt")))?;
        shell = shell.env(run::variable(name), python);
    }
    let modules = toolbox::node(&clients.join("package.json"))?.join("node_modules");
    shell = shell.env("NODE_PATH", modules);
    shell = shell.env(run::variable("java"), toolbox::maven("com.kx:javakdb:2.0")?);
    Ok(shell.env(run::variable("rust"), toolbox::kdb_codec(&["--example", "page"])?.join("examples/page")))
}

fn inside(pages: &[String]) -> Result<(), Error> {
    Shell::new("ip").args(["link", "set", "lo", "up"]).run()?;
    let pages = if pages.is_empty() { all()? } else { pages.to_vec() };
    let mut blocks: Vec<Block> = Vec::new();
    let mut failed = 0;
    for page in &pages {
        let path = tree::root().join(page);
        let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
        match block::read(page, &text) {
            Ok(found) => blocks.extend(found),
            Err(unread) => {
                println!("FAIL {unread}");
                failed += 1;
            }
        }
        for (line, command) in commands::inline(&text) {
            blocks.push(Block { page: page.clone(), line, kind: Kind::Parse, text: command });
        }
    }
    let mut session = Session::new()?;
    run::prepare(&session, &blocks)?;
    // What needs a mesh of the same kind comes together; what starts its own comes last.
    blocks.sort_by_key(|block| run::turn(&block.kind));
    for block in &blocks {
        let place = format!("{}:{} {}", block.page, block.line, run::name(&block.kind));
        match run::block(&mut session, block)? {
            None => println!("ok {place}"),
            Some(why) => {
                println!("FAIL {place}: {}", why.trim_end());
                failed += 1;
            }
        }
    }
    session.stop()?;
    println!("{} blocks and commands of {} pages, {failed} failed", blocks.len(), pages.len());
    if failed > 0 { Err(Error::Reported) } else { Ok(()) }
}

/// README and the pages of `docs/`, by name.
fn all() -> Result<Vec<String>, Error> {
    let docs = tree::root().join("docs");
    let mut pages = vec!["README.md".to_string()];
    let mut names: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&docs).map_err(Error::file(&docs))? {
        names.push(entry.map_err(Error::file(&docs))?.path());
    }
    names.sort();
    let markdown = names.iter().filter(|path| path.extension().is_some_and(|e| e == "md"));
    pages.extend(markdown.filter_map(|path| Some(format!("docs/{}", path.file_name()?.to_str()?))));
    Ok(pages)
}
