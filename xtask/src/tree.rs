//! Where things are: the repository, and the caches outside it that make a second run short.

use std::path::PathBuf;

/// Variable that moves the cache; beside it the usual `XDG_CACHE_HOME` and `HOME` are followed.
pub(crate) const CACHE_VARIABLE: &str = "QMESH_CACHE_DIR";

/// Root of the repository.
pub(crate) fn root() -> PathBuf {
    // Cargo says at run time which clone asked: clones that share a target directory may share this program too.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let manifest = manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    manifest.parent().unwrap_or(&manifest).to_path_buf()
}

/// Directory for what is made or fetched once and used by later runs, in any clone.
pub(crate) fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(dir) = set(CACHE_VARIABLE) {
        return dir;
    }
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(|| root().join("target")).join("qmesh")
}

/// The target directory that cargo uses here.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The file of a program of the debug build.
pub(crate) fn debug(program: &str) -> PathBuf {
    target().join("debug").join(format!("{program}{}", std::env::consts::EXE_SUFFIX))
}

/// A short name for a set of pinned requirements: equal texts, equal name (64-bit FNV-1a).
pub(crate) fn fingerprint(texts: &[&[u8]]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in texts.iter().flat_map(|text| text.iter().chain([&0])) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_tells_texts_and_their_borders_apart() {
        assert_eq!(fingerprint(&[b"ab"]), fingerprint(&[b"ab"]));
        assert_ne!(fingerprint(&[b"ab"]), fingerprint(&[b"ac"]));
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
    }

    #[test]
    fn root_holds_the_workspace() {
        assert!(root().join("Cargo.toml").is_file());
        assert!(root().join("xtask").is_dir());
    }
}
