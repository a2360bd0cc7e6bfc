//! Databases of equal labels tile the time; databases of other labels are joined, or chosen among.

use kvalue::Value;
use testkit::Up;

use crate::{
    ask::{Answer, Asker, at, qmesh},
    cluster::up,
    data::{DAYS, QUOTES, TRADES, copy_of, sample},
};

fn grouped() -> Vec<(&'static str, Value)> {
    let agg = [
        Value::syms(["n", "count", "price"]),
        Value::syms(["high", "max", "price"]),
        Value::syms(["last", "last", "price"]),
        Value::syms(["first", "first", "time"]),
        Value::syms(["volume", "sum", "size"]),
    ];
    vec![("table", Value::sym("trade")), ("groupBy", Value::syms(["sym"])), ("agg", Value::list(agg))]
}

fn between(table: &str, start: &str, end: &str) -> Vec<(&'static str, Value)> {
    crate::ask::counting(table, vec![("startTS", at(start)), ("endTS", at(end))])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_per_day_answers_as_one_database_does() {
    let days = [copy_of(&[DAYS[0].0]), copy_of(&[DAYS[1].0])];
    let whole = up(Up::new(qmesh()).db(sample(), "").replicas(1)).await;
    let cut = up(Up::new(qmesh()).db(days[0].path(), "").db(days[1].path(), "").replicas(2)).await;
    let (whole, asker) = (Asker::to(whole.qipc()).await, Asker::to(cut.qipc()).await);

    assert_eq!(asker.count("trade", vec![]).await.n(), TRADES);
    // Only one of the two databases has it.
    assert_eq!(asker.count("quote", vec![]).await.n(), QUOTES);
    let (one, two) = (whole.get(grouped()).await, asker.get(grouped()).await);
    assert_eq!(one.table().len(), 10);
    assert_eq!(one.table(), two.table());

    // Instants off every boundary of data: each row is in exactly one of the pieces.
    let odd = [
        "2015.01.06D23:59:59.999999999",
        "2015.01.07D03:30:00.000000001",
        "2015.01.07D10:29:59.123456789",
        "2015.01.08D00:00:00.000000000",
        "2015.01.08D00:00:00.000000001",
        "2015.01.08D16:24:56.789012345",
        "2015.01.09D00:00:00.000000000",
        "2016.01.01D00:00:00.000000007",
    ];
    let mut sum = 0;
    for pair in odd.windows(2) {
        let (one, two) = (
            whole.get(between("trade", pair[0], pair[1])).await.n(),
            asker.get(between("trade", pair[0], pair[1])).await.n(),
        );
        assert_eq!(one, two, "{pair:?}");
        assert!(
            two > 0 || pair[1] < odd[1] || pair[0] >= odd[3],
            "no row at all in {pair:?}: a cut that shows nothing"
        );
        sum += two;
    }
    assert_eq!(sum, TRADES);
    assert_eq!(asker.get(between("trade", odd[0], odd[3])).await.n(), DAYS[0].1);
    assert_eq!(asker.get(between("trade", odd[6], odd[7])).await.n(), 0);

    // Rows, not only numbers: in the order of time across the cut.
    let rows = || {
        let range = [("startTS", at("2015.01.07D10:55")), ("endTS", at("2015.01.08D16:20:10"))];
        let mut args = vec![("table", Value::sym("trade")), ("sortCols", Value::syms(["time", "sym"]))];
        args.extend(range);
        args
    };
    let same = |a: Answer, b: Answer| {
        let times = a.table().column("time").expect("times");
        let (first, last) = (times.index(0).as_i64(), times.index(times.count() - 1).as_i64());
        assert!(
            first < at("2015.01.08").as_i64() && last >= at("2015.01.08").as_i64(),
            "{first:?} to {last:?}"
        );
        assert_eq!(a.table(), b.table());
    };
    same(whole.get(rows()).await, asker.get(rows()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_choose_among_databases_and_unknown_ones_are_explained() {
    let mesh = up(Up::new(qmesh()).db(sample(), "region=emea").db(sample(), "region=amer").replicas(1)).await;
    let asker = Asker::to(mesh.qipc()).await;
    let labelled = |value: &str| vec![("labels", kvalue::Dict::of([("region", Value::sym(value))]).into())];
    assert_eq!(asker.count("trade", vec![]).await.n(), 2 * TRADES);
    assert_eq!(asker.count("trade", labelled("emea")).await.n(), TRADES);
    assert_eq!(asker.count("trade", labelled("amer")).await.n(), TRADES);
    let unknown = asker.count("trade", labelled("apac")).await;
    assert_eq!((unknown.rc, unknown.ac), (56, 109), "{unknown:?}");
    for part in ["region=apac", "emea", "amer"] {
        assert!(unknown.ai.contains(part), "{part} is missing in: {}", unknown.ai);
    }
    let no_key =
        asker.count("trade", vec![("labels", kvalue::Dict::of([("desk", Value::sym("x"))]).into())]).await;
    assert_eq!((no_key.rc, no_key.ac), (56, 109), "{no_key:?}");
    assert!(no_key.ai.contains("desk"), "{}", no_key.ai);
}
