//! What a query holds: the cache, its answer, and a few blocks of columns, however long a partition is. Alone in
//! its file, because it counts what the whole process allocates.

mod counting;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use data_access::{
    apis::{self, Call, Wanted},
    cancel::Cancel,
    store::{Tables, hdb::HdbTables},
};
use hdb::{
    Algorithm, PartitionValue,
    save::{Compression, SaveOptions, save_down},
};
use kvalue::{Dict, Table, Type, Value, Vector, time::DAY};
use qipc::Raw;
use sg::{LabelSet, TimeRange};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

const DAYS: i64 = 2;
const ROWS: i64 = 1_000_000;
const CACHE: usize = 2 << 20;
/// Blocks of columns, and what is made of them.
const BLOCKS: usize = 5 << 20;

fn build(root: &Path) {
    let compress = Some(Compression { block_bits: 17, algorithm: Algorithm::Lz4, level: 0 });
    let options = SaveOptions { compress, parted: Some("sym".into()), ..SaveOptions::default() };
    for day in 8767..8767 + DAYS {
        let time = (0..ROWS).map(|row| day * DAY + row * 1000).collect();
        let trades = Table::of([
            ("time", Value::from(Vector::timestamps(time))),
            (
                "sym",
                Vector::syms((0..ROWS).map(|row| ["AAPL", "IBM", "MSFT"][row as usize * 3 / ROWS as usize]))
                    .into(),
            ),
            ("price", Vector::floats((0..ROWS).map(|row| (row % 64) as f64).collect()).into()),
            ("size", Vector::new(Type::Int, (0..ROWS).map(|row| (row % 1024) as i32).collect()).into()),
        ]);
        save_down(root, PartitionValue::date(day), "trade", &trades.unwrap(), &options).unwrap();
    }
}

/// Bytes of the answer, and the most that was held until it was there.
fn ask(tables: &Arc<dyn Tables>, args: Vec<(&str, Value)>) -> (usize, usize) {
    let call = Call {
        api: ".kxi.getData".into(),
        range: TimeRange::ALL,
        opts: Raw::of(&Value::empty_dict()),
        args: Raw::of(&Dict::of(args).into()),
        labels: LabelSet::default(),
    };
    let cancel = Cancel::until(Instant::now() + Duration::from_secs(60));
    let (most, answer) = counting::most_held(|| apis::run(tables, &call, Wanted::Partial, &cancel));
    (answer.unwrap().0.iter().map(|segment| segment.len()).sum(), most)
}

#[test]
fn a_query_holds_the_cache_its_answer_and_a_few_blocks() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let tables: Arc<dyn Tables> = Arc::new(HdbTables::open(dir.path(), CACHE as u64).unwrap());
    let words = |words: &[&str]| Value::list(words.iter().map(Value::sym).collect::<Vec<_>>());
    let table = || ("table", Value::sym("trade"));
    let of_price =
        || ("agg", Value::list([words(&["mean", "avg", "price"]), words(&["top", "max", "size"])]));

    for key in ["sym", "size"] {
        let (answer, most) = ask(&tables, vec![table(), ("groupBy", Value::sym(key)), of_price()]);
        assert!(answer < 1 << 20, "{answer} bytes of groups by {key}");
        assert!(most < CACHE + BLOCKS, "groups by {key} held {most} bytes");
    }
    for round in 0..2 {
        let (answer, most) = ask(&tables, vec![table()]);
        assert!(answer > (DAYS * ROWS) as usize * 20, "{answer} bytes of all rows");
        assert!(most < answer + CACHE + BLOCKS, "all rows, {answer} bytes, held {most} in round {round}");
    }
}
