//! `cargo xtask e2e`: the end-to-end tests on a real Kubernetes, ours or one that a kubeconfig names.
//!
//! It builds what the tests need (the cluster's programs, the images, the operator) and starts the test program
//! `e2e`, whose last line is `N passed, N failed, N skipped`.

mod tools;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;

use crate::error::Error;
use crate::images;
use crate::shell::Shell;
use crate::tree;

/// Flags of `cargo xtask e2e`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only tests whose name contains this (repeatable).
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Say which tests there are.
    #[arg(long)]
    list: bool,
    /// Run against this cluster instead of one of our own.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How the images get into a cluster that --kubeconfig names: `kind` (the kind cluster of the current context),
    /// `ctr:SOCKET` (a containerd that listens here); without it they must be in a registry, see --repository.
    #[arg(long, value_name = "HOW", requires = "kubeconfig")]
    load: Option<Load>,
    /// What image names begin with, where they are in a registry already.
    #[arg(long, default_value = "qmesh.test")]
    repository: String,
    /// Cargo profile of the programs in the images.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Build no programs for the images: take them as they are in the target directory.
    #[arg(long)]
    built: bool,
    /// How long the operator must write nothing in the test of its steady state, in seconds.
    #[arg(long, default_value_t = 20)]
    quiet_seconds: u64,
    /// Tests that run at a time.
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// Run no tests: keep the cluster with its images, and say how to get in, until Enter is pressed.
    #[arg(long, conflicts_with = "kubeconfig")]
    hold: bool,
    /// Keep the cluster of a failing test until Enter is pressed.
    #[arg(long)]
    pause_on_failure: bool,
}

/// How images get into somebody's cluster.
#[derive(Clone)]
enum Load {
    /// `kind load image-archive`.
    Kind,
    /// `ctr images import`, by this socket.
    Containerd(String),
}

impl FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "kind" => Ok(Load::Kind),
            Some(("ctr", socket)) if !socket.is_empty() => Ok(Load::Containerd(socket.into())),
            _ => Err(format!("`{text}` is neither `kind` nor `ctr:SOCKET`")),
        }
    }
}

impl Load {
    fn image(&self, archive: &Path, kubeconfig: &Path) -> Result<(), Error> {
        let load = match self {
            Load::Kind => Shell::new("kind").args(["load", "image-archive"]),
            Load::Containerd(socket) => {
                Shell::new("ctr").args(["-a", socket, "-n", "k8s.io", "images", "import", "--no-unpack"])
            }
        };
        load.arg(archive).env("KUBECONFIG", kubeconfig).run()
    }
}

/// Run them; an error where one failed.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let mut tests = Shell::program("e2e")?;
    if options.list {
        return tests.arg("--list").run();
    }
    // Before the long builds: what is missing is said at once.
    if options.kubeconfig.is_none() {
        tests.clone().arg("--check-machine").run()?;
    }
    let bin = tools::ensure()?;
    let choice = images::Options::all(&options.repository, &options.profile, options.built);
    let written = images::write(&choice)?;
    let dir = tree::target().join("images");
    let pause = images::write_pause(&dir)?;
    for image in &written {
        image.show();
        tests = tests.arg("--image").arg(&image.archive);
        if let (Some(kubeconfig), Some(load)) = (&options.kubeconfig, &options.load) {
            load.image(&image.archive, kubeconfig)?;
        }
    }
    let profile = if options.profile == "dev" { "debug" } else { &options.profile };
    tests = tests.arg("--image").arg(pause).arg("--tools").arg(bin);
    tests = tests.arg("--programs").arg(tree::target().join(profile));
    tests = tests.arg("--repository").arg(&choice.repository).arg("--tag").arg(&choice.tag);
    tests = tests.arg("--quiet-seconds").arg(options.quiet_seconds.to_string());
    tests = tests.arg("--jobs").arg(options.jobs.to_string());
    for name in &options.only {
        tests = tests.arg("--only").arg(name);
    }
    if let Some(kubeconfig) = &options.kubeconfig {
        tests = tests.arg("--kubeconfig").arg(kubeconfig);
    }
    if options.hold {
        return tests.arg("--hold").talk();
    }
    if options.pause_on_failure {
        tests = tests.arg("--pause-on-failure");
    }
    // The test program has said what failed.
    tests.run().map_err(|_| Error::Reported)
}

/// The operator of this build over a thousand gateways, watched at rest for so long: one line of JSON.
pub(crate) fn measure(programs: &Path, quiet_seconds: u64) -> Result<String, Error> {
    let tests = Shell::program("e2e")?.arg("--tools").arg(tools::ensure()?).arg("--programs").arg(programs);
    tests.args(["--measure", "--quiet-seconds", &quiet_seconds.to_string()]).output()
}

/// The directory with the programs of a cluster of our own.
pub(crate) fn cluster_programs() -> Result<PathBuf, Error> {
    tools::ensure()
}
