//! One file by itself: written, read, described, extended.

use std::sync::Arc;

use hdb::{Algorithm, HdbError, file, save::Compression};

#[test]
fn a_file_is_read_as_it_was_written_plain_and_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let plain: Vec<u8> = (0..100_000u32).flat_map(|i| (i / 100).to_le_bytes()).collect();
    let cache = Arc::default();
    for algorithm in [None, Some(Algorithm::Q), Some(Algorithm::Zlib), Some(Algorithm::Zstd)] {
        let compression = algorithm.map(|algorithm| Compression { block_bits: 14, algorithm, level: 0 });
        file::write(&path, &[&plain[..10], &plain[10..]], compression).unwrap();
        assert_eq!(file::read(&path, &cache).unwrap(), plain, "{algorithm:?}");
        let info = file::container(&path).unwrap();
        assert_eq!(info.map(|i| (i.plain, i.compression)), compression.map(|c| (400_000, c)));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}

#[test]
fn what_was_mapped_stays_whole_when_the_file_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    file::write(&path, &[&[1; 10_000]], None).unwrap();
    let before = file::read(&path, &Arc::default()).unwrap();
    file::write(&path, &[b"short"], None).unwrap();
    assert!(before.iter().all(|&b| b == 1));
}

#[test]
fn a_file_is_extended_by_what_its_bytes_call_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sym");
    let add =
        |old: &[u8]| Ok::<_, HdbError>(if old.is_empty() { b"head".to_vec() } else { b"tail".to_vec() });
    file::extend(&path, add).unwrap();
    file::extend(&path, add).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"headtail");
}
