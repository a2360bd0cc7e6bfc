//! Two sources that would both serve the same instants are refused, naming both; the others keep serving.

use testkit::Process;

use crate::{
    ask::{Asker, PATIENCE, eventually, qmesh},
    cluster::Cluster,
    data::{DAYS, TRADES, copy_of, sample},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_overlapping_database_is_refused_by_name_and_the_others_keep_serving() {
    // Not a replica: it holds one of the days only, so its fingerprint is another.
    let other = copy_of(&[DAYS[1].0]);
    let mut cluster = Cluster::over(&sample());
    let asker = Asker::to(cluster.qipc()).await;
    eventually("the whole mesh", async || {
        let asked = asker.call(".kxi.getData", crate::ask::counting("trade", vec![])).await;
        asked.ok().filter(|a| a.rc == 0)
    })
    .await;
    cluster.add("odd-0", &[("QMESH_DB", &other.path().display().to_string())]);
    cluster.start("odd-0");

    let (status, page) = eventually("the refusal on its page of health", async || {
        cluster.page("odd-0", "/readyz?verbose").filter(|(_, page)| page.contains("both hold table"))
    })
    .await;
    assert_eq!(status, 503, "{page}");
    for part in ["odd-0", "da-", "trade", "2015.01.08", "source id"] {
        assert!(page.contains(part), "`{part}` is missing in: {page}");
    }
    let told = |log: Vec<String>| log.iter().any(|line| line.contains("both hold table")).then_some(());
    eventually("the refusal in its log", async || told(cluster.log("odd-0"))).await;

    assert_eq!(asker.count("trade", vec![]).await.n(), TRADES);
    let meta = asker.call(".kxi.getMeta", vec![]).await.expect("metadata");
    let daps = meta.payload.as_dict().and_then(|d| d.get("dap")).expect("data processes");
    let names = daps.as_table().and_then(|t| t.column("dap")?.as_names()).expect("names");
    assert!(names.iter().all(|name| *name != "odd-0"), "{names:?}");
}

#[test]
fn up_with_overlapping_databases_says_so_and_ends() {
    let other = copy_of(&[DAYS[1].0]);
    let mut args: Vec<String> = ["up", "--qipc-port", "0", "--http-port", "0"].map(String::from).to_vec();
    for dir in [sample(), other.path().to_path_buf()] {
        args.extend(["--db".into(), dir.display().to_string()]);
    }
    let mut process = Process::start("qmesh up", &qmesh(), &args, &[]).expect("it starts");
    let limit = std::time::Instant::now() + PATIENCE / 2;
    let status = loop {
        match process.ended() {
            Some(status) => break status,
            None => assert!(std::time::Instant::now() < limit, "it does not end: {}", process.tail()),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(2), "{}", process.tail());
    let said = || process.tail();
    let missing = |part: &str| !said().contains(part);
    // Its last words may still be on their way through the pipe.
    let patience = std::time::Instant::now() + PATIENCE / 6;
    let parts = ["both hold table trade", "source db-0", "source db-1"];
    // Either may register first: the directory of the other is named.
    let dirs = [sample(), other.path().to_path_buf()].map(|dir| format!("--db {}: ", dir.display()));
    let named = || dirs.iter().any(|dir| !missing(dir));
    while (parts.iter().any(|p| missing(p)) || !named()) && std::time::Instant::now() < patience {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for part in parts {
        assert!(!missing(part), "`{part}` is missing in: {}", said());
    }
    assert!(named(), "neither of {dirs:?} is in: {}", said());
}
