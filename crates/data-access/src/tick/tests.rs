//! Odd schemas and damaged logs cost themselves only.

use std::io::Write as _;

use kvalue::{Dict, Table, Vector, time::DAY};

use super::*;
use crate::{core::Depth, shared::Source, worker::Worker};

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n as u64) as usize
    }
}

pub(super) fn subscription(start: i64) -> Subscription {
    let memory = MemoryTables::new(start, 1 << 30);
    let source = Source {
        name: "test".into(),
        instance: sg::InstanceId([0; 16]),
        labels: sg::LabelSet::default(),
        assembly: Sym::null(),
        tier: "rdb".into(),
        id: "test".into(),
    };
    let worker = Worker::start("test", 1).unwrap();
    let (says, _) = tokio::sync::mpsc::unbounded_channel();
    let depth = Depth { capacity: 1, patience: Duration::from_secs(1) };
    let tables = Arc::new(memory.clone());
    let shared = Shared::new(source, tables, Some(memory.clone()), worker, depth, RETRY, says);
    let eod = EndOfDay::new(memory.clone(), None, None);
    Subscription::new(Arc::new(shared), memory, "nowhere:0".into(), eod)
}

fn empty(columns: &[(&str, Option<Type>)]) -> Table {
    Table::of(
        columns.iter().map(|(name, ty)| (*name, ty.map_or(Value::list([]), |ty| Vector::empty(ty).into()))),
    )
    .unwrap()
}

#[tokio::test]
async fn odd_schemas_cost_themselves_only() {
    let mut rng = Rng(14);
    let mut odd_ones = 0;
    for case in 0..1_000 {
        let mut subscription = subscription(0);
        let mut good = Vec::new();
        let pairs: Vec<Value> = (0..1 + rng.below(5))
            .map(|i| {
                let name = format!("t{i}");
                let typed = empty(&[
                    ("time", Some(Type::Timespan)),
                    ("sym", Some(Type::Symbol)),
                    ("x", Some(Type::Float)),
                ]);
                let untyped = empty(&[("time", Some(Type::Timespan)), ("sym", None), ("x", None)]);
                let schema: Value = match rng.below(14) {
                    0 => Value::from(1i64),
                    1 => Value::Null,
                    2 => return Value::sym("alone"),
                    3 => return Value::from(7i64),
                    4 => return Value::list([Value::from(7i64), typed.into()]),
                    5 => {
                        return Value::list([
                            Value::sym(["a/b", "..", "", "sym"][rng.below(4)]),
                            typed.into(),
                        ]);
                    }
                    6 => empty(&[("time", Some(Type::Timespan)), ("date", Some(Type::Date))]).into(),
                    7 => empty(&[(".d", Some(Type::Timespan))]).into(),
                    8 => Dict::of([("time", Value::from(1i64))]).into(),
                    kind => {
                        good.push(name.clone());
                        match kind {
                            9 | 10 => untyped.into(),
                            11 => {
                                let keys = empty(&[("sym", Some(Type::Symbol))]);
                                let values = empty(&[("time", Some(Type::Timespan)), ("x", None)]);
                                Dict::new(keys.into(), values.into()).unwrap().into()
                            }
                            _ => typed.into(),
                        }
                    }
                };
                if !matches!(schema, Value::Table(_)) && good.last() != Some(&name) {
                    odd_ones += 1;
                }
                Value::list([Value::sym(name), schema])
            })
            .collect();
        // A single pair comes without a list around it.
        let single = pairs.len() == 1 && pairs[0].index(0).as_sym().is_some() && rng.below(2) == 0;
        let reply = if single { pairs[0].clone() } else { Value::list(pairs) };
        subscription.declare(&reply);
        let told = subscription.told.len();
        subscription.declare(&reply);
        assert_eq!(subscription.told.len(), told, "case {case}: told once");
        let known: Vec<String> = subscription.memory.names().iter().map(|n| n.text().into_owned()).collect();
        assert_eq!(known, good, "case {case}: {reply:?}");
        for name in &good {
            let rows = Value::list([
                Vector::new::<i64>(Type::Timespan, vec![1, 2]).into(),
                Value::syms(["a", "b"]),
                Vector::floats(vec![0.5, 1.5]).into(),
            ]);
            let name = Sym::new(name);
            let named =
                Table::of(["time", "sym", "x"].into_iter().zip((0..3).map(|i| rows.index(i)))).unwrap();
            let taken = subscription.memory.upd(&name, &named.into());
            assert_eq!(taken.unwrap_or_else(|f| panic!("case {case} {name}: {}", f.ai)).rows, 2);
            let schema = subscription.memory.schema(&name).unwrap();
            assert_eq!(schema.time, Some("time".into()));
            let basic = |column: &str| schema.stored(&column.into()).and_then(|kind| kind.basic());
            assert_eq!(
                (basic("sym"), basic("x")),
                (Some(Type::Symbol), Some(Type::Float)),
                "case {case} {name}"
            );
        }
    }
    assert!(odd_ones > 200, "{odd_ones}");
}

fn rows(times: Vec<i64>) -> Value {
    let n = times.len();
    Value::list([Vector::timestamps(times).into(), Value::syms(vec!["a"; n])])
}

#[tokio::test]
async fn what_is_bad_in_a_log_stops_no_other_message() {
    let mut rng = Rng(15);
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = dir.path().join("log");
    let upd = |table: &str, data| Value::list([Value::sym("upd"), Value::sym(table), data]);
    for case in 0..1_000 {
        let subscription = subscription(DAY);
        let schema = empty(&[("time", Some(Type::Timestamp)), ("sym", Some(Type::Symbol))]);
        subscription.memory.describe(&"t".into(), &schema.into()).unwrap();
        let mut file = log::head().to_vec();
        let (mut expected, mut count) = (0, 0);
        for i in 0..rng.below(12) {
            let kind = rng.below(12);
            let message = match kind {
                0 => upd("t", rows(vec![0, 1])),
                1 => upd("t", Value::list([Value::Null, Value::Null])),
                2 => upd("a/b", Value::Table(Arc::new(empty(&[("time", Some(Type::Timestamp))])))),
                3 => Value::list([Value::sym("heartbeat"), Value::from(1i64)]),
                4 => Value::list([Value::sym("upd"), Value::sym("t")]),
                5 => upd("t", rows(vec![DAY - 1, DAY, i64::MAX])),
                _ => upd("t", rows(vec![DAY + i as i64; 2])),
            };
            let mut bytes = Raw::of(&message).0.to_vec();
            match kind {
                5 => expected += 1,
                6 => {
                    // The type of the data becomes one that q does not have, or the bytes are no message at all.
                    let bad = if rng.below(2) == 0 { 0 } else { 14 };
                    bytes[bad] = 0x55;
                }
                7 if rng.below(2) == 0 => bytes[9] = b'x',
                7.. => expected += 2,
                _ => {}
            }
            count += 1;
            file.extend_from_slice(&bytes);
        }
        std::fs::File::create(&path).unwrap().write_all(&file).unwrap();
        let done = Position::default();
        let hidden = replay(&subscription.shared, &path, &done, count)
            .unwrap_or_else(|why| panic!("case {case}: {why}"));
        let held: u64 = subscription.memory.row_counts().iter().map(|(_, n)| n).sum();
        assert_eq!(held, expected, "case {case}, {hidden} hidden");
        // A second look at the same log takes nothing twice.
        let done = Position { messages: count, hidden, ..done };
        replay(&subscription.shared, &path, &done, count).unwrap();
        assert_eq!(subscription.memory.row_counts()[0].1, expected, "case {case}");
        // A log that is cut says so.
        let cut = replay(&subscription.shared, &path, &done, count + 1);
        assert!(hidden > 0 || cut.is_ok() || cut.unwrap_err().contains("holds"), "case {case}");
    }
}

#[tokio::test]
async fn a_live_message_that_cannot_be_read_is_counted_as_the_log_counts_it() {
    let mut subscription = subscription(0);
    let good = Raw::of(&Value::list([Value::sym("upd"), Value::sym("t"), Value::from(1i64)]));
    let mut bad = good.0.to_vec();
    bad[14] = 0x55;
    subscription.take(&good).await;
    subscription.take(&Raw(bad.into())).await;
    subscription.take(&Raw::of(&Value::list([Value::sym("heartbeat")]))).await;
    assert_eq!(subscription.position.messages, 2, "both batches, refused as they are, are in the log");
}
