//! Files that are cut, replaced and deleted under their mappings.

use super::*;

fn file_of(bytes: usize) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("column");
    std::fs::write(&path, vec![7u8; bytes]).unwrap();
    (dir, path)
}

fn cut(path: &Path, len: u64) {
    File::options().write(true).open(path).unwrap().set_len(len).unwrap();
}

/// The file once as it is kept, once found by its path.
fn both(path: &Path) -> [MappedFile; 2] {
    let [mut kept, mut found] = [path; 2].map(|path| MappedFile::open(path).unwrap());
    // Where as many as may be are kept already, by tests beside this one.
    kept.kept.get_or_insert_with(|| {
        KEPT.fetch_add(1, Ordering::Relaxed);
        Kept(File::open(path).unwrap())
    });
    found.kept = None;
    [kept, found]
}

#[test]
fn a_file_cut_under_a_mapping_costs_an_error_not_the_process() {
    let (_dir, path) = file_of(64 * 4096);
    let both = both(&path);
    both.iter().for_each(|mapped| mapped.check().unwrap());
    File::options().write(true).open(&path).unwrap().set_len(4096).unwrap();
    for mapped in &both {
        let sum: u64 = mapped.bytes().iter().map(|&b| u64::from(b)).sum();
        assert_eq!(sum, 7 * 4096, "the part that is gone reads as zeros");
        assert!(matches!(mapped.check(), Err(HdbError::FileShrank { mapped: 262144, now: 4096, .. })));
    }
    // Grown again or not: what was read is not what was there.
    File::options().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    assert!(both.iter().all(|mapped| matches!(mapped.check(), Err(HdbError::FileShrank { .. }))));
}

#[test]
fn a_cut_within_the_last_page_is_seen_by_size() {
    let (_dir, path) = file_of(100);
    let both = both(&path);
    File::options().write(true).open(&path).unwrap().set_len(50).unwrap();
    for mapped in both {
        assert_eq!(mapped.slice(40..60)[..], [[7; 10], [0; 10]].concat());
        assert!(matches!(mapped.check(), Err(HdbError::FileShrank { mapped: 100, now: 50, .. })));
    }
}

#[test]
fn a_cut_is_seen_after_any_number_of_checks_and_so_is_a_file_that_grew_again() {
    const LEN: usize = LARGEST_PAGE + 100;
    for grown in [0, LEN as u64, 1 << 20] {
        for at in [LEN - 1, LEN - 50, LARGEST_PAGE + 1, LARGEST_PAGE, 50] {
            let (_dir, path) = file_of(LEN);
            let both = both(&path);
            for mapped in &both {
                assert_eq!(mapped.slice(0..LEN)[LEN - 1], 7);
                (0..3).for_each(|_| mapped.check().unwrap());
            }
            cut(&path, at as u64);
            if grown > 0 {
                cut(&path, grown);
            }
            for mapped in &both {
                assert!(matches!(mapped.check(), Err(HdbError::FileShrank { .. })), "cut at {at}, {grown}");
            }
        }
    }
}

#[test]
fn zeros_at_the_end_are_asked_for_by_size_or_make_no_difference() {
    for (bytes, at, is_there) in [
        // no byte that could tell
        (vec![0; 200], 100, false),
        ([vec![7; LARGEST_PAGE], vec![0; 100]].concat(), LARGEST_PAGE + 50, false),
        // what is cut off is zeros, and reads as zeros
        ([vec![7; 100], vec![0; 100]].concat(), 150, true),
        ([vec![7; 100], vec![0; 100]].concat(), 99, false),
    ] {
        let (_dir, path) = file_of(1);
        std::fs::write(&path, &bytes).unwrap();
        let both = both(&path);
        for mapped in &both {
            assert_eq!(mapped.slice(0..bytes.len()), bytes);
            (0..2).for_each(|_| mapped.check().unwrap());
        }
        cut(&path, at as u64);
        for mapped in &both {
            assert_eq!(mapped.check().is_ok(), is_there, "cut at {at} of {}", bytes.len());
            assert!(!is_there || mapped.slice(0..bytes.len()) == bytes);
        }
    }
}

#[test]
fn a_cut_within_any_page_is_seen_where_what_was_read_may_be_gone() {
    const LEN: usize = 4 * LARGEST_PAGE + 100;
    const IN_THE_LAST: usize = LEN - 50;
    const ELSEWHERE: usize = 3 * LARGEST_PAGE + 7;
    for read in [0..100, LEN - 100..LEN, 0..LEN] {
        for cut in [IN_THE_LAST, ELSEWHERE, 50] {
            let (_dir, path) = file_of(LEN);
            let both = both(&path);
            both.iter().for_each(|mapped| drop(mapped.slice(read.clone())));
            File::options().write(true).open(&path).unwrap().set_len(cut as u64).unwrap();
            for mapped in &both {
                let checked = mapped.check();
                let is_there = cut == IN_THE_LAST && read.end < LEN;
                assert_eq!(checked.is_ok(), is_there, "read {read:?}, cut at {cut}: {checked:?}");
            }
        }
    }
}

#[test]
fn a_deleted_or_replaced_file_keeps_its_old_content() {
    let (_dir, path) = file_of(8192);
    let both = both(&path);
    let other = path.with_extension("new");
    std::fs::write(&other, b"x").unwrap();
    std::fs::rename(&other, &path).unwrap();
    for mapped in &both {
        assert!(mapped.bytes().iter().all(|&b| b == 7));
        mapped.check().unwrap();
    }
    std::fs::remove_file(&path).unwrap();
    both.iter().for_each(|mapped| mapped.check().unwrap());
}

#[test]
fn so_many_files_stay_open_and_no_more() {
    let (_dir, path) = file_of(10);
    let all: Vec<_> = (0..2 * MOST_KEPT).map(|_| MappedFile::open(&path).unwrap()).collect();
    assert!(all.iter().filter(|mapped| mapped.kept.is_some()).count() <= MOST_KEPT);
    drop(all);
    // Tests beside this one keep few.
    assert!(MappedFile::open(&path).unwrap().kept.is_some());
}

#[test]
fn many_torn_mappings_on_many_threads_are_each_marked() {
    let files: Vec<_> = (0..40).map(|_| file_of(20 * 4096)).collect();
    std::thread::scope(|scope| {
        for (_, path) in &files {
            scope.spawn(move || {
                for round in 0..20 {
                    std::fs::write(path, vec![1u8; 20 * 4096]).unwrap();
                    let mapped = MappedFile::open(path).unwrap();
                    let shared = mapped.bytes().slice(4096..);
                    let cut = round % 2 == 0;
                    if cut {
                        File::options().write(true).open(path).unwrap().set_len(4096).unwrap();
                    }
                    let sum: usize = shared.iter().map(|&b| usize::from(b)).sum();
                    assert_eq!(sum, if cut { 0 } else { 19 * 4096 });
                    assert_eq!(mapped.check().is_err(), cut);
                }
            });
        }
    });
}

#[test]
fn a_fault_outside_our_mappings_is_not_hidden() {
    use std::os::unix::process::ExitStatusExt;
    const INSIDE: &str = "HDB_TEST_FAULT";
    let (_dir, path) = file_of(8192);
    if std::env::var_os(INSIDE).is_some() {
        let _ours = MappedFile::open(&path).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        // SAFETY: a mapping of a private temporary file; that it faults is the point.
        let foreign = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        file.set_len(0).unwrap();
        std::process::exit(i32::from(foreign[5000]));
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "map::tests::a_fault_outside_our_mappings_is_not_hidden"])
        .env(INSIDE, "1")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(libc::SIGBUS), "{status}");
}

#[test]
fn an_empty_file_is_an_empty_buffer() {
    let (_dir, path) = file_of(0);
    let mapped = MappedFile::open(&path).unwrap();
    assert!(mapped.bytes().is_empty());
    mapped.check().unwrap();
}
