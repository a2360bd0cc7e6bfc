//! Directories are told by what they are, not by the text of a path: whatever way leads to rows, they count once.

mod common;

use std::{fs, os::unix::fs::symlink, path::Path};

use common::{Root, longs, refused, splay, write};
use hdb::{Database, OpenOptions};
use rand::{Rng, SeedableRng, rngs::StdRng};

fn rows(db: &Database, table: &str) -> usize {
    db.partitions(table).iter().map(|p| db.open_table(table, Some(p)).unwrap().rows().unwrap()).sum()
}

#[test]
fn a_root_that_par_txt_names_counts_once() {
    for line in [".", "./", "ROOT", "ROOT/", "s0/..", "../NAME", ":ROOT", "link"] {
        let root = Root::empty();
        splay(&root.path().join("2000.01.01/t"), &[("x", longs(&[1, 2]))]);
        splay(&root.path().join("s0/2000.01.02/t"), &[("x", longs(&[3]))]);
        symlink(root.path(), root.path().join("link")).unwrap();
        let text = line
            .replace("ROOT", root.path().to_str().unwrap())
            .replace("NAME", root.path().file_name().unwrap().to_str().unwrap());
        write(&root.path().join("par.txt"), format!("s0\n{text}\n").as_bytes());
        let db = root.open();
        assert_eq!((db.partitions("t").len(), rows(&db, "t")), (2, 3), "{line}");
    }
}

#[test]
fn a_segment_named_twice_in_whatever_words_is_refused() {
    let root = Root::empty();
    splay(&root.path().join("s0/2000.01.01/t"), &[("x", longs(&[1]))]);
    symlink("s0", root.path().join("link")).unwrap();
    for line in ["s0/", "./s0", "link", "link/", "s0/../s0"] {
        write(&root.path().join("par.txt"), format!("s0\n{line}\n").as_bytes());
        let opened = Database::open(&root.path(), &OpenOptions::default());
        refused(opened, &["par.txt", "line 2", "line 1, s0", "count twice"]);
    }
}

#[test]
fn a_partition_or_table_linked_into_two_segments_counts_once() {
    let root = Root::empty();
    splay(&root.path().join("s0/2000.01.01/t"), &[("x", longs(&[1, 2]))]);
    splay(&root.path().join("s0/2000.01.02/t"), &[("x", longs(&[3]))]);
    splay(&root.path().join("s1/2000.01.02/u"), &[("x", longs(&[4]))]);
    symlink("../s0/2000.01.01", root.path().join("s1/2000.01.01")).unwrap();
    symlink("../../s0/2000.01.02/t", root.path().join("s1/2000.01.02/t")).unwrap();
    // The same rows as another day: somebody wants them twice.
    symlink("2000.01.01", root.path().join("s0/2000.01.03")).unwrap();
    write(&root.path().join("par.txt"), b"s0\ns1\n");
    let db = root.open();
    assert_eq!((rows(&db, "t"), rows(&db, "u")), (5, 1));
}

/// A way to a directory: as it is, relative, with dots, slashes, through links.
fn way(rng: &mut StdRng, root: &Path, name: &str, n: usize) -> String {
    let abs = root.join(name);
    match rng.random_range(0..8) {
        0 => name.into(),
        1 => format!("./{name}"),
        2 => format!("{name}//"),
        3 => abs.display().to_string(),
        4 => format!("{}/", abs.display()),
        5 => format!("x/../{name}"),
        6 => {
            let link = root.join(format!("link{n}"));
            symlink(&abs, &link).unwrap();
            format!("link{n}")
        }
        _ => {
            let up = root.join(format!("up{n}"));
            symlink(root, &up).unwrap();
            format!("up{n}/{name}")
        }
    }
}

#[test]
fn any_ways_to_the_same_directories_give_the_same_rows() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..250 {
        let root = Root::empty();
        let base = root.path();
        fs::create_dir(base.join("x")).unwrap();
        let mut places: Vec<(&str, usize)> = Vec::new();
        for place in ["", "s0", "s0/nested", "s1"] {
            let n = rng.random_range(0..3);
            for day in 1..=n {
                let items: Vec<i64> = (0..rng.random_range(1..4)).collect();
                splay(&base.join(place).join(format!("2000.01.{day:02}/t")), &[("x", longs(&items))]);
            }
            fs::create_dir_all(base.join(place)).unwrap();
            places.push((place, n));
        }
        for round in 0..4 {
            let mut lines: Vec<String> = Vec::new();
            let mut named: Vec<&str> = Vec::new();
            for (k, _) in (0..rng.random_range(1..6)).enumerate() {
                let (place, _) = places[rng.random_range(0..places.len())];
                lines.push(way(&mut rng, &base, if place.is_empty() { "." } else { place }, round * 10 + k));
                named.push(place);
            }
            write(&base.join("par.txt"), lines.join("\n").as_bytes());
            let opened = Database::open(&base, &OpenOptions::default());
            let mut once = named.clone();
            once.sort_unstable();
            once.dedup();
            if once.len() < named.len() {
                refused(opened, &["par.txt", "count twice"]);
                continue;
            }
            let mut wanted = 0;
            // The root always counts, the others where they are named.
            for (place, n) in &places {
                if place.is_empty() || named.contains(place) {
                    for day in 1..=*n {
                        let x = base.join(place).join(format!("2000.01.{day:02}/t/x"));
                        wanted += (fs::metadata(x).unwrap().len() as usize - 16) / 8;
                    }
                }
            }
            let db = opened.unwrap_or_else(|e| panic!("SEED={seed}: {lines:?}: {e}"));
            assert_eq!(rows(&db, "t"), wanted, "SEED={seed}: {lines:?}");
        }
    }
}
