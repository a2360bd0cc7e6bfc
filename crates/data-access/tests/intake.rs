//! Whatever `upd` accepts is found again after end of day, equal; whatever it does not, it refused with a reason.
//!
//! Cases are made from a seed; `QMESH_TEST_SEED` gives another than the one that is built in.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use data_access::{
    eod::EndOfDay,
    store::{Tables, memory::MemoryTables},
};
use hdb::{Database, OpenOptions};
use kvalue::{
    Atom, Attr, Dict, Opaque, Sym, Table, Type, Value, Vector,
    time::{DAY, SECOND},
};
use qipc::{Limits, Raw};
use sg::TimeRange;

/// A small generator of our own: the same cases everywhere.
struct Rng(u64);

impl Rng {
    fn seeded(default: u64) -> Rng {
        let seed = std::env::var("QMESH_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(default);
        println!("seed {seed}");
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn atom(&mut self, ty: Type) -> Atom {
        match self.below(8) {
            0 => Atom::null(ty),
            1 => Atom::infinity(ty).unwrap_or(Atom::null(ty)),
            _ if ty == Type::Guid => Atom::Guid([self.below(256) as u8; 16]),
            _ if ty == Type::Symbol => Atom::Symbol(self.of(&["a", "b", "", "größe", "a b", "::"]).into()),
            _ => Atom::from_i64(ty, self.below(100) as i64),
        }
    }

    fn vector(&mut self, ty: Type, n: usize) -> Vector {
        let atoms: Vec<Atom> = (0..n).map(|_| self.atom(ty)).collect();
        Vector::from_atoms(ty, &atoms).unwrap()
    }

    fn string(&mut self) -> Value {
        Value::str(self.of(&["", "a", "::", "text", "a\nb", "long ".repeat(40).as_str(), "\u{e9}\0"]))
    }

    /// An item of a column of lists.
    fn item(&mut self, depth: usize) -> Value {
        if depth > 3 {
            return Value::from(1i64);
        }
        let ty = self.of(&Type::ALL);
        let n = self.below(5);
        match self.below(24) {
            0..=5 => self.string(),
            6 | 7 => Value::Atom(self.atom(ty)),
            8 | 9 => self.vector(ty, n * 9).into(),
            10..=12 => Value::list((0..n).map(|_| self.item(depth + 1)).collect::<Vec<_>>()),
            13 => Value::syms((0..n * 7).map(|i| format!("s{i}"))),
            14 | 15 => Dict::of((0..n).map(|i| (format!("k{i}"), self.item(depth + 1)))).into(),
            16 => Dict::new(self.vector(ty, n).into(), self.vector(Type::Long, n).into()).unwrap().into(),
            17 | 18 => self.nested_table(depth, n).into(),
            19 => Dict::new(self.nested_table(depth, n).into(), self.nested_table(depth, n).into())
                .unwrap()
                .into(),
            20 => Value::Null,
            21 => Dict::of([("a", Value::from(1i64))]).with_sorted(true).into(),
            22 => Value::Opaque(Opaque::new(b"\x65\x01".to_vec().into())),
            _ => {
                (0..self.below(60)).fold(Value::from(0i64), |inner, _| Value::list([inner, Value::str("in")]))
            }
        }
    }

    fn nested_table(&mut self, depth: usize, n: usize) -> Table {
        let items = Value::list((0..n).map(|_| self.item(depth + 1)).collect::<Vec<_>>());
        Table::of([("x", self.vector(Type::Float, n).into()), ("y", items)]).unwrap()
    }

    /// A column of `n` values. Some are marked with attributes that do not hold.
    fn column(&mut self, n: usize) -> Value {
        let ty = self.of(&Type::ALL);
        match self.below(12) {
            0..=4 => self.vector(ty, n).with_attr(self.of(&[Attr::None, Attr::Sorted, Attr::Unique])).into(),
            5..=7 => Value::list((0..n).map(|_| self.string()).collect::<Vec<_>>()),
            8 => {
                let mut texts: Vec<Value> = (0..n).map(|_| self.string()).collect();
                texts[self.below(n)] = self.item(0);
                Value::list(texts)
            }
            9 if n > 1 => Value::list((0..n).map(|_| self.vector(ty, 2).into()).collect::<Vec<_>>()),
            _ => Value::list((0..n).map(|_| self.item(0)).collect::<Vec<_>>()),
        }
    }

    fn name(&mut self, of_table: bool) -> Sym {
        let long = [250, 253, 254, 255, 256, 5000].map(|n| "n".repeat(n));
        let odd: [&[u8]; 36] = [
            b"",
            b".",
            b"..",
            b".d",
            b"a/b",
            b"/",
            b"/etc/x",
            b"../x",
            b"../../x",
            b"a\\b",
            b"par.txt",
            b"sym",
            b"date",
            b"month",
            b"int",
            b"2015.01.07",
            b"2015.01",
            b"7",
            b"t$",
            b"t#",
            b"t##",
            b"select",
            b"i",
            b"count",
            b"a b",
            b"a\nb",
            b"a.b",
            b"T",
            b"t",
            b"\xff\xfe",
            "größe".as_bytes(),
            b"-",
            b"con",
            b"nul\0inside",
            b"..\0",
            b"time",
        ];
        match self.below(8) {
            0..=2 => Sym::new(self.of(&odd)),
            3 if self.one_in(2) => Sym::new(self.of(&long)),
            _ => Sym::new(format!("{}{}", if of_table { "t" } else { "c" }, self.below(1 << 20))),
        }
    }

    /// A batch of its own table; each row has an `id` that no other has.
    fn batch(&mut self, first_id: i64) -> Table {
        let n = 1 + self.below(4);
        let ids = Vector::longs((first_id..first_id + n as i64).collect());
        let mut columns: Vec<(Sym, Value)> = vec![("id".into(), ids.into())];
        if !self.one_in(8) {
            columns.push(("time".into(), self.times(n)));
        }
        if self.one_in(3) {
            columns.push((
                "sym".into(),
                if self.one_in(6) { self.column(n) } else { self.vector(Type::Symbol, n).into() },
            ));
        }
        for _ in 0..self.below(4) {
            let name = self.name(false);
            columns.push((name, self.column(n)));
        }
        let last = columns.len();
        columns.swap(0, last - 1);
        let (names, columns): (Vec<Sym>, Vec<Value>) = columns.into_iter().unzip();
        Table::new(names.iter().map(Sym::as_bytes).collect(), columns).unwrap()
    }

    /// Times of day 0, most of them.
    fn times(&mut self, n: usize) -> Value {
        let ty = self.of(&[
            Type::Timestamp,
            Type::Timestamp,
            Type::Timespan,
            Type::Time,
            Type::Datetime,
            Type::Date,
        ]);
        let odd = self.one_in(6);
        let atoms: Vec<Atom> = (0..n)
            .map(|_| match self.below(4) {
                0 if odd => self.atom(ty),
                _ => match ty {
                    Type::Timestamp | Type::Timespan => {
                        Atom::from_i64(ty, self.below(86_400) as i64 * SECOND)
                    }
                    Type::Time => Atom::Time(self.below(86_400_000) as i32),
                    Type::Datetime => Atom::Datetime(self.below(1000) as f64 / 1000.0),
                    _ => Atom::Date(0),
                },
            })
            .collect();
        Vector::from_atoms(ty, &atoms).unwrap().into()
    }
}

/// Rows by their id, each as the values of the named columns.
type Rows = BTreeMap<i64, BTreeMap<Vec<u8>, Value>>;

fn rows_of<'a>(columns: impl Iterator<Item = (&'a [u8], &'a Value)>) -> Rows {
    let columns: Vec<(&[u8], &Value)> = columns.collect();
    let ids = columns.iter().find(|(name, _)| *name == b"id").map(|(_, ids)| ids).expect("an id");
    let row = |i: usize| columns.iter().map(|(name, column)| (name.to_vec(), column.index(i))).collect();
    (0..ids.count()).map(|i| (ids.index(i).as_i64().expect("no null"), row(i))).collect()
}

/// The rows of a partition on disk.
fn on_disk(db: &Database, table: &str) -> Option<Rows> {
    let part = db.partitions(table).into_iter().find(|p| p.value == 0)?;
    let data = db.open_table(table, Some(&part)).expect("a table");
    let n = data.rows().expect("rows");
    let columns: Vec<(String, Value)> = db
        .table(table)
        .expect("a schema")
        .columns
        .iter()
        .map(|c| {
            (c.name.clone(), data.column(&c.name, 0..n).unwrap_or_else(|e| panic!("{table} {}: {e}", c.name)))
        })
        .collect();
    Some(rows_of(columns.iter().map(|(name, column)| (name.as_bytes(), column))))
}

/// The rows that are served from memory.
fn in_memory(memory: &MemoryTables, table: &Sym) -> Rows {
    let source = memory.source(table).expect("a table");
    let mut rows = Rows::new();
    for block in source.blocks(TimeRange::ALL).expect("blocks") {
        let n = block.rows().expect("rows");
        let columns: Vec<(Sym, Value)> = source
            .schema()
            .columns
            .iter()
            .map(|c| (c.name.clone(), block.column(&c.name, 0..n).expect("a column")))
            .collect();
        rows.extend(rows_of(columns.iter().map(|(name, column)| (name.as_bytes(), column))));
    }
    rows
}

/// What a publisher sends, as it arrives; `None` where it cannot even be read.
fn sent(table: &Sym, data: Value) -> Option<(Sym, Value)> {
    if table.as_bytes().contains(&0) {
        // It cannot travel as a symbol: as if it had.
        return Some((table.clone(), data));
    }
    let message = Value::list([Value::sym("upd"), table.clone().into(), data]);
    let arrived = Raw::of(&message).decode(&Limits::internal()).ok()?;
    Some((arrived.index(1).as_sym()?, arrived.index(2)))
}

fn names_in(dir: &Path) -> BTreeSet<String> {
    std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// In memory where there is such a disk: a save waits for the disk at each file.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[tokio::test]
async fn what_upd_accepts_is_found_again_after_end_of_day_and_what_not_it_refuses_with_a_reason() {
    let mut rng = Rng::seeded(14);
    let (mut accepted, mut refused, mut id) = (0, BTreeMap::<String, usize>::new(), 0);
    for round in 0..30 {
        let top = folder();
        let root = top.path().join("inside/db");
        let memory = MemoryTables::new(0, 1 << 30);
        let mut expected: BTreeMap<Sym, Rows> = BTreeMap::new();
        for case in 0..50 {
            let what = format!("round {round} case {case}");
            let name = rng.name(true);
            let batch = rng.batch(id);
            id += batch.len() as i64;
            let known = memory.names();
            let Some((name, data)) = sent(&name, batch.clone().into()) else {
                *refused.entry("unreadable".into()).or_default() += 1;
                continue;
            };
            match memory.upd(&name, &data) {
                Ok(taken) => {
                    assert_eq!(taken.rows, batch.len(), "{what}");
                    accepted += 1;
                    expected.entry(name).or_default().extend(rows_of(batch.iter()));
                }
                Err(failure) => {
                    assert!(failure.ai.len() > 20, "{what}: {}", failure.ai);
                    assert_eq!(memory.names(), known, "{what}: a refused batch changes nothing");
                    *refused
                        .entry(failure.ai.split(": ").last().unwrap_or_default().chars().take(24).collect())
                        .or_default() += 1;
                }
            }
        }
        EndOfDay::new(memory.clone(), Some(root.clone()), None).run(0).await;
        assert_eq!(names_in(top.path()), BTreeSet::from(["inside".to_string()]));
        assert_eq!(names_in(&top.path().join("inside")), BTreeSet::from(["db".to_string()]));
        let db = Database::open(&root, &OpenOptions::default()).unwrap();
        assert!(db.problems().is_empty(), "{:?}", db.problems());
        for (name, rows) in &expected {
            let found = match memory.schema(name).unwrap().time {
                // All of it belongs to every day: it stays in memory.
                None => in_memory(&memory, name),
                Some(_) => {
                    let later =
                        memory.rows_in(name, TimeRange::new(DAY, TimeRange::MAX).unwrap()).unwrap().unwrap();
                    let later = rows_of(later.iter());
                    let mut found = on_disk(&db, &name.text()).unwrap_or_default();
                    assert!(
                        later.keys().all(|id| !found.contains_key(id)),
                        "round {round}, table {name}: twice"
                    );
                    found.extend(later);
                    found
                }
            };
            assert_eq!(&found, rows, "round {round}, table {name}");
        }
    }
    println!("{accepted} accepted; refused {refused:?}");
    assert!(accepted > 300 && refused.values().sum::<usize>() > 300, "{accepted} {refused:?}");
}

#[tokio::test]
async fn a_table_that_cannot_be_saved_costs_no_other() {
    let dir = folder();
    // Something of this name is in the way of all tables with symbols.
    std::fs::create_dir(dir.path().join("sym")).unwrap();
    let memory = MemoryTables::new(0, 1 << 30);
    let with_symbols =
        Table::of([("time", Value::from(Vector::timestamps(vec![1, 2]))), ("sym", Value::syms(["a", "b"]))]);
    let without = Table::of([("time", Value::from(Vector::timestamps(vec![1, 2, 3])))]);
    for (name, table) in [("a", with_symbols.clone()), ("b", without), ("c", with_symbols)] {
        memory.upd(&name.into(), &table.unwrap().into()).unwrap();
    }
    EndOfDay::new(memory, Some(dir.path().into()), None).run(0).await;
    let db = Database::open(dir.path(), &OpenOptions::default()).unwrap();
    let names: Vec<&str> = db.tables().iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["b"]);
}

#[test]
fn the_cases_of_the_list_are_refused_or_found_again() {
    let memory = MemoryTables::new(0, 1 << 30);
    let table = |column: &str, note: Value| {
        Value::from(Table::of([("time", Vector::timestamps(vec![1, 2]).into()), (column, note)]).unwrap())
    };
    let strings = || Value::list([Value::str("a"), Value::str("")]);
    let refused = |name: &str, data: &Value, parts: &[&str]| {
        let why = memory.upd(&name.into(), data).unwrap_err().ai;
        parts.iter().for_each(|part| assert!(why.contains(part), "{why}"));
    };
    refused("a/b", &table("note", strings()), &["table \"a/b\" cannot be saved", "plain file name"]);
    refused("t", &table(".d", strings()), &["column \".d\" of table t cannot be saved"]);
    refused("t", &table("date", strings()), &["column \"date\"", "partition gives"]);
    refused("sym", &table("note", strings()), &["enumerates"]);
    refused(
        "t",
        &table("note", Value::list([Value::str("a"), Value::Null])),
        &["column note", "row 1 is ::"],
    );
    memory.upd(&"t".into(), &table("note", strings())).unwrap();
    refused(
        "t",
        &table("note", Value::list([Value::Null, Value::str("a")])),
        &["column note", "row 0 is ::"],
    );
    assert_eq!(memory.row_counts(), [("t".into(), 2)]);
}

/// What a row of the second test is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Here,
    Late,
    Infinite,
}

#[test]
fn a_batch_is_taken_whole_or_the_error_says_how_many_rows_and_which_part_does_not_fit() {
    const START: i64 = 10 * DAY;
    let mut rng = Rng::seeded(15);
    let names = ["time", "sym", "n", "note"];
    for case in 0..2_000 {
        let memory = MemoryTables::new(START, 1 << 30);
        let schema = Table::of([
            ("time", Value::from(Vector::empty(Type::Timestamp))),
            ("sym", Vector::empty(Type::Symbol).into()),
            ("n", Vector::empty(Type::Long).into()),
            ("note", Value::list([])),
        ]);
        let name = Sym::new("t");
        memory.describe(&name, &schema.unwrap().into()).unwrap();
        let n = 1 + rng.below(6);
        let places: Vec<Place> =
            (0..n).map(|_| rng.of(&[Place::Here, Place::Here, Place::Late, Place::Infinite])).collect();
        let times = places.iter().map(|place| match place {
            Place::Here => {
                if rng.one_in(8) {
                    i64::MIN
                } else {
                    START + rng.below(1 << 40) as i64
                }
            }
            Place::Late => START - 1 - rng.below(1 << 50) as i64,
            Place::Infinite => rng.of(&[i64::MAX, -i64::MAX]),
        });
        let mut columns: Vec<(String, Value)> = vec![
            ("time".into(), Vector::timestamps(times.collect()).into()),
            ("sym".into(), rng.vector(Type::Symbol, n).into()),
            ("n".into(), Vector::longs((0..n as i64).collect()).into()),
            ("note".into(), Value::list(vec![Value::str("x y"); n])),
        ];
        // What is wrong with the columns, if anything.
        let at = rng.below(columns.len());
        let wrong = match rng.below(10) {
            0 => {
                let gone = columns.remove(at).0;
                Some(vec![gone, "columns".into()])
            }
            1 => {
                columns.push(("venue".into(), rng.vector(Type::Symbol, n).into()));
                Some(vec!["venue".into(), "columns".into()])
            }
            2 if at < 3 => {
                columns[at].1 = rng.vector(Type::Real, n).into();
                Some(vec![format!("column {} must be", names[at])])
            }
            3 if at < 3 && n > 1 => {
                columns[at].1 = columns[at].1.slice(0..n - 1);
                Some(vec!["length".into()])
            }
            _ => None,
        };
        let form = rng.below(4);
        if form != 2 {
            (0..columns.len()).rev().for_each(|i| columns.swap(i, rng.below(i + 1)));
        }
        let data = match form {
            0 => match Table::of(columns.iter().map(|(n, v)| (n, v.clone()))) {
                Ok(table) => Value::from(table),
                Err(_) => continue,
            },
            1 => Dict::of(columns.iter().map(|(n, v)| (n, v.clone()))).into(),
            2 => Value::list(columns.iter().map(|(_, v)| v.clone()).collect::<Vec<_>>()),
            _ => match (Table::of(columns[..1].to_vec()), Table::of(columns[1..].to_vec())) {
                (Ok(keys), Ok(values)) if keys.len() == values.len() => {
                    Dict::new(keys.into(), values.into()).unwrap().into()
                }
                _ => continue,
            },
        };
        let count = |of: Place| places.iter().filter(|p| **p == of).count();
        let (late, infinite) = (count(Place::Late), count(Place::Infinite));
        let in_part = rng.one_in(2);
        let outcome = memory.append(&name, &data, in_part);
        let held = memory.row_counts()[0].1 as usize;
        let what = format!(
            "case {case}: form {form} wrong {wrong:?} late {late} infinite {infinite} in part {in_part}: {outcome:?}"
        );
        match (outcome, wrong) {
            (Err(refused), Some(parts)) => {
                assert!(parts.iter().any(|part| refused.failure.ai.contains(part)), "{what}");
                assert_eq!(held, 0, "{what}");
            }
            (Err(refused), None) => {
                assert!(late + infinite > 0 && (!in_part || late + infinite == n), "{what}");
                assert!(refused.failure.ai.contains(&format!("{} of {n} rows", late + infinite)), "{what}");
                assert_eq!((refused.rows.late, refused.rows.infinite, held), (late, infinite, 0), "{what}");
            }
            (Ok(taken), None) => {
                assert!(in_part || late + infinite == 0, "{what}");
                assert_eq!((taken.rows, held), (n - late - infinite, n - late - infinite), "{what}");
                assert_eq!((taken.unplaced.late, taken.unplaced.infinite), (late, infinite), "{what}");
                // Every row that was taken is found by its time.
                let found =
                    memory.rows_in(&name, TimeRange::new(START, TimeRange::MAX).unwrap()).unwrap().unwrap();
                assert_eq!(found.len(), held, "{what}");
            }
            (Ok(_), Some(_)) => panic!("{what}"),
        }
    }
}
