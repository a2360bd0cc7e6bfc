//! File systems of images: the few files that a dynamic program needs, at the very paths where it looks for them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::shell::Shell;

use super::tar::Tar;

/// The user that every container runs as.
pub(super) const USER: u32 = 65532;

/// Files of one layer by path, without a leading slash; sorted, so that equal content gives equal bytes.
#[derive(Default)]
pub(super) struct Layer {
    files: BTreeMap<String, (u32, Vec<u8>)>,
}

impl Layer {
    /// What every image has: the account it runs as, and directories that programs expect.
    pub(super) fn base() -> Layer {
        let mut layer = Layer::default();
        let passwd =
            format!("root:x:0:0:root:/:/sbin/nologin\nqmesh:x:{USER}:{USER}:qmesh:/:/sbin/nologin\n");
        layer.add("etc/passwd", 0o644, passwd.into_bytes());
        layer.add("etc/group", 0o644, format!("root:x:0:\nqmesh:x:{USER}:\n").into_bytes());
        layer.add("etc/nsswitch.conf", 0o644, b"hosts: files dns\n".to_vec());
        layer
    }

    /// One file.
    pub(super) fn add(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        self.files.insert(path.to_string(), (mode, content));
    }

    /// A program without its symbols, under `usr/local/bin`, and the shared libraries it is linked with.
    pub(super) fn program(&mut self, built: &Path, name: &str, scratch: &Path) -> Result<(), Error> {
        let bare = scratch.join(name);
        Shell::new("strip").arg("--strip-all").arg("-o").arg(&bare).arg(built).run()?;
        self.add(&format!("usr/local/bin/{name}"), 0o755, read(&bare)?);
        if is_static(&bare)? {
            return Ok(());
        }
        for library in libraries(&Shell::new("ldd").arg(&bare).output()?) {
            self.add(library.trim_start_matches('/'), 0o755, read(Path::new(&library))?);
        }
        Ok(())
    }

    /// A directory of this machine with all it holds, under `at`.
    pub(super) fn tree(&mut self, from: &Path, at: &str) -> Result<(), Error> {
        for entry in fs::read_dir(from).map_err(Error::file(from))? {
            let path = entry.map_err(Error::file(from))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let inside = format!("{at}/{name}");
            if path.is_dir() {
                self.tree(&path, &inside)?;
            } else {
                self.add(&inside, 0o644, read(&path)?);
            }
        }
        Ok(())
    }

    /// The layer as an uncompressed tar archive: engines take it, and its digest depends on nothing else.
    pub(super) fn to_tar(&self) -> std::io::Result<Vec<u8>> {
        let mut tar = Tar::new(Vec::new());
        let mut made = std::collections::BTreeSet::new();
        tar.directory("tmp", 0o1777)?;
        for (path, (mode, content)) in &self.files {
            let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
            for parent in parents {
                if made.insert(parent.to_string()) {
                    tar.directory(parent, 0o755)?;
                }
            }
            tar.file(path, *mode, content)?;
        }
        tar.finish()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(Error::file(path))
}

/// A program that asks for no loader: the ELF header names the interpreter segment, and the segment holds the path.
fn is_static(program: &Path) -> Result<bool, Error> {
    let headers = Shell::new("readelf").args(["--program-headers", "--wide"]).arg(program).output()?;
    Ok(!headers.contains("INTERP"))
}

/// Paths in what `ldd` prints; the kernel's own library has none.
fn libraries(ldd: &str) -> Vec<String> {
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_string);
    ldd.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_taken_from_where_the_loader_finds_them() {
        let ldd = "\tlinux-vdso.so.1 (0x00007fff)\n\
                   \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(libraries(ldd), ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    }

    #[test]
    fn each_directory_is_there_once_and_before_its_files() {
        let mut layer = Layer::default();
        layer.add("a/b/two", 0o644, b"2".to_vec());
        layer.add("a/b/one", 0o644, b"1".to_vec());
        let tar = layer.to_tar().unwrap();
        let names: Vec<String> = tar
            .chunks(512)
            .filter(|block| &block[257..262] == b"ustar")
            .map(|block| {
                String::from_utf8_lossy(block[..100].split(|b| *b == 0).next().unwrap()).into_owned()
            })
            .collect();
        assert_eq!(names, ["tmp/", "a/", "a/b/", "a/b/one", "a/b/two"]);
    }
}
