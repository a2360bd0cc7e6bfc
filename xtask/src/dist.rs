//! `cargo xtask dist`: the programs as they are published, optimised over all crates.
//!
//! The `release` build is made for a first look and for tests: it is ready in a fraction of the time. Measured and
//! deployed programs are built this way.

use clap::Args;

use crate::error::Error;
use crate::shell::Shell;
use crate::tree;

/// The cargo profile of what is published.
pub(crate) const PROFILE: &str = "dist";
/// The programs and their packages.
const PROGRAMS: [(&str, &str); 3] =
    [("qmesh", "qmesh"), ("qmesh-operator", "operator"), ("kubectl-qmesh", "kubectl-qmesh")];

/// Flags of `cargo xtask dist`.
#[derive(Args)]
pub(crate) struct Options {}

/// Build the programs; say where they are.
pub(crate) fn run(_: &Options) -> Result<(), Error> {
    build(PROFILE)?;
    for (program, _) in PROGRAMS {
        let path = tree::target().join(PROFILE).join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
        let size = std::fs::metadata(&path).map_err(Error::file(&path))?.len();
        println!("{}  {:.1} MiB", path.display(), size as f64 / f64::from(1 << 20));
    }
    Ok(())
}

/// Build the programs in one run of cargo: it chooses the features of a dependency for all that it builds in one run,
/// so that each dependency is compiled once.
pub(crate) fn build(profile: &str) -> Result<(), Error> {
    let packages = PROGRAMS.iter().flat_map(|(_, package)| ["--package", package]);
    Shell::cargo().arg("build").args(packages).args(["--bins", "--profile", profile]).run()
}
