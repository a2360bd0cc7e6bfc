//! Running one block: prerequisites, and comparison with the page.

use std::time::Duration;

use super::block::{self, Block, Kind, Language};
use super::compare::difference;
use super::session::{Ran, Running, Session};
use crate::error::Error;
use crate::tree;

/// The variable that names a program or library that a language needs.
pub(super) fn variable(name: &str) -> String {
    format!("PAGES_{}", name.to_uppercase())
}

fn needed(name: &str) -> Result<String, Error> {
    let variable = variable(name);
    std::env::var(&variable)
        .map_err(|_| Error::Other(format!("{variable} is not set: start `cargo xtask pages`")))
}

/// The order of the kinds.
pub(super) fn turn(kind: &Kind) -> u8 {
    match kind {
        Kind::Picture | Kind::Log | Kind::Cluster | Kind::Parse => 0,
        Kind::Console { live: false, .. } | Kind::Script | Kind::GetData | Kind::Resource | Kind::Labels => 1,
        Kind::Program(Language::QOfRdb) => 4,
        Kind::Program(_) => 2,
        Kind::Console { live: true, .. } => 3,
        Kind::Up | Kind::Processes | Kind::Assembly => 4,
    }
}

/// The word for a line of the report.
pub(super) fn name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Console { .. } => "commands and what they print",
        Kind::Script => "script",
        Kind::Parse => "flags of commands",
        Kind::Up => "programs that get ready",
        Kind::Processes => "processes of a mesh",
        Kind::Cluster => "commands that the end-to-end tests run",
        Kind::GetData => "getData request and its answer",
        Kind::Program(_) => "program against the mesh",
        Kind::Assembly => "assembly file",
        Kind::Labels => "labels of a pod",
        Kind::Resource => "resource",
        Kind::Log => "lines of a log",
        Kind::Picture => "picture",
    }
}

/// Files that a page names before it shows them.
pub(super) fn prepare(session: &Session, blocks: &[Block]) -> Result<(), Error> {
    for block in blocks.iter().filter(|block| block.kind == Kind::Assembly) {
        session.write(&format!("{}.yaml", assembly_name(&block.text)), &block.text)?;
    }
    Ok(())
}

/// Run it; what is wrong, or nothing.
pub(super) fn block(session: &mut Session, block: &Block) -> Result<Option<String>, Error> {
    match block.kind {
        Kind::Console { like, live } => {
            session.mesh(live)?;
            for (command, shown) in block::commands(&block.text) {
                let ran = session.shell(&command)?;
                if let Some(why) = failed(&ran).or_else(|| difference(&shown, &ran.out, like)) {
                    return Ok(Some(format!("`{command}`: {why}")));
                }
            }
            Ok(None)
        }
        Kind::Script => {
            session.mesh(false)?;
            Ok(failed(&session.shell(&block.text)?))
        }
        Kind::GetData => get_data(session, &block.text),
        Kind::Program(Language::QOfRdb) => rdb(session, block),
        Kind::Program(language) => {
            session.mesh(false)?;
            program(session, language, &block.text)
        }
        Kind::Parse => parse(session, &block.text),
        Kind::Up => ups(session, &block.text),
        Kind::Processes => {
            session.stop()?;
            let mut running = session.start(&format!("{}\nwait", block.text))?;
            let ready = running.wait_for("/readyz");
            let asked = session.shell("qmesh query .kxi.getMeta");
            Ok(match (ready, asked?) {
                (Err(error), _) => Some(error.to_string()),
                (Ok(()), ran) => failed(&ran),
            })
        }
        Kind::Assembly => {
            session.stop()?;
            let started = data_access(session, assembly_name(&block.text));
            Ok(started.err().map(|error| error.to_string()))
        }
        Kind::Resource => resource(session, &block.text),
        Kind::Labels => labels(session, &block.text),
        Kind::Log => log(&block.text),
        Kind::Cluster => cluster(block),
        Kind::Picture => Ok(block.text.trim().is_empty().then(|| "an empty block".into())),
    }
}

/// The name that an assembly file gives itself: on the pages its file is called so.
fn assembly_name(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("name: ")).unwrap_or("assembly")
}

/// A data process of memory with an assembly file, on the port 5080.
fn data_access(session: &Session, assembly: &str) -> Result<Running, Error> {
    let line = format!(
        "KXI_ASSEMBLY_FILE={assembly}.yaml KXI_PORT=5080 QMESH_HTTP_PORT=8080 KXI_SG_RC_ADDR=127.0.0.1:5050 \
         qmesh data-access"
    );
    let mut running = session.start(&line)?;
    running.wait_for("/healthz").map(|()| running)
}

/// A program against a data process with the assembly file that its page shows.
fn rdb(session: &mut Session, block: &Block) -> Result<Option<String>, Error> {
    session.stop()?;
    let page = tree::root().join(&block.page);
    let page = std::fs::read_to_string(&page).map_err(Error::file(&page))?;
    let assembly = page.split("```yaml assembly\n").nth(1).map_or("assembly", assembly_name);
    match data_access(session, assembly) {
        Ok(_running) => program(session, Language::Q, &block.text),
        Err(error) => Ok(Some(error.to_string())),
    }
}

/// Labels of a page are the ones by which a resource called `prod` finds data processes where it says nothing else.
fn labels(session: &Session, text: &str) -> Result<Option<String>, Error> {
    let minimal = tree::root().join("manifests/examples/minimal.yaml");
    let minimal = std::fs::read_to_string(&minimal).map_err(Error::file(&minimal))?;
    let file =
        session.write("labels.yaml", &minimal.replace("name: first", "name: prod"))?.display().to_string();
    let ran = session.program("kubectl-qmesh", &["render", "-f", &file], &[])?;
    let pairs = text.lines().skip(1).filter_map(|line| line.split('#').next()?.trim().split_once(": "));
    let selector = pairs.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    let found = !selector.is_empty() && ran.out.contains(&selector);
    Ok(failed(&ran).or_else(|| (!found).then(|| format!("no selector is `{selector}`"))))
}

fn failed(ran: &Ran) -> Option<String> {
    (!ran.success).then(|| format!("it failed: {}{}", ran.out, ran.err))
}

fn get_data(session: &mut Session, text: &str) -> Result<Option<String>, Error> {
    session.mesh(false)?;
    let Some((request, shown)) = text.split_once("\n\n") else {
        return Ok(Some("expected a request, an empty line and a table".into()));
    };
    let ran = session.program("qmesh", &["query", ".kxi.getData", &request.replace('\n', " ")], &[])?;
    Ok(failed(&ran).or_else(|| difference(shown, &ran.out, false)))
}

fn program(session: &Session, language: Language, text: &str) -> Result<Option<String>, Error> {
    let own = |name: &str| session.write(name, text).map(|path| path.display().to_string());
    let ran = match language {
        Language::Q | Language::QOfRdb => {
            let ran = session.program("qmesh", &["q", &own("page.q")?], &[])?;
            // An error within a script at a terminal is a line of stderr.
            return Ok(failed(&ran).or_else(|| (!ran.err.is_empty()).then_some(ran.err)));
        }
        Language::Python => {
            let named = ["kola", "pykx", "qpython"].into_iter().find(|name| text.contains(name));
            let Some(client) = named else { return Ok(Some("it imports no client that is known".into())) };
            session.program(&needed(client)?, &[&own("page.py")?], &[])?
        }
        Language::JavaScript => session.program("node", &["--no-deprecation", &own("page.js")?], &[])?,
        Language::Java => {
            let class = text.split("public class ").nth(1).and_then(|rest| rest.split_whitespace().next());
            let file = own(&format!("{}.java", class.unwrap_or("Page")))?;
            session.program("java", &["-cp", &needed("java")?, &file], &[])?
        }
        Language::Rust => {
            let path = tree::root().join("tests/clients/kdb_codec/examples/page.rs");
            let compiled = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
            if compiled.split_once("\n\n").map(|(_, program)| program) != Some(text) {
                return Ok(Some(format!("{} holds another text", path.display())));
            }
            session.program(&needed("rust")?, &[], &[])?
        }
    };
    Ok(failed(&ran))
}

/// Commands whose flags are read: `--help` after them shows it.
fn parse(session: &Session, text: &str) -> Result<Option<String>, Error> {
    for line in block::lines(text) {
        if let Some(rest) = line.strip_prefix("apt-get install ") {
            let ci = tree::root().join(".ci/run");
            let ci = std::fs::read_to_string(&ci).map_err(Error::file(&ci))?;
            let unknown =
                rest.split_whitespace().filter(|word| !word.starts_with('-')).find(|p| !ci.contains(p));
            if let Some(package) = unknown {
                return Ok(Some(format!("`{line}`: .ci/run installs no {package}")));
            }
            continue;
        }
        let line = line.replace("kubectl qmesh ", "kubectl-qmesh ");
        // A chore gets its --help from the name `cargo` of the session.
        let help = if line.contains("cargo xtask") { "" } else { " --help" };
        let ran = session.shell(&format!("{}{help}", line.trim_end_matches('&')))?;
        if let Some(why) = failed(&ran) {
            return Ok(Some(format!("`{line}`: {why}")));
        }
    }
    Ok(None)
}

fn ups(session: &mut Session, text: &str) -> Result<Option<String>, Error> {
    session.stop()?;
    for line in block::lines(text) {
        // A data process alone waits for a coordinator: it lives, and is not ready.
        let path = if line.contains(" up") { "/readyz" } else { "/healthz" };
        let set = if line.contains(" up") { "" } else { "export QMESH_HTTP_PORT=8080; " };
        let mut running = session.start(&format!("{set}{line}"))?;
        let outcome = running.wait_for(path).and_then(|()| running.end());
        if let Err(error) = outcome {
            return Ok(Some(format!("`{line}`: {error}")));
        }
        // The port is free once the group has ended.
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(None)
}

/// A part of a ServiceGateway, put where it belongs, is taken by the plugin.
fn resource(session: &Session, text: &str) -> Result<Option<String>, Error> {
    let whole = if text.starts_with("apiVersion:") {
        text.to_string()
    } else {
        let minimal = tree::root().join("manifests/examples/minimal.yaml");
        let minimal = std::fs::read_to_string(&minimal).map_err(Error::file(&minimal))?;
        let head: Vec<&str> = minimal.lines().take_while(|line| !line.starts_with("spec:")).collect();
        format!("{}\n{text}", head.join("\n"))
    };
    let file = session.write("resource.yaml", &whole)?.display().to_string();
    Ok(failed(&session.program("kubectl-qmesh", &["render", "-f", &file], &[])?))
}

/// Each line's words, between the module and the first field, are in the sources.
fn log(text: &str) -> Result<Option<String>, Error> {
    let sources = sources()?;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let said = line.split_once(": ").map_or(line, |(_, said)| said);
        let words: Vec<&str> = said
            .split_whitespace()
            .take_while(|word| !word.contains('=') && !word.starts_with('('))
            .collect();
        let words = words.join(" ");
        if words.is_empty() || !sources.contains(&words) {
            return Ok(Some(format!("no source says `{words}`")));
        }
    }
    Ok(None)
}

/// The text of all sources.
fn sources() -> Result<String, Error> {
    let mut text = String::new();
    let mut folders = vec![tree::root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(Error::file(&folder))? {
            let path = entry.map_err(Error::file(&folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(&path).map_err(Error::file(&path))?);
            }
        }
    }
    Ok(text)
}

/// The end-to-end tests run the pages with such blocks, by name.
fn cluster(block: &Block) -> Result<Option<String>, Error> {
    let tests = tree::root().join("crates/e2e/src/tests/pages.rs");
    let text = std::fs::read_to_string(&tests).map_err(Error::file(&tests))?;
    Ok((!text.contains(&block.page)).then(|| format!("{} does not run {}", tests.display(), block.page)))
}
