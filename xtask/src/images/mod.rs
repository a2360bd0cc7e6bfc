//! `cargo xtask images`: an OCI archive for every process, with no container engine.
//!
//! | image | entrypoint | layers |
//! | --- | --- | --- |
//! | `qmesh-gw`, `qmesh-rc`, `qmesh-agg`, `qmesh-da` | `qmesh gateway`, `coordinator`, `aggregator`, `data-access` | data plane |
//! | `qmesh-da-sample` | `qmesh data-access` | data plane, the sample database at `/sample/hdb` |
//! | `qmesh-operator` | `qmesh-operator` | operator |
//! | `pause` (tests only) | `/pause` | pause |
//!
//! A layer holds one stripped program and the shared libraries it names. Nothing in it depends on when or where it
//! was written, so the same programs give the same digests.

mod layer;
mod oci;
mod tar;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::dist;
use crate::error::Error;
use crate::shell::Shell;
use crate::tree;
use layer::Layer;
use oci::Image;

/// Flags of `cargo xtask images`.
#[derive(Args, Clone)]
pub(crate) struct Options {
    /// Where the archives go; default: images in the target directory.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What image names begin with.
    #[arg(long, default_value = "qmesh.test")]
    pub(crate) repository: String,
    /// Tag of every image.
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    pub(crate) tag: String,
    /// Cargo profile of the programs.
    #[arg(long, default_value = "release")]
    pub(crate) profile: String,
    /// Build nothing: take the programs as they are in the target directory.
    #[arg(long)]
    pub(crate) built: bool,
    /// Only these images (repeatable), by the name before the tag.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Vec<String>,
}

impl Options {
    /// All images, tagged with the version, in the default folder.
    pub(crate) fn all(repository: &str, profile: &str, built: bool) -> Options {
        Options {
            out: None,
            repository: repository.into(),
            tag: env!("CARGO_PKG_VERSION").into(),
            profile: profile.into(),
            built,
            image: Vec::new(),
        }
    }
}

/// The largest operator image that is accepted.
const OPERATOR_LIMIT: u64 = 25 << 20;

struct Recipe {
    name: &'static str,
    program: &'static str,
    args: &'static [&'static str],
    sample: bool,
    description: &'static str,
}

const fn recipe(name: &'static str, args: &'static [&'static str], description: &'static str) -> Recipe {
    Recipe { name, program: "qmesh", args, sample: false, description }
}

const RECIPES: [Recipe; 6] = [
    recipe("qmesh-gw", &["gateway"], "the address clients use: QIPC and HTTP"),
    recipe("qmesh-rc", &["coordinator"], "plans, queues and dispatches requests"),
    recipe("qmesh-agg", &["aggregator"], "joins the partial answers of a request"),
    recipe("qmesh-da", &["data-access"], "holds a slice of data"),
    Recipe {
        sample: true,
        ..recipe("qmesh-da-sample", &["data-access"], "data access with a sample database at /sample/hdb")
    },
    Recipe {
        program: "qmesh-operator",
        ..recipe("qmesh-operator", &[], "makes gateways out of ServiceGateway resources")
    },
];

/// Write the chosen images.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    write(options)?.iter().for_each(Written::show);
    Ok(())
}

/// An archive that was written.
pub(crate) struct Written {
    /// Its file.
    pub(crate) archive: PathBuf,
    /// `repository/name:tag`.
    pub(crate) name: String,
    /// Digest of its manifest.
    pub(crate) digest: String,
    /// Bytes of its layers.
    pub(crate) size: u64,
}

impl Written {
    /// Name, digest and size, as a line.
    pub(crate) fn show(&self) {
        println!("{}  {}  {:.1} MiB", self.name, self.digest, self.size as f64 / f64::from(1 << 20));
    }
}

/// Build the programs and write the chosen images.
pub(crate) fn write(options: &Options) -> Result<Vec<Written>, Error> {
    let out = options.out.clone().unwrap_or_else(|| tree::target().join("images"));
    let scratch = out.join("scratch");
    fs::create_dir_all(&scratch).map_err(Error::file(&scratch))?;
    let chosen =
        |recipe: &&Recipe| options.image.is_empty() || options.image.iter().any(|i| i == recipe.name);
    let recipes: Vec<&Recipe> = RECIPES.iter().filter(chosen).collect();
    if !options.built {
        dist::build(&options.profile)?;
    }
    let mut layers: Vec<(&str, Vec<u8>)> = Vec::new();
    for program in ["qmesh", "qmesh-operator"] {
        if recipes.iter().any(|recipe| recipe.program == program) {
            layers.push((program, program_layer(program, options, &scratch)?));
        }
    }
    let sample = sample_layer()?;
    let mut written = Vec::new();
    for recipe in recipes {
        let program = layers.iter().find(|(name, _)| *name == recipe.program);
        let mut parts: Vec<&[u8]> = program.iter().map(|(_, layer)| layer.as_slice()).collect();
        if recipe.sample {
            parts.push(&sample);
        }
        let mut entrypoint = vec![format!("/usr/local/bin/{}", recipe.program)];
        entrypoint.extend(recipe.args.iter().map(|arg| (*arg).to_string()));
        let name = format!("{}/{}:{}", options.repository, recipe.name, options.tag);
        let image = Image { name, entrypoint, description: recipe.description, layers: parts };
        written.push(archive(&image, &out.join(format!("{}.tar", recipe.name)))?);
    }
    fs::remove_dir_all(&scratch).map_err(Error::file(&scratch))?;
    let operator = written.iter().find(|image| image.archive.ends_with("qmesh-operator.tar"));
    match operator {
        Some(image) if image.size > OPERATOR_LIMIT && options.profile != "dev" => Err(Error::Other(format!(
            "{} has {} bytes of layers, more than the {OPERATOR_LIMIT} it may have",
            image.name, image.size
        ))),
        _ => Ok(written),
    }
}

/// Build the operator's image as it is published; bytes of its layers.
pub(crate) fn operator() -> Result<u64, Error> {
    let all = Options::all("qmesh.test", dist::PROFILE, false);
    let written = write(&Options { image: vec!["qmesh-operator".into()], ..all })?;
    Ok(written.iter().map(|image| image.size).sum())
}

/// The image that holds a pod's network in test clusters, under the name that their containerd asks for.
pub(crate) fn write_pause(dir: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(dir).map_err(Error::file(dir))?;
    let built = dir.join("pause.built");
    let source = tree::root().join("tests/cluster/pause.c");
    Shell::new("cc").args(["-Os", "-static", "-s", "-o"]).arg(&built).arg(source).run()?;
    let mut layer = Layer::default();
    layer.add("pause", 0o755, fs::read(&built).map_err(Error::file(&built))?);
    fs::remove_file(&built).map_err(Error::file(&built))?;
    let tar = layer.to_tar().map_err(Error::file(dir))?;
    let image = Image {
        name: "qmesh.test/pause:1".into(),
        entrypoint: vec!["/pause".into()],
        description: "holds the network of a pod",
        layers: vec![&tar],
    };
    Ok(archive(&image, &dir.join("pause.tar"))?.archive)
}

fn archive(image: &Image<'_>, to: &Path) -> Result<Written, Error> {
    let digest = oci::write(image, to)?;
    let size = image.layers.iter().map(|layer| layer.len() as u64).sum();
    Ok(Written { archive: to.to_path_buf(), name: image.name.clone(), digest, size })
}

fn program_layer(program: &str, options: &Options, scratch: &Path) -> Result<Vec<u8>, Error> {
    // The one profile whose directory has another name.
    let dir = if options.profile == "dev" { "debug" } else { &options.profile };
    let mut layer = Layer::base();
    layer.program(&tree::target().join(dir).join(program), program, scratch)?;
    layer.to_tar().map_err(Error::file(scratch))
}

fn sample_layer() -> Result<Vec<u8>, Error> {
    let data = tree::root().join("tests/data/kdb-hdb");
    let mut layer = Layer::default();
    layer.tree(&data, "sample/hdb")?;
    layer.to_tar().map_err(Error::file(data))
}
