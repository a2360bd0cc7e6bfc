//! Queries over random tables of all types against code that goes row by row.

use std::{cmp::Ordering, sync::Arc};

use kvalue::{
    Type,
    types::{NULL_FLOAT, NULL_LONG},
};
use qlang::{
    Value,
    host::Closed,
    ops::table::parted::{Parted, Partitioned},
    session::Session,
    value::{Scalar, Sym, Table, order, value_order},
};

/// A generator that needs no crate: the seed is in the message of whatever fails.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    /// An atom of the type, of few values, now and then null.
    fn atom(&mut self, ty: Type) -> Value {
        if self.below(6) == 0 {
            return Value::null(ty);
        }
        let n = self.below(4) as i64;
        let scalar = match Scalar::null(ty) {
            Scalar::Bool(_) => Scalar::Bool(n > 1),
            Scalar::Guid(_) => Scalar::Guid([n as u8; 16]),
            Scalar::U8(_) => Scalar::U8(b'a' + n as u8),
            Scalar::I16(_) => Scalar::I16(n as i16 - 1),
            Scalar::I32(_) => Scalar::I32(n as i32 - 1),
            Scalar::I64(_) => Scalar::I64(n - 1),
            Scalar::F32(_) => Scalar::F32(n as f32 - 1.5),
            Scalar::F64(_) => Scalar::F64(n as f64 - 1.5),
            Scalar::Sym(_) => Scalar::Sym(Sym::new(["b", "a", "zz", "B"][n as usize])),
        };
        Value::atom(ty, scalar)
    }

    fn column(&mut self, ty: Type, n: usize) -> Value {
        if n == 0 {
            return Value::Vector(Arc::new(qlang::value::Vector::empty(ty)));
        }
        Value::from_items((0..n).map(|_| self.atom(ty)).collect())
    }
}

fn same(a: &Value, b: &Value, what: &str) {
    assert!(order::matches(a, b), "{what}\n got {a:?}\nwant {b:?}");
}

fn table(v: Value) -> Arc<Table> {
    match v {
        Value::Table(t) => t,
        Value::Dict(d) => {
            let Some((k, v)) = d.as_keyed() else { panic!("no keyed table: {d:?}") };
            let names: Vec<Sym> = k.names.iter().chain(v.names.iter()).copied().collect();
            let columns = k.columns.iter().chain(&v.columns).cloned().collect();
            Arc::new(Table { names: names.into(), columns, sorted: false })
        }
        other => panic!("no table: {other:?}"),
    }
}

/// Columns by name against rows of items.
fn check(got: &Table, names: &[&str], rows: &[Vec<Value>], what: &str) {
    let have: Vec<String> = got.names.iter().map(|n| n.text().into_owned()).collect();
    assert_eq!(have, names, "{what}");
    assert_eq!(got.len(), rows.len(), "{what}: number of rows");
    for (i, row) in rows.iter().enumerate() {
        for (j, want) in row.iter().enumerate() {
            same(&got.columns[j].at(i), want, &format!("{what}: row {i}, column {}", names[j]));
        }
    }
}

fn long(v: &Value) -> i64 {
    v.as_int().unwrap_or(NULL_LONG)
}

fn float(v: &Value) -> f64 {
    v.as_number().unwrap_or(NULL_FLOAT)
}

fn sum(rows: &[&Vec<Value>], at: usize) -> i64 {
    rows.iter().map(|r| long(&r[at])).filter(|&x| x != NULL_LONG).sum()
}

#[test]
fn queries_give_what_rows_give() {
    let mut q = Session::new(Box::new(Closed::default()));
    for seed in 1..=72u64 {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (k1, k2) = (Type::ALL[seed as usize % 18], Type::ALL[chance.below(18) as usize]);
        let n = chance.below(40) as usize;
        let columns = vec![
            chance.column(k1, n),
            chance.column(k2, n),
            chance.column(Type::Long, n),
            chance.column(Type::Float, n),
        ];
        let names: Vec<Sym> = ["k", "l", "x", "f"].map(Sym::new).to_vec();
        let t = Table::new(names, columns).expect("columns of one length");
        let rows: Vec<Vec<Value>> = (0..n).map(|i| t.columns.iter().map(|c| c.at(i)).collect()).collect();
        q.set("t", Value::table(t)).expect("set");
        let what = |text: &str| format!("seed {seed}, keys {k1:?} {k2:?}: {text}");
        let mut ask = |text: &str| q.run(text).unwrap_or_else(|e| panic!("{}: {e}", what(text)));

        let text = "select from t where x>0, f<=0.5";
        let kept: Vec<Vec<Value>> = rows
            .iter()
            .filter(|r| long(&r[2]) > 0 && (float(&r[3]).is_nan() || float(&r[3]) <= 0.5))
            .cloned()
            .collect();
        check(&table(ask(text)), &["k", "l", "x", "f"], &kept, &what(text));

        let text = "delete from t where x within 0 1";
        let kept: Vec<Vec<Value>> =
            rows.iter().filter(|r| !(0..=1).contains(&long(&r[2]))).cloned().collect();
        check(&table(ask(text)), &["k", "l", "x", "f"], &kept, &what(text));

        // Groups in the order of their keys, each with its rows in the order of the table.
        let mut groups: Vec<Vec<&Vec<Value>>> = Vec::new();
        for row in rows.iter().filter(|r| long(&r[2]) != 2) {
            match groups
                .iter_mut()
                .find(|g| order::identical(&g[0][0], &row[0]) && order::identical(&g[0][1], &row[1]))
            {
                Some(g) => g.push(row),
                None => groups.push(vec![row]),
            }
        }
        groups.sort_by(|a, b| match value_order(&a[0][0], &b[0][0]) {
            Ordering::Equal => value_order(&a[0][1], &b[0][1]),
            o => o,
        });
        let text = "select n:count i,s:sum x,p:sum x*2,a:first f,b:last x,v:avg f,w:x,d:neg deltas x by k,l from t where x<>2";
        let want: Vec<Vec<Value>> = groups
            .iter()
            .map(|g| {
                let floats: Vec<f64> = g.iter().map(|r| float(&r[3])).filter(|x| !x.is_nan()).collect();
                let xs: Vec<i64> = g.iter().map(|r| long(&r[2])).collect();
                let steps = xs.iter().enumerate().map(|(i, &x)| {
                    let before = if i == 0 { 0 } else { xs[i - 1] };
                    if x == NULL_LONG || before == NULL_LONG { NULL_LONG } else { before - x }
                });
                vec![
                    g[0][0].clone(),
                    g[0][1].clone(),
                    Value::Long(g.len() as i64),
                    Value::Long(sum(g, 2)),
                    Value::Long(2 * sum(g, 2)),
                    g[0][3].clone(),
                    g[g.len() - 1][2].clone(),
                    Value::Float(floats.iter().sum::<f64>() / floats.len() as f64),
                    Value::longs(xs.clone()),
                    Value::longs(steps.collect()),
                ]
            })
            .collect();
        check(&table(ask(text)), &["k", "l", "n", "s", "p", "a", "b", "v", "w", "d"], &want, &what(text));

        let text = "update s:sum x,c:sums x by k from t";
        let want: Vec<Vec<Value>> = (0..n)
            .map(|i| {
                let like: Vec<(usize, &Vec<Value>)> =
                    rows.iter().enumerate().filter(|(_, r)| order::identical(&r[0], &rows[i][0])).collect();
                let all: Vec<&Vec<Value>> = like.iter().map(|(_, r)| *r).collect();
                let until: Vec<&Vec<Value>> = like.iter().filter(|(j, _)| *j <= i).map(|(_, r)| *r).collect();
                let mut row = rows[i].clone();
                row.push(Value::Long(sum(&all, 2)));
                row.push(Value::Long(sum(&until, 2)));
                row
            })
            .collect();
        check(&table(ask(text)), &["k", "l", "x", "f", "s", "c"], &want, &what(text));

        let text = "select from t where x=(max;x) fby l";
        let want: Vec<Vec<Value>> = rows
            .iter()
            .filter(|r| {
                let like = rows.iter().filter(|o| order::identical(&o[1], &r[1])).map(|o| long(&o[2]));
                // Nothing but nulls has no largest item.
                like.max().filter(|&m| m != NULL_LONG) == Some(long(&r[2]))
            })
            .cloned()
            .collect();
        check(&table(ask(text)), &["k", "l", "x", "f"], &want, &what(text));
    }
}

/// A partitioned table in memory: days of the same table.
#[derive(Debug)]
struct Days(Vec<Arc<Table>>);

impl Partitioned for Days {
    fn name(&self) -> Sym {
        Sym::new("p")
    }
    fn field(&self) -> Sym {
        Sym::new("date")
    }
    fn values(&self) -> Value {
        Value::from_items((0..self.0.len() as i32).map(|d| Value::Date(9000 + 2 * d)).collect())
    }
    fn names(&self) -> Vec<Sym> {
        self.0[0].names.to_vec()
    }
    fn rows(&self, at: usize) -> qlang::R<usize> {
        Ok(self.0[at].len())
    }
    fn column(&self, at: usize, name: Sym) -> qlang::R {
        Ok(self.0[at].column(name).cloned().unwrap_or(Value::Nil))
    }
}

#[test]
fn partitions_give_what_one_table_gives() {
    let mut q = Session::new(Box::new(Closed::default()));
    for seed in 1..=12u64 {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let days: Vec<Arc<Table>> = (0..4)
            .map(|_| {
                let n = chance.below(12) as usize;
                let columns = vec![
                    chance.column(Type::Symbol, n),
                    chance.column(Type::Long, n),
                    chance.column(Type::Float, n),
                ];
                Arc::new(Table::new(["k", "x", "f"].map(Sym::new).to_vec(), columns).expect("columns"))
            })
            .collect();
        let whole = days.iter().enumerate().map(|(d, t)| {
            let date = Value::Date(9000 + 2 * d as i32).repeat(t.len());
            let columns = std::iter::once(date).chain(t.columns.iter().cloned()).collect();
            let names = ["date", "k", "x", "f"].map(Sym::new).to_vec();
            Value::table(Table::new(names, columns).expect("columns"))
        });
        let whole = whole.reduce(|a, b| a.append(&b)).expect("days");
        q.set("t", whole).expect("set");
        q.set("p", Value::Mapped(Arc::new(Parted(Arc::new(Days(days)))))).expect("set");
        for text in [
            "select from T where date>2024.08.22",
            "select sum x,n:count i,avg f by k from T",
            "select sum x,n:count i,avg f,max x,last x from T",
            "select s:sum 2*x,first f by date,k from T where x>0",
            "select avg x,min f by k from T where date within 2024.08.24 2024.08.26,f<1",
            "select med f,dev f by k from T",
            "exec x from T where k=`a",
        ] {
            let what = format!("seed {seed}: {text}");
            let mut ask = |name: &str| {
                q.run(&text.replace('T', name)).unwrap_or_else(|e| panic!("{what}, {name}: {e}"))
            };
            same(&ask("p"), &ask("t"), &what);
        }
    }
}

#[test]
fn an_amended_name_is_the_answer_and_errors_leave_the_table() {
    let mut q = Session::new(Box::new(Closed::default()));
    q.run("t:([]a:1 2 3;b:`x`y`z)").expect("a table");
    assert_eq!(q.console("update a:10*a from `t where b=`y").expect("update"), "`t\n");
    assert_eq!(q.console("exec a from t").expect("exec"), "1 20 3\n");
    for wrong in
        ["update a:`no from `t where b=`y", "update a:1 2 from `t", "`t insert (1;2)", "`t upsert 1 2 3"]
    {
        assert!(q.run(wrong).is_err(), "{wrong}");
        assert_eq!(q.console("exec a from t").expect("exec"), "1 20 3\n", "after {wrong}");
    }
}
