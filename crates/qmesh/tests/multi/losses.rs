//! Processes that are killed, stopped, added and taken away under an open-loop load.

use crate::{
    ask::eventually,
    cluster::Cluster,
    data::sample,
    load::{Load, Outcome},
};

async fn running(coordinators: usize) -> Cluster {
    let mut cluster = Cluster::of(coordinators, &sample());
    cluster.start_all();
    cluster.ready(&["gw-0", "gw-1", "agg-0", "agg-1", "da-0", "da-1", "da-2"]).await;
    cluster
}

/// Waits until a gateway has so many coordinators.
async fn linked(cluster: &mut Cluster, gateway: &str, n: f64) {
    cluster.until_metric(gateway, "kxi_sg_connected_coordinators", n).await;
}

/// Kills a process while requests are with it: they are quick, so that a kill at any moment would mostly find it
/// idle. It halts first, and is killed once the load has given it work.
async fn kill_at_work(cluster: &mut Cluster, name: &str, load: &Load) {
    cluster.freeze(name).unwrap_or_else(|e| panic!("{e}"));
    load.asks_more(6).await;
    cluster.kill(name);
}

/// How a process goes.
#[derive(Clone, Copy)]
enum End {
    /// killed with work in its hands
    Killed,
    /// told to stop
    Stopped,
}

/// Each of these goes and comes back, while requests are answered all the time.
async fn one_by_one(names: &[&str], end: End) -> Outcome {
    let mut cluster = running(3).await;
    linked(&mut cluster, "gw-0", 3.0).await;
    let load = Load::on(cluster.qipc("gw-0")).await;
    for name in names {
        match end {
            End::Killed => kill_at_work(&mut cluster, name, &load).await,
            End::Stopped => cluster.stop(name).await,
        }
        load.goes_on(&format!("without {name}")).await;
        cluster.start(name);
        cluster.ready(&[name]).await;
        load.goes_on(&format!("with {name} back")).await;
    }
    load.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_one_of_three_coordinators_costs_no_safe_request() {
    let mut cluster = running(3).await;
    linked(&mut cluster, "gw-0", 3.0).await;
    let load = Load::on(cluster.qipc("gw-0")).await;
    for rc in ["rc-0", "rc-1", "rc-2"] {
        kill_at_work(&mut cluster, rc, &load).await;
        load.goes_on(&format!("without {rc}")).await;
        cluster.start(rc);
        cluster.ready(&[rc, "agg-0", "agg-1", "da-0", "da-1", "da-2"]).await;
        linked(&mut cluster, "gw-0", 3.0).await;
        load.goes_on(&format!("with {rc} back")).await;
    }
    let Outcome { right, again, cut } = load.end().await;
    assert!(right > 100 && cut == 0 && again.is_empty(), "{right} right, {cut} cut, {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_aggregators_and_data_processes_of_several_coordinators_costs_no_safe_request() {
    let outcome = one_by_one(&["agg-0", "da-0", "agg-1", "da-1", "da-2"], End::Killed).await;
    assert!(outcome.is_clean(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_a_gateway_cuts_its_own_clients_and_nobody_else() {
    let mut cluster = running(3).await;
    cluster.ready(&["gw-1"]).await;
    let lost = Load::on(cluster.qipc("gw-0")).await;
    let other = Load::on(cluster.qipc("gw-1")).await;
    for _ in 0..2 {
        kill_at_work(&mut cluster, "gw-0", &lost).await;
        other.goes_on("without the first gateway").await;
        cluster.start("gw-0");
        lost.goes_on("with the gateway back").await;
    }
    let (lost, other) = (lost.end().await, other.end().await);
    assert!(other.is_clean(), "{other:?}");
    assert!(lost.cut > 0, "its clients were asking: {lost:?}");
    assert!(lost.again.iter().all(|why| why.contains("Coordinator")), "{lost:?}");
    // Nothing is left at the coordinators of the gateways that died, nor of what nobody waits for any more.
    for rc in ["rc-0", "rc-1", "rc-2"] {
        cluster.until_metric(rc, "qmesh_rc_connected_gws", 2.0).await;
        cluster.until_metric(rc, "qmesh_rc_reqs_in_flight", 0.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_any_process_in_order_costs_no_request() {
    let outcome = one_by_one(&["rc-1", "agg-0", "da-0", "rc-0", "agg-1", "da-2"], End::Stopped).await;
    assert!(outcome.is_clean(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_stopped_answers_what_it_has_read() {
    let mut cluster = running(1).await;
    let load = Load::on(cluster.qipc("gw-0")).await;
    cluster.stop("gw-0").await;
    // One that has just started has no coordinator yet and says so: only the one that was stopped is judged.
    load.asks_no_more();
    cluster.start("gw-0");
    let outcome = load.end().await;
    assert!(outcome.again.is_empty(), "{outcome:?}");
    // With the gateway back, all is as before.
    assert!(Load::on(cluster.qipc("gw-0")).await.end().await.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn coordinators_go_from_one_to_three_and_back_under_load() {
    let mut cluster = Cluster::of(3, &sample());
    for name in ["rc-0", "gw-0", "agg-0", "agg-1", "da-0", "da-1", "da-2"] {
        cluster.start(name);
    }
    cluster.ready(&["rc-0", "gw-0", "agg-0", "agg-1", "da-0", "da-1", "da-2"]).await;
    let load = Load::on(cluster.qipc("gw-0")).await;
    for (rc, n) in [("rc-1", 2.0), ("rc-2", 3.0)] {
        cluster.start(rc);
        linked(&mut cluster, "gw-0", n).await;
        load.goes_on(&format!("with {n} coordinators")).await;
    }
    for (rc, n) in [("rc-0", 2.0), ("rc-1", 1.0)] {
        cluster.stop(rc).await;
        linked(&mut cluster, "gw-0", n).await;
        load.goes_on(&format!("with {n} coordinators again")).await;
    }
    // What the first coordinator owned has moved to the last.
    eventually("data processes at the last coordinator", async || {
        cluster.metric("rc-2", "kxi_rc_connected_daps").filter(|n| *n == 3.0)
    })
    .await;
    let outcome = load.end().await;
    assert!(outcome.is_clean(), "{outcome:?}");
}
