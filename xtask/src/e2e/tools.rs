//! The programs of the test cluster, built from the Go modules pinned below `tests/cluster`.
//!
//! They are kept outside the clone, in a directory named by a fingerprint of what pins them: the first build takes
//! ten minutes, every later run finds them there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::shell::Shell;
use crate::tree;

/// The version that the programs say they are; the same as `go.mod` pins.
const KUBERNETES: &str = "v1.35.8";

/// One `go build`: in which module, what, and the file it makes.
struct Build {
    module: &'static str,
    package: &'static str,
    file: &'static str,
}

const fn build(package: &'static str, file: &'static str) -> Build {
    Build { module: "", package, file }
}

const BUILDS: [Build; 11] = [
    build("go.etcd.io/etcd/server/v3", "etcd"),
    build("k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver"),
    build("k8s.io/kubernetes/cmd/kubectl", "kubectl"),
    build("k8s.io/kubernetes/cmd/kube-controller-manager", "kube-controller-manager"),
    build("k8s.io/kubernetes/cmd/kube-scheduler", "kube-scheduler"),
    build("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
    build("k8s.io/kubernetes/cmd/kube-proxy", "kube-proxy"),
    build("./coredns", "coredns"),
    build("helm.sh/helm/v4/cmd/helm", "helm"),
    Build { module: "kwok", package: "sigs.k8s.io/kwok/cmd/kwok", file: "kwok" },
    Build {
        module: "kube-router",
        package: "github.com/cloudnativelabs/kube-router/cmd/kube-router",
        file: "kube-router",
    },
];

/// kwok's own descriptions of what nodes and pods do.
const STAGES: [&str; 5] = [
    "kustomize/stage/node/fast/node-initialize.yaml",
    "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "kustomize/stage/pod/fast/pod-ready.yaml",
    "kustomize/stage/pod/fast/pod-complete.yaml",
    "kustomize/stage/pod/fast/pod-delete.yaml",
];

/// Name of the file with kwok's stages, beside the programs.
const STAGES_FILE: &str = "kwok-stages.yaml";

/// The directory with all programs; what is not there yet is built.
pub(super) fn ensure() -> Result<PathBuf, Error> {
    let source = tree::root().join("tests/cluster");
    let cache = tree::cache().join("cluster");
    let bin = cache.join(format!("bin-{}", fingerprint(&source)?));
    let complete = || BUILDS.iter().all(|b| bin.join(b.file).is_file()) && bin.join(STAGES_FILE).is_file();
    if complete() {
        return Ok(bin);
    }
    fs::create_dir_all(&bin).map_err(Error::file(&bin))?;
    let version = Shell::new("go").args(["version"]).output()?;
    println!("building the cluster's programs with {} (about ten minutes, once)", version.trim());
    for build in &BUILDS {
        if bin.join(build.file).is_file() {
            continue;
        }
        println!("  {}", build.file);
        // Under another name first: a build that is cut short leaves nothing that looks like a program.
        let part = bin.join(format!("{}.part", build.file));
        go(&source.join(build.module), &cache)
            .args([
                "build",
                "-mod=readonly",
                "-trimpath",
                "-buildvcs=false",
                "-ldflags",
                &linker_flags(),
                "-o",
            ])
            .arg(&part)
            .arg(build.package)
            .run()?;
        fs::rename(&part, bin.join(build.file)).map_err(Error::file(&part))?;
    }
    write_stages(&source.join("kwok"), &cache, &bin.join(STAGES_FILE))?;
    Ok(bin)
}

fn fingerprint(source: &Path) -> Result<String, Error> {
    let modules = ["", "kwok/", "kube-router/"];
    let pins = modules.iter().flat_map(|module| ["go.mod", "go.sum"].map(|file| format!("{module}{file}")));
    let names: Vec<String> = pins.chain(["coredns/main.go".into()]).collect();
    let read = |name: &String| fs::read(source.join(name)).map_err(Error::file(source.join(name)));
    let texts = names.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    Ok(tree::fingerprint(&texts))
}

fn go(module: &Path, cache: &Path) -> Shell {
    Shell::new("go")
        .dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-modcacherw")
        .env("GOMODCACHE", cache.join("gomod"))
        .env("GOCACHE", cache.join("gocache"))
}

/// Without a version a Kubernetes program says that it is `v0.0.0`, and its peers draw conclusions from that.
fn linker_flags() -> String {
    let mut flags = "-s -w".to_string();
    let (major, minor) = ("1", KUBERNETES.split('.').nth(1).unwrap_or_default());
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        for (name, value) in [
            ("gitVersion", KUBERNETES),
            ("gitMajor", major),
            ("gitMinor", minor),
            ("gitTreeState", "archive"),
            ("buildDate", "2026-01-01T00:00:00Z"),
        ] {
            flags.push_str(&format!(" -X {package}.{name}={value}"));
        }
    }
    flags
}

fn write_stages(module: &Path, cache: &Path, to: &Path) -> Result<(), Error> {
    let dir = go(module, cache).args(["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"]).output()?;
    let read = |name: &&str| {
        let path = Path::new(dir.trim()).join(name);
        fs::read_to_string(&path).map_err(Error::file(path))
    };
    let stages = STAGES.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    fs::write(to, stages.join("\n---\n")).map_err(Error::file(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_programs_say_is_the_one_that_is_pinned() {
        let pinned = fs::read_to_string(tree::root().join("tests/cluster/go.mod")).unwrap();
        assert!(pinned.contains(&format!("\tk8s.io/kubernetes {KUBERNETES} ")), "{KUBERNETES}");
        assert!(linker_flags().contains(&format!("gitVersion={KUBERNETES}")));
        assert!(linker_flags().contains("gitMinor=35"));
    }
}
