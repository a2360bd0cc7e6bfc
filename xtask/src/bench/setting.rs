//! What sides need: the release build, a running mesh of it, the Python with the baselines.

use std::path::PathBuf;

use testkit::{Mesh, Up};

use crate::error::Error;
use crate::shell::Shell;
use crate::test::toolbox;
use crate::tree;

/// The bundled database.
pub(super) fn data() -> PathBuf {
    tree::root().join("tests/data/kdb-hdb")
}

/// A mesh of the release build on the bundled database; `more` adds flags.
pub(super) fn mesh(more: impl FnOnce(Up) -> Up) -> Result<Mesh, Error> {
    Shell::cargo().args(["build", "--quiet", "--release", "--package", "qmesh"]).run()?;
    let qmesh = tree::target().join("release").join(format!("qmesh{}", std::env::consts::EXE_SUFFIX));
    Ok(more(Up::new(qmesh).db(data(), "")).start()?)
}

/// The script `tests/bench/NAME.py`, run by the Python that has the baselines.
pub(super) fn python(name: &str) -> Result<Shell, Error> {
    let dir = tree::root().join("tests/bench");
    let python = toolbox::python(&dir.join("requirements-bench.txt"))?;
    Ok(Shell::new(python).arg(dir.join(format!("{name}.py"))).env("PYTHONDONTWRITEBYTECODE", "1"))
}
