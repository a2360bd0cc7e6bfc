//! Memory of a server: the cache limit plus what a query holds, however large the database. Alone in its
//! file, because it measures the whole process.

use std::sync::Arc;

use hdb::{
    Algorithm, BlockCache, Database, OpenOptions,
    save::{Compression, SaveOptions, save_splayed},
};
use kvalue::{Table, Value, Vector};

/// Anonymous memory of this process in bytes, as the kernel counts it.
fn anonymous() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

const ROWS: usize = 600_000;
const COLUMNS: usize = 10;
const CACHE: usize = 4 << 20;
/// What the process needs beside cache and answer: allocator, buffers of the decompressor.
const SLACK: usize = 6 << 20;

fn build(root: &std::path::Path, compress: Option<Compression>) {
    let column = |seed: i64| (0..ROWS as i64).map(|i| (i * 31 + seed) % 1000).collect();
    let options = SaveOptions { compress, ..SaveOptions::default() };
    for c in 0..COLUMNS {
        let name = format!("t{c}");
        let data = Table::of([("x", Value::Vector(Vector::longs(column(c as i64))))]).unwrap();
        save_splayed(root, &name, &data, &options).unwrap();
    }
}

#[test]
fn reading_ten_times_the_cache_stays_within_cache_and_answer() {
    let zlib = Compression { block_bits: 16, algorithm: Algorithm::Zlib, level: 1 };
    for compress in [Some(zlib), None] {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path(), compress);
        let cache = Arc::new(BlockCache::new(CACHE));
        let options = OpenOptions { cache: cache.clone(), ..OpenOptions::default() };
        let db = Database::open(dir.path(), &options).unwrap();
        let before = anonymous();
        let (mut sum, mut most) = (0i64, 0);
        for c in 0..COLUMNS {
            let table = db.open_table(&format!("t{c}"), None).unwrap();
            for from in (0..ROWS).step_by(20_000) {
                let x = table.column("x", from..from + 20_000).unwrap();
                sum += x.as_vector().unwrap().as_buf::<i64>().unwrap().iter().sum::<i64>();
                most = most.max(anonymous().saturating_sub(before));
            }
            table.check().unwrap();
        }
        let expected =
            (0..COLUMNS as i64).map(|s| (0..ROWS as i64).map(|i| (i * 31 + s) % 1000).sum::<i64>());
        assert_eq!(sum, expected.sum::<i64>());
        let read = ROWS * COLUMNS * 8;
        assert!(read > 10 * CACHE, "{read} bytes were read");
        let bound = if compress.is_some() { CACHE + SLACK } else { SLACK };
        assert!(most <= bound, "{compress:?}: {most} anonymous bytes more, at most {bound} were expected");
        assert_eq!(cache.stats().evictions > 0, compress.is_some());
    }
}
