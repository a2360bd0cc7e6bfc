//! Coordinators that find each other answer as one.

use std::collections::BTreeSet;

use testkit::api_server::{ApiServer, Mood, pod};

use crate::{
    ask::{Asker, eventually, rows_by_symbol},
    cluster::Cluster,
    data::{TRADES, sample},
    load::Load,
};

/// Waits until a gateway's answers come from everything there is.
async fn whole(cluster: &mut Cluster, gateway: &str) {
    let addr = cluster.qipc(gateway);
    rows_by_symbol(addr).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_coordinators_of_a_list_mesh_and_a_request_to_any_uses_what_all_own() {
    let mut cluster = Cluster::of(3, &sample());
    cluster.start_all();
    cluster.ready(&["rc-0", "rc-1", "rc-2", "gw-0", "gw-1"]).await;
    for rc in ["rc-0", "rc-1", "rc-2"] {
        // Each pair has one link, whoever dialled it.
        let trouble = eventually(&format!("{rc} without trouble"), async || {
            let (_, text) = cluster.page(rc, "/readyz?verbose")?;
            (!text.contains("no link to")).then_some(text)
        })
        .await;
        assert!(trouble.contains("3 found"), "{trouble}");
    }
    whole(&mut cluster, "gw-0").await;
    // Requests go to the coordinators in turn: six answers have met each as primary twice.
    let asker = Asker::to(cluster.qipc("gw-0")).await;
    for _ in 0..6 {
        assert_eq!(asker.count("trade", vec![]).await.n(), TRADES);
    }
    let mut owners = BTreeSet::new();
    for rc in ["rc-0", "rc-1", "rc-2"] {
        if cluster.metric(rc, "kxi_rc_reqs_total").is_some_and(|n| n > 0.0) {
            owners.insert(rc);
        }
    }
    assert_eq!(owners.len(), 3, "requests were spread over {owners:?}");
    // Any of them explains what any of them did, leg by leg.
    let counted = asker.count("trade", vec![]).await;
    let corr = counted.header.get("corr").expect("a corr");
    for _ in 0..3 {
        let legs = eventually("an explanation with what the data process said", async || {
            let explained =
                asker.call(".qmesh.explain", vec![("corr", corr.clone())]).await.expect("an answer");
            assert_eq!(explained.rc, 0, "{}", explained.ai);
            let legs = explained.payload.as_dict()?.get("legs")?.as_table()?.clone();
            let of = |leg: &str| {
                let names = legs.column("leg")?.as_names()?;
                let row = names.iter().position(|name| name == leg)?;
                Some((legs.column("process")?.index(row), legs.column("bytes")?.index(row).as_i64()?))
            };
            let (replica, sent) = of("dap")?;
            let (_, answered) = of("agg-gw")?;
            let replica = replica.as_name()?.text().into_owned();
            (replica.starts_with("da-") && sent > 0 && answered > 0).then_some(legs)
        })
        .await;
        assert_eq!(legs.column("ms").map(|ms| ms.count()), Some(legs.len()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_found_by_label_and_routing_goes_on_while_the_api_server_is_gone() {
    let api = ApiServer::start().expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    std::fs::write(&config, api.kubeconfig()).expect("a file");
    let config = config.display().to_string();
    let mut cluster = Cluster::new();
    cluster.env("KUBECONFIG", &config);
    let (rcs, das) = ("app=rc", "app=da");
    for rc in ["rc-0", "rc-1"] {
        let vars = [
            ("KXI_SG_DISC", "kubernetes"),
            ("KXI_SG_RC_LABEL_SELECTOR", rcs),
            ("KXI_SG_DA_LABEL_SELECTOR", das),
            ("QMESH_RC_SETTLE", "0"),
        ];
        cluster.add(rc, &vars);
    }
    let list = cluster.addresses("rc");
    cluster.add("gw-0", &[("KXI_SG_RC_LABEL_SELECTOR", rcs)]);
    cluster.add("agg-0", &[("KXI_SG_RC_ADDR", list.as_str())]);
    let db = sample().display().to_string();
    for da in ["da-0", "da-1", "da-2", "da-3"] {
        cluster.add(da, &[("QMESH_DB", db.as_str())]);
    }
    cluster.start_all();
    let put = |cluster: &mut Cluster, name: &str, app: &str, ready: bool| {
        let addr = cluster.qipc(name);
        api.put(pod(name, &format!("uid-{name}"), &[("app", app)], addr, ready));
    };
    for name in ["rc-0", "rc-1"] {
        put(&mut cluster, name, "rc", true);
    }
    for name in ["da-0", "da-1", "da-2"] {
        put(&mut cluster, name, "da", true);
    }
    cluster.ready(&["gw-0"]).await;
    whole(&mut cluster, "gw-0").await;
    let owned = async |cluster: &mut Cluster, n: f64| {
        eventually(&format!("{n} data processes owned"), async || {
            let of = |c: &mut Cluster, rc| c.metric(rc, "kxi_rc_connected_daps").unwrap_or(0.0);
            (of(cluster, "rc-0") + of(cluster, "rc-1") == n).then_some(())
        })
        .await;
    };
    owned(&mut cluster, 3.0).await;
    let load = Load::on(cluster.qipc("gw-0")).await;
    // A pod that flips its readiness keeps its session; one that comes is dialled.
    put(&mut cluster, "da-1", "da", false);
    put(&mut cluster, "da-3", "da", true);
    owned(&mut cluster, 4.0).await;
    put(&mut cluster, "da-1", "da", true);
    load.goes_on("with four data processes").await;
    // Without an API server everything goes on with what is known, and says so.
    api.be(Mood::Gone);
    eventually("a stale source", async || {
        cluster
            .page("gw-0", "/readyz?verbose")
            .filter(|(status, text)| *status == 200 && text.contains("STALE"))
    })
    .await;
    cluster.until_metric("rc-0", "qmesh_discovery_stale{of=\"dap\"}", 1.0).await;
    load.goes_on("without an API server").await;
    api.be(Mood::Well);
    cluster.until_metric("rc-0", "qmesh_discovery_stale{of=\"dap\"}", 0.0).await;
    // A pod that leaves the selector is let go.
    put(&mut cluster, "da-0", "other", true);
    owned(&mut cluster, 3.0).await;
    load.goes_on("with one pod less").await;
    let outcome = load.end().await;
    assert!(outcome.is_clean(), "{outcome:?}");
}
