//! What sides need: the published build, a running mesh of it, databases, the programs and Python of the baselines.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use testkit::{Mesh, Up};

use crate::dist;
use crate::error::Error;
use crate::shell::Shell;
use crate::test::toolbox;
use crate::tree;

/// The bundled database.
pub(super) fn data() -> PathBuf {
    tree::root().join("tests/data/kdb-hdb")
}

/// A folder for what benches write; databases in it serve later runs.
pub(super) fn work() -> Result<PathBuf, Error> {
    let dir = tree::target().join("xtask/bench");
    std::fs::create_dir_all(&dir).map_err(Error::file(&dir))?;
    Ok(dir)
}

/// A program of the published build.
fn published(package: &str) -> Result<PathBuf, Error> {
    Shell::cargo().args(["build", "--quiet", "--profile", dist::PROFILE, "--package", package]).run()?;
    Ok(tree::target().join(dist::PROFILE).join(format!("{package}{}", std::env::consts::EXE_SUFFIX)))
}

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// The program under test, unchanged.
pub(super) fn measure(program: &Path) -> Result<(), Error> {
    let program = program.canonicalize().map_err(Error::file(program))?;
    // Said once, before anything is measured.
    let _ = PROGRAM.set(program);
    Ok(())
}

/// The program under test.
pub(super) fn qmesh() -> Result<PathBuf, Error> {
    if let Some(program) = PROGRAM.get() {
        return Ok(program.clone());
    }
    published("qmesh")
}

/// The program with our sides.
pub(super) fn bench() -> Result<Shell, Error> {
    Ok(Shell::new(published("bench")?))
}

/// The side of kdb_codec, of a workspace and a target directory of its own.
pub(super) fn kdb_codec() -> Result<Shell, Error> {
    let target = tree::target().join("clients");
    let build = Shell::cargo().args(["build", "--quiet", "--release", "--locked"]);
    build.dir(tree::root().join("tests/bench/kdb_codec")).env("CARGO_TARGET_DIR", &target).run()?;
    Ok(Shell::new(target.join("release").join(format!("kdb-codec-side{}", std::env::consts::EXE_SUFFIX))))
}

/// A mesh of the published build on the bundled database; `more` adds flags.
pub(super) fn mesh(more: impl FnOnce(Up) -> Up) -> Result<Mesh, Error> {
    mesh_of(&[data()], more)
}

/// A mesh of the published build on these databases; `more` adds flags.
pub(super) fn mesh_of(databases: &[PathBuf], more: impl FnOnce(Up) -> Up) -> Result<Mesh, Error> {
    let up = databases.iter().fold(Up::new(qmesh()?), |up, database| up.db(database, ""));
    Ok(more(up).start()?)
}

/// Databases of made-up trades in a folder called `name`: days, and rows of each.
pub(super) fn days(name: &str, (days, rows): (usize, usize), more: &[&str]) -> Result<Vec<PathBuf>, Error> {
    // The size is in the name: where it changes the old ones are not taken for the new.
    let folder = work()?.join(format!("{name}-{days}x{rows}"));
    let shell =
        bench()?.arg("days").arg(&folder).args(["--days", &days.to_string(), "--rows", &rows.to_string()]);
    let folders = shell.args(more).output()?;
    Ok(folders.lines().map(|line| Path::new(line).to_path_buf()).collect())
}

/// Anonymous memory of a process, MiB.
pub(super) fn memory(process: u32) -> Result<f64, Error> {
    let printed = bench()?.arg("memory").arg(process.to_string()).output()?;
    printed
        .trim()
        .parse()
        .map_err(|_| Error::Other(format!("`bench memory` printed `{printed}`, expected MiB")))
}

/// The script `tests/bench/NAME.py`, run by the Python that has the baselines.
pub(super) fn python(name: &str) -> Result<Shell, Error> {
    let dir = tree::root().join("tests/bench");
    let python = toolbox::python(&dir.join("requirements-bench.txt"))?;
    Ok(Shell::new(python).arg(dir.join(format!("{name}.py"))).env("PYTHONDONTWRITEBYTECODE", "1"))
}
