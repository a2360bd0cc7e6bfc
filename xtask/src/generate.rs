//! Files of the tree that are made from code. The test command fails where one differs from the code.

use std::path::PathBuf;

use clap::Args;

use crate::error::Error;
use crate::shell::Shell;
use crate::test::Verdict;
use crate::tree;

/// Flags of `cargo xtask generate`.
#[derive(Args)]
pub(crate) struct Options {
    /// Write nothing: fail where a file differs from what the code makes.
    #[arg(long)]
    check: bool,
}

/// One generated file.
struct Output {
    /// Path below the root of the repository.
    path: &'static str,
    /// The program that prints it.
    program: &'static str,
    /// Arguments with which it does.
    args: &'static [&'static str],
}

impl Output {
    const fn qmesh(path: &'static str, args: &'static [&'static str]) -> Output {
        Output { path, program: "qmesh", args }
    }

    const fn operator(path: &'static str, args: &'static [&'static str]) -> Output {
        Output { path, program: "qmesh-operator", args }
    }
}

const OUTPUTS: [Output; 9] = [
    Output::qmesh("docs/configuration.md", &["docs", "configuration"]),
    Output::qmesh("docs/messages.md", &["docs", "messages"]),
    Output::operator("docs/servicegateway.md", &["fields"]),
    Output::operator("crds/servicegateways.yaml", &["crd"]),
    Output::operator("manifests/install.yaml", &["manifests"]),
    Output::operator("charts/qmesh-crds/templates/servicegateways.yaml", &["crd", "--keep"]),
    Output::operator("charts/qmesh/files/rules.yaml", &["rules"]),
    Output::operator("charts/qmesh/files/lease-rules.yaml", &["lease-rules"]),
    Output::operator("charts/qmesh-crds/templates/user-roles.yaml", &["user-roles"]),
];

/// Write, or with `--check` compare, every generated file.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    OUTPUTS.iter().try_for_each(|output| if options.check { output.check() } else { output.write() })
}

/// As a step of the test command.
pub(crate) fn check() -> Result<Verdict, Error> {
    run(&Options { check: true }).map(|()| Verdict::passed())
}

impl Output {
    fn make(&self) -> Result<String, Error> {
        Shell::program(self.program)?.args(self.args).output()
    }

    fn file(&self) -> PathBuf {
        tree::root().join(self.path)
    }

    fn write(&self) -> Result<(), Error> {
        let text = self.make()?;
        std::fs::write(self.file(), text).map_err(Error::file(self.file()))?;
        println!("wrote {}", self.path);
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        let there = std::fs::read_to_string(self.file()).map_err(Error::file(self.file()))?;
        if there != self.make()? {
            return Err(Error::Stale(self.path.into()));
        }
        println!("{} is up to date", self.path);
        Ok(())
    }
}
