//! What clients and fuzzers need beside cargo: Python environments, node modules, tools from the registry.
//!
//! Each is made once under the cache, in a directory named by its pinned requirements, and used by every later run of
//! any clone. A mark is written on completion, so that an interrupted build starts again.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::shell::Shell;
use crate::tree;

const MARK: &str = ".complete";
/// Version of the fuzzing front end, from the registry of crates.
const CARGO_FUZZ: &str = "0.13.2";
/// Interpreters to try. qPython needs numpy below 1.24, of which there are wheels up to Python 3.11.
const PYTHONS: [&str; 5] = ["python3.11", "python3", "python3.10", "python3.9", "python3.8"];

/// The Python of an environment that holds exactly what `requirements` pins.
pub(crate) fn python(requirements: &Path) -> Result<PathBuf, Error> {
    let base = base_python()?;
    let version = Shell::new(&base).args(["-c", "import sys; print(sys.version)"]).output()?;
    let pins = std::fs::read(requirements).map_err(Error::file(requirements))?;
    let stem = requirements.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = format!("{stem}-{}", tree::fingerprint(&[&pins, version.as_bytes()]));
    let dir = once(&name, |dir| {
        Shell::new(&base).args(["-m", "venv"]).arg(dir).run()?;
        let pip = Shell::new(dir.join("bin/python")).args(["-m", "pip", "install", "--quiet"]);
        pip.args(["--disable-pip-version-check", "--requirement"]).arg(requirements).run()
    })?;
    Ok(dir.join("bin/python"))
}

/// A directory with `node_modules` as `package.json` and its lock pin them.
pub(crate) fn node(package: &Path) -> Result<PathBuf, Error> {
    let lock = package.with_file_name("package-lock.json");
    let pins = std::fs::read(package).map_err(Error::file(package))?;
    let locked = std::fs::read(&lock).map_err(Error::file(&lock))?;
    once(&format!("node-{}", tree::fingerprint(&[&pins, &locked])), |dir| {
        for (name, text) in [("package.json", &pins), ("package-lock.json", &locked)] {
            let path = dir.join(name);
            std::fs::write(&path, text).map_err(Error::file(path))?;
        }
        Shell::new("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).dir(dir).run()
    })
}

/// `cargo-fuzz`, installed from the registry.
pub(super) fn cargo_fuzz() -> Result<PathBuf, Error> {
    let dir = once(&format!("cargo-fuzz-{CARGO_FUZZ}"), |dir| {
        let install =
            Shell::cargo().args(["install", "--quiet", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ]);
        install.arg("--root").arg(dir).run()
    })?;
    Ok(dir.join("bin/cargo-fuzz"))
}

/// The folder with the programs of the client kdb_codec; `more` chooses other targets than its script.
pub(crate) fn kdb_codec(more: &[&str]) -> Result<PathBuf, Error> {
    // Its own workspace and its own target directory: no dependency of it can reach qmesh's.
    let target = tree::target().join("clients");
    let build = Shell::cargo().args(["build", "--quiet", "--locked"]).args(more);
    build.dir(tree::root().join("tests/clients/kdb_codec")).env("CARGO_TARGET_DIR", &target).run()?;
    Ok(target.join("debug"))
}

/// The library of a Maven artifact, `group:artifact:version`.
pub(crate) fn maven(artifact: &str) -> Result<PathBuf, Error> {
    let dir = once(&artifact.replace(':', "-"), |dir| {
        let copy = Shell::new("mvn").args(["--batch-mode", "--quiet", "dependency:copy"]);
        let copy = copy.arg(format!("-Dartifact={artifact}")).dir(dir);
        copy.arg(format!("-DoutputDirectory={}", dir.display())).run()
    })?;
    let mut files = std::fs::read_dir(&dir).map_err(Error::file(&dir))?.filter_map(Result::ok);
    let jar = files.find(|file| file.path().extension().is_some_and(|extension| extension == "jar"));
    jar.map(|file| file.path()).ok_or_else(|| Error::Other(format!("{} has no library", dir.display())))
}

/// The interpreter that environments are made with.
pub(crate) fn base_python() -> Result<PathBuf, Error> {
    let right = "import sys, venv, ensurepip; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 11))";
    let found = PYTHONS.iter().find(|name| Shell::new(name).args(["-c", right]).succeeds());
    found.map(PathBuf::from).ok_or_else(|| {
        Error::Other(format!(
            "none of {} is a Python 3.8 to 3.11 with venv; install python3 and python3-venv",
            PYTHONS.join(", ")
        ))
    })
}

/// The directory `name` of the cache, made by `make` unless an earlier run completed it.
fn once(name: &str, make: impl FnOnce(&Path) -> Result<(), Error>) -> Result<PathBuf, Error> {
    let dir = tree::cache().join(name);
    let mark = dir.join(MARK);
    if mark.is_file() {
        return Ok(dir);
    }
    println!("making {name} (kept for later runs)");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(Error::file(&dir))?;
    }
    std::fs::create_dir_all(&dir).map_err(Error::file(&dir))?;
    make(&dir)?;
    std::fs::write(&mark, b"").map_err(Error::file(mark))?;
    Ok(dir)
}
