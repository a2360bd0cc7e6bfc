//! The program itself: what it prints where nobody reads on, and how it ends.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kubectl-qmesh"))
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/examples").join(name).display().to_string()
}

#[test]
fn a_reader_that_is_gone_ends_it_quietly() {
    // Longer than a pipe holds: it is still writing when the reader goes.
    let mut child = program()
        .args(["render", "-f", &example("production.yaml")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut first = [0; 10];
    let mut out = child.stdout.take().expect("its output");
    out.read_exact(&mut first).expect("a first line");
    drop(out);
    let mut said = String::new();
    child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
    let ended = child.wait().expect("it ends");
    assert_eq!(said, "", "no word");
    assert!(matches!(ended.code(), Some(0 | 141)), "{ended}");
}

#[test]
fn a_hostile_manifest_is_refused_with_its_sentence() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hostile/gateways");
    let mut seen = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let wanted = std::fs::read_to_string(path.with_extension("yaml.says")).expect("its sentence");
        let done = program().args(["render", "-f"]).arg(&path).output().expect("it runs");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(2), "{}", path.display());
        let wanted = wanted.lines().next().unwrap_or_default();
        assert!(said.contains(wanted), "{}: {said}", path.display());
        assert!(done.stdout.is_empty(), "nothing is rendered of it");
        seen += 1;
    }
    assert!(seen >= 20, "{seen} manifests");
}
