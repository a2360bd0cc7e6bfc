//! Where the bundled sample database is.

use std::path::PathBuf;

use crate::Failure;

/// The sample database: beside an installed binary, in the checkout the binary was built from, or below the
/// current folder.
pub(super) fn find() -> Result<PathBuf, Failure> {
    let installed = std::env::current_exe().ok().and_then(|exe| {
        let prefix = exe.parent()?.parent()?;
        Some(prefix.join("share/qmesh/kdb-hdb"))
    });
    let checkout = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/kdb-hdb"));
    let here = PathBuf::from("tests/data/kdb-hdb");
    installed
        .into_iter()
        .chain([checkout, here])
        .find(|p| p.join("sym").is_file())
        .ok_or_else(|| Failure::Usage("the bundled database is not here; name one with --db DIR".into()))
}
