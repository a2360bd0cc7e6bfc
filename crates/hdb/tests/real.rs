//! The bundled database, written by kdb+ itself, against what a decoder written independently of this crate
//! (in another language) found in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hdb::{BlockCache, ColumnType, Database, OpenOptions, PartitionKind, TableKind};
use kvalue::{Attr, Codes, Type, Value, Vector};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/kdb-hdb")
}

fn open() -> Database {
    Database::open(&root(), &OpenOptions::default()).unwrap()
}

/// Partition, table, column, rows, FNV-1a of the elements' bytes.
const COLUMNS: &[(&str, &str, &str, usize, u64)] = &[
    ("2015.01.07", "trade", "cond", 196519, 0x46bce911ed672088),
    ("2015.01.07", "trade", "ex", 196519, 0x4a82c2ec140a0157),
    ("2015.01.07", "trade", "price", 196519, 0xbd27f1bd858a6b39),
    ("2015.01.07", "trade", "size", 196519, 0xe0b78761f57c23af),
    ("2015.01.07", "trade", "stop", 196519, 0xe2b8de578a6a2888),
    ("2015.01.07", "trade", "sym", 196519, 0x36a3b5941ce7f7b5),
    ("2015.01.07", "trade", "time", 196519, 0x993fafa5111f8f63),
    ("2015.01.08", "trade", "cond", 437171, 0x786be3a4885e83d6),
    ("2015.01.08", "trade", "ex", 437171, 0x47a4ef2691134a34),
    ("2015.01.08", "trade", "price", 437171, 0x4918c3eebd926c07),
    ("2015.01.08", "trade", "size", 437171, 0x991f16d43562a7b3),
    ("2015.01.08", "trade", "stop", 437171, 0x2e6d078bd617443a),
    ("2015.01.08", "trade", "sym", 437171, 0x3bd5421fbd497edf),
    ("2015.01.08", "trade", "time", 437171, 0xa70598a30e94fa0a),
    ("2015.01.07", "quote", "asize", 344455, 0xe9d1ac40093dc43f),
    ("2015.01.07", "quote", "ask", 344455, 0x591e6fd4bcee6aae),
    ("2015.01.07", "quote", "bid", 344455, 0xdbb8790b374933ea),
    ("2015.01.07", "quote", "bsize", 344455, 0x49611a5de58089b3),
    ("2015.01.07", "quote", "ex", 344455, 0x24bd0c7506156dcc),
    ("2015.01.07", "quote", "mode", 344455, 0xdf827981732775e5),
    ("2015.01.07", "quote", "sym", 344455, 0xf28e4fca24b1a635),
    ("2015.01.07", "quote", "time", 344455, 0x01c1fb5d5e37580f),
];

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

fn bytes_of(vector: &Vector) -> Vec<u8> {
    match vector.as_symbols() {
        Some(symbols) => match symbols.as_enumerated().unwrap().1 {
            Codes::I32(b) => b.bytes().to_vec(),
            Codes::I64(b) => b.bytes().to_vec(),
        },
        None => vector.as_bytes().unwrap().to_vec(),
    }
}

fn vector(value: Value) -> Vector {
    value.as_vector().unwrap().clone()
}

#[test]
fn every_column_has_the_bytes_an_independent_decoder_found() {
    let db = open();
    for (partition, table, column, rows, hash) in COLUMNS {
        let part = db.partitions(table).into_iter().find(|p| p.path().ends_with(partition)).unwrap();
        let data = db.open_table(table, Some(&part)).unwrap();
        assert_eq!(data.rows().unwrap(), *rows, "{partition}/{table}");
        let whole = vector(data.column(column, 0..*rows).unwrap());
        assert_eq!(fnv(&bytes_of(&whole)), *hash, "{partition}/{table}/{column}");

        // Any cut gives the same elements: within a block, over blocks, at the ends.
        for range in [0..0, 0..1, 8190..8200, 100_000..150_001, *rows - 1..*rows, *rows..*rows] {
            let part = vector(data.column(column, range.clone()).unwrap());
            assert_eq!(part, whole.slice(range.clone()), "{partition}/{table}/{column} {range:?}");
        }
        data.check().unwrap();
    }
}

#[test]
fn schema_is_that_of_the_files() {
    let db = open();
    assert_eq!(db.partition_kind(), Some(PartitionKind::Date));
    assert_eq!(db.tables().iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["quote", "trade"]);
    let trade = db.table("trade").unwrap();
    assert_eq!(trade.kind, TableKind::Partitioned);
    let columns: Vec<_> = trade.columns.iter().map(|c| (c.name.as_str(), c.ty.letter(), c.attr)).collect();
    let plain = |name, letter| (name, letter, Attr::None);
    assert_eq!(
        columns,
        [
            plain("time", 'p'),
            ("sym", 's', Attr::Parted),
            plain("price", 'f'),
            plain("size", 'i'),
            plain("stop", 'b'),
            plain("cond", 'c'),
            plain("ex", 'c'),
        ]
    );
    assert_eq!(trade.column("sym").unwrap().domain.as_deref(), Some("sym"));
    assert_eq!(trade.column("time").unwrap().ty, ColumnType::Basic(Type::Timestamp));
    assert_eq!(db.partitions("trade").iter().map(|p| p.value).collect::<Vec<_>>(), [5485, 5486]);
    // quote is not in the latest partition, yet it can be asked for.
    assert_eq!(db.partitions("quote").iter().map(|p| p.value).collect::<Vec<_>>(), [5485]);
    assert!(db.problems().is_empty(), "{:?}", db.problems());
}

#[test]
fn parted_index_equals_a_scan() {
    let db = open();
    let expected = [43363, 43755, 43665, 43545, 43271, 43838, 43778, 43793, 43944, 44219];
    let part = db.partitions("trade").pop().unwrap();
    let data = db.open_table("trade", Some(&part)).unwrap();
    let index = data.parted("sym").unwrap().unwrap();
    let column = vector(data.column("sym", 0..data.rows().unwrap()).unwrap());
    let symbols = column.as_symbols().unwrap();
    let domain = symbols.as_enumerated().unwrap().0.clone();
    assert_eq!(index.len(), 10);
    for (symbol, range) in index.ranges() {
        assert_eq!(range.len(), expected[domain.find(symbol.as_bytes()).unwrap() as usize], "{symbol}");
        assert!(symbols.slice(range.clone()).iter().all(|s| s == symbol.as_bytes()));
        assert_eq!(index.range_of(symbol.as_bytes()), Some(range));
    }
    assert_eq!(index.range_of(b"NOSUCH"), None);
    assert_eq!(index.range_of(b""), None);
    assert!(data.parted("price").unwrap().is_none());
}

#[test]
fn only_the_blocks_of_the_rows_asked_for_are_decompressed() {
    let cache = Arc::new(BlockCache::new(64 << 20));
    let options = OpenOptions { cache: cache.clone(), ..OpenOptions::default() };
    let db = Database::open(&root(), &options).unwrap();
    let part = db.partitions("trade").pop().unwrap();
    let data = db.open_table("trade", Some(&part)).unwrap();
    data.rows().unwrap();
    let before = cache.stats().misses;
    data.column("time", 300_000..300_100).unwrap();
    assert_eq!(cache.stats().misses, before + 1);
    data.column("time", 300_000..300_100).unwrap();
    assert_eq!(cache.stats().misses, before + 1, "the second time it comes from the cache");
}

#[test]
fn a_cache_smaller_than_the_data_changes_nothing_but_speed() {
    let cache = Arc::new(BlockCache::new(200 << 10));
    let options = OpenOptions { cache: cache.clone(), ..OpenOptions::default() };
    let db = Database::open(&root(), &options).unwrap();
    for (partition, table, column, rows, hash) in COLUMNS {
        let part = db.partitions(table).into_iter().find(|p| p.path().ends_with(partition)).unwrap();
        let data = db.open_table(table, Some(&part)).unwrap();
        let whole = vector(data.column(column, 0..*rows).unwrap());
        assert_eq!(fnv(&bytes_of(&whole)), *hash, "{partition}/{table}/{column}");
        assert!(cache.stats().bytes <= 200 << 10);
    }
    assert!(cache.stats().evictions > 0);
}

#[test]
fn reload_of_unchanged_files_keeps_columns_open() {
    let db = open();
    let data = db.open_table("trade", db.partitions("trade").first()).unwrap();
    data.column("price", 0..10).unwrap();
    let open = db.open_columns();
    let again = db.reload().unwrap();
    assert_eq!(again.open_columns(), open);
    assert_eq!(again.partitions("trade"), db.partitions("trade"));
}
