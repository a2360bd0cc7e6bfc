//! The command line: forms of results, exit codes, and sentences that explain what is wrong.

use std::{
    fs,
    process::{Command, Output},
};

use parquet::file::reader::{FileReader, SerializedFileReader};
use testkit::Up;

use crate::{
    ask::qmesh,
    data::{DAYS, TRADES, sample},
};

fn run(args: &[&str], envs: &[(&str, &str)]) -> Output {
    let mut command = Command::new(qmesh());
    for name in ["QMESH_GATEWAY", "KXI_SG_RC_ADDR", "GATEWAY_QIPC_PORT", "QMESH_DB", "KXI_SC"] {
        command.env_remove(name);
    }
    command.args(args).envs(envs.iter().copied()).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn fails(args: &[&str], envs: &[(&str, &str)], code: i32, parts: &[&str]) {
    let output = run(args, envs);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(output.stdout.is_empty(), "{args:?}: an error belongs on stderr: {}", text(&output.stdout));
    for part in parts {
        assert!(said.contains(part), "{args:?}: `{part}` is missing in: {said}");
    }
}

#[test]
fn results_come_in_every_form() {
    let mesh = Up::new(qmesh()).db(sample(), "").start().unwrap_or_else(|e| panic!("{e}"));
    let gateway = mesh.qipc().to_string();
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("result");
    let query = |format: &str, more: &[&str]| {
        let mut args = vec!["query", "--gateway", &gateway, "--table", "trade", "--format", format];
        args.extend(more);
        let output = run(&args, &[]);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
        output.stdout
    };
    let by_sym = ["--group-by", "sym", "--agg", "n=count(price),high=max(price)"];

    let console = text(&query("console", &by_sym));
    let lines: Vec<&str> = console.lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["sym", "n", "high"]);
    assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["AAPL", "63660", "121.91"]);
    assert_eq!(lines.len(), 12);

    let json: serde_json::Value = serde_json::from_slice(&query("json", &by_sym)).expect("JSON");
    let rows = json.as_array().expect("rows");
    assert_eq!(rows.len(), 10);
    assert_eq!(rows[0], serde_json::json!({"sym": "AAPL", "n": 63660, "high": 121.91}));

    let csv = text(&query("csv", &by_sym));
    assert_eq!(csv.lines().take(2).collect::<Vec<_>>(), ["sym,n,high", "AAPL,63660,121.91"]);
    assert_eq!(csv.lines().count(), 11);

    let stream = query("arrow", &["--end", "2015.01.08"]);
    let reader = arrow_ipc::reader::StreamReader::try_new(&stream[..], None).expect("an Arrow stream");
    let rows: usize = reader.map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(rows as i64, DAYS[0].1);

    assert!(query("parquet", &["--out", &out.display().to_string()]).is_empty());
    let bytes = fs::read(&out).expect("a file");
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let reader = SerializedFileReader::new(fs::File::open(&out).expect("a file")).expect("Parquet");
    assert_eq!(reader.metadata().file_metadata().num_rows(), TRADES);

    // Filters and signs of limit, as typed.
    let few =
        text(&query("csv", &["--filter", "sym in AAPL,IBM", "--filter", "price > 50", "--limit", "-3"]));
    assert_eq!(few.lines().count(), 4);

    let ask = |more: &[&'static str]| {
        let mut args = vec!["query", "--gateway"];
        args.push(&gateway);
        args.extend(more);
        args.into_iter().map(String::from).collect::<Vec<_>>()
    };
    let refused = |more: &[&'static str], parts: &[&str]| {
        let args = ask(more);
        fails(&args.iter().map(String::as_str).collect::<Vec<_>>(), &[], 1, parts);
    };
    refused(&["--table", "nosuch"], &["rc 56", "nosuch"]);
    refused(&["--table", "trade", "--agg", "avg(nosuch)"], &["nosuch"]);
    refused(&["--table", "trade", "--label", "region=x"], &["region=x"]);
    refused(&[".no.such.api"], &[".no.such.api"]);
}

#[test]
fn what_makes_no_request_is_exit_code_2_and_a_sentence() {
    fails(&["query"], &[], 2, &["--table"]);
    fails(&["query", "--table", "t", "--start", "yesterday"], &[], 2, &["--start", "yesterday", "expected"]);
    fails(&["query", "--table", "t", "--agg", "avg(price"], &[], 2, &["--agg", "avg(price", "expected"]);
    fails(&["query", "--table", "t", "--filter", "price"], &[], 2, &["--filter", "price", "expected"]);
    fails(&["query", "--table", "t", "--label", "region"], &[], 2, &["--label", "region", "key=value"]);
    fails(&["query", "--table", "t", "--format", "xml"], &[], 2, &["xml", "parquet"]);
    fails(&["query", ".kxi.getData", "{table"], &[], 2, &["{table"]);
    fails(&["query", "--tabel", "t"], &[], 2, &["--tabel"]);
    fails(&["nosuch"], &[], 2, &["nosuch"]);
}

#[test]
fn a_gateway_that_is_not_there_is_exit_code_1_and_what_to_do() {
    // A port that was free a moment ago.
    let address = format!("127.0.0.1:{}", testkit::ports::port());
    fails(&["query", "--gateway", &address, "--table", "t"], &[], 1, &[&address, "qmesh up"]);
}

#[test]
fn a_bad_variable_or_database_stops_a_process_at_start_with_a_sentence() {
    let rc = ("KXI_SG_RC_ADDR", "127.0.0.1:1");
    fails(&["gateway"], &[rc, ("GATEWAY_QIPC_PORT", "many")], 2, &["GATEWAY_QIPC_PORT", "many", "expected"]);
    fails(&["gateway"], &[rc, ("KXI_SG_TIMEOUT", "soon")], 2, &["KXI_SG_TIMEOUT", "soon", "expected"]);
    fails(&["gateway"], &[], 2, &["KXI_SG_RC_ADDR"]);
    fails(&["coordinator"], &[("KXI_PORT", "-1")], 2, &["KXI_PORT", "-1"]);
    fails(&["aggregator"], &[], 2, &["KXI_SG_RC_ADDR"]);
    fails(&["data-access"], &[rc, ("KXI_SC", "hdb")], 2, &["QMESH_DB"]);
    fails(&["data-access"], &[rc, ("QMESH_LABELS", "region")], 2, &["QMESH_LABELS", "region"]);
    fails(&["up", "--db", "no/such/folder"], &[], 2, &["no/such/folder", "does not exist"]);
    fails(&["up", "--replicas", "0"], &[], 2, &["--replicas", "0"]);
}

#[test]
fn a_folder_that_is_no_database_is_refused_at_every_door() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(at("csvs")).expect("a folder");
    fs::write(at("csvs/trade.csv"), "time,sym\n").expect("a file");
    fs::write(at("file"), "text").expect("a file");
    let (csvs, file) = (at("csvs"), at("file"));
    let partition = sample().join(DAYS[0].0).display().to_string();
    let table = format!("{partition}/trade");
    let column = format!("{table}/price");
    for (db, parts) in [
        (&partition, ["is one partition", "every time range", "give "]),
        (&table, ["one splayed table", "the directory above", "trade"]),
        (&column, ["is no database", "column of a kdb+ table", "give "]),
        (&csvs, ["is no kdb+ database", "1 CSV file", "qmesh q"]),
        (&file, ["is no database", "a file", "\\l"]),
    ] {
        fails(&["up", "--qipc-port", "0", "--http-port", "0", "--db", db], &[], 2, &parts);
        if *db != csvs {
            fails(&["data-access", "--port", "0", "--tier", "hdb", "--db", db], &[], 1, &parts);
        }
    }
}

/// Each of them is linked to the gateway and serves; together they are one mesh over one set of data.
#[test]
fn up_with_several_coordinators_is_one_mesh() {
    let mesh = Up::new(qmesh())
        .db(sample(), "")
        .replicas(2)
        .arg("--coordinators")
        .arg("3")
        .start()
        .unwrap_or_else(|e| panic!("{e}"));
    let end = std::time::Instant::now() + testkit::mesh::PATIENCE;
    loop {
        let (_, page) = testkit::http::get(mesh.http(), "/readyz?verbose").expect("a page");
        if page.contains("coordinators linked: 3, ready: 3") {
            break;
        }
        assert!(std::time::Instant::now() < end, "three coordinators: {page}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let gateway = mesh.qipc().to_string();
    // Requests go to coordinators in turn: each is asked twice.
    for _ in 0..6 {
        let args = [
            "query",
            "--gateway",
            &gateway,
            "--table",
            "trade",
            "--agg",
            "n=count(price)",
            "--format",
            "json",
        ];
        let output = run(&args, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let rows: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(rows[0]["n"], TRADES, "{rows}");
    }
}
