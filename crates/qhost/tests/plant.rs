//! A plant in q: tickerplant, today's and earlier days' processes, through a crash, a replay and an end of day.

#[allow(dead_code)] // each test uses its part
mod support;

use std::path::Path;

use support::{Q, console, free_port};

#[test]
fn no_row_is_lost_or_doubled_through_a_crash_and_the_end_of_the_day() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plant");
    let script = |name: &str| scripts.join(name).to_string_lossy().into_owned();
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path();
    let (log, hdb_dir) = (root.join("log"), root.join("hdb"));
    std::fs::create_dir_all(&log).expect("made");
    std::fs::create_dir_all(&hdb_dir).expect("made");
    let (tp_port, rdb_port, hdb_port) = (free_port(), free_port(), free_port());
    let (log, hdb_text) = (log.to_string_lossy().into_owned(), hdb_dir.to_string_lossy().into_owned());
    let (tp_text, hdb_port_text) = (tp_port.to_string(), hdb_port.to_string());

    let tp_script = script("tick.q");
    let tables = script("tables.q");
    let tp = Q::start(root, &[&tp_script, &tables, &log], tp_port);
    let hdb_script = script("hdb.q");
    let hdb = Q::start(root, &[&hdb_script, &hdb_text], hdb_port);
    let rdb_script = script("rdb.q");
    let rdb_arguments = [rdb_script.as_str(), &tp_text, &hdb_text, &hdb_port_text];
    let rdb = Q::start(root, &rdb_arguments, rdb_port);

    let feed = |rows: &str| {
        let (_, err, _) = console(root, &[], &format!("h:hopen {tp_port};\n{rows}\nh\"1\";\n"));
        assert!(err.is_empty(), "{err}");
    };
    feed("neg[h](`.u.upd;`trade;(`b`a`b;1 2 3f;10 20 30));neg[h](`.u.upd;`quote;(`a;1f;2f));");
    rdb.until("(count trade;sum exec size from trade)", "3 60");

    // The process of today dies; what it had comes back from the log, what comes meanwhile is there once.
    rdb.kill();
    feed("neg[h](`.u.upd;`trade;(`c;4f;40));");
    let rdb = Q::start(root, &rdb_arguments, rdb_port);
    feed("neg[h](`.u.upd;`trade;(`a;5f;50));");
    rdb.until("(count trade;count quote;exec sum size from trade)", "5 1 150");
    assert_eq!(tp.ask(".u.i"), "4\n");

    // So does the tickerplant: its log is whole, and it goes on where it was.
    tp.kill();
    let tp = Q::start(root, &[&tp_script, &tables, &log], tp_port);
    assert_eq!(tp.ask(".u.i"), "4\n");
    rdb.kill();
    let rdb = Q::start(root, &rdb_arguments, rdb_port);
    rdb.until("(count trade;count quote)", "5 1");

    // The end of the day: saved, forgotten here, served there.
    let day = tp.ask(".u.d");
    tp.ask(".u.endofday[]");
    rdb.until("(count trade;count quote)", "0 0");
    assert_eq!(rdb.ask("attr trade`sym"), "`g\n");
    hdb.until("exec sum size from trade", "150");
    assert_eq!(
        hdb.ask("(.Q.pv;(meta trade)[`sym]`a)"),
        format!(
            ",{day}`p
"
        )
    );
    assert_eq!(hdb.ask("exec price from trade where date=last .Q.pv,sym=`b"), "1 3f\n");
    feed("neg[h](`.u.upd;`trade;(`z;6f;60));");
    rdb.until("(count trade;exec first sym from trade)", "1\n`z");
}
