//! Peers that are none, and networks that break: named, kept out, and nobody else's trouble.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use sg::{
    InstanceId, Msg,
    msg::{Chunk, PROTOCOL, Welcome},
};
use testkit::{
    fault::{Fault, FaultProxy},
    ports::{local, port},
};

use crate::{
    ask::eventually,
    cluster::Cluster,
    data::{DAYS, copy_of, sample},
    load::Load,
};

/// A port where whoever connects gets these bytes.
fn speaks(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Whoever hears it may hang up.
            let _ = stream.write_all(bytes);
            thread::sleep(Duration::from_millis(50));
        }
    });
    port
}

/// A port where somebody of another version answers.
fn other_version() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let welcome = Welcome {
        protocol: PROTOCOL + 1,
        role: "rc".into(),
        name: "rc-of-tomorrow".into(),
        instance: InstanceId([7; 16]),
        address: "".into(),
        nonce: InstanceId([8; 16]),
        proof: Chunk(Vec::new()),
    };
    let frame = Msg::from(welcome).to_frame().to_bytes();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let frame = frame.clone();
            thread::spawn(move || {
                // `user:password`, a capability and NUL; then its hello.
                let mut byte = [1];
                while byte[0] != 0 && stream.read_exact(&mut byte).is_ok() {}
                let _ = stream.write_all(&[3]).and_then(|()| stream.read_exact(&mut byte));
                let _ = stream.write_all(&frame);
                thread::sleep(Duration::from_millis(200));
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_peers_are_named_by_every_coordinator_and_the_mesh_serves_on() {
    let garbage = speaks(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let (gone, tomorrow) = (port(), other_version());
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_port = silent.local_addr().expect("an address").port();
    let bad = [garbage, gone, silent_port, tomorrow];
    let mut cluster = Cluster::with(3, &bad.map(local), &[("KXI_SG_CONN_TIMEOUT", "1000")], &sample());
    cluster.start_all();
    cluster.ready(&["rc-0", "rc-1", "rc-2", "gw-0"]).await;
    let load = Load::on(cluster.qipc("gw-0")).await;
    for name in ["rc-0", "rc-1", "rc-2", "gw-0"] {
        for bad in bad {
            cluster.until_said(name, "/readyz?verbose", &["no link to", &local(bad).to_string()]).await;
        }
        let theirs = [local(tomorrow).to_string(), format!("protocol {}", PROTOCOL + 1)];
        cluster.until_said(name, "/readyz?verbose", &theirs.each_ref().map(String::as_str)).await;
        assert_eq!(cluster.page(name, "/readyz").map(|p| p.0), Some(200), "{name} serves on");
        cluster.until_metric(name, "qmesh_discovery_unreachable{of=\"rc\"}", 4.0).await;
    }
    load.goes_on("beside bad peers").await;
    let outcome = load.end().await;
    assert!(outcome.is_clean(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_and_an_overlapping_source_are_refused_at_any_coordinator_and_say_so() {
    let mut cluster = Cluster::of(3, &sample());
    let one_day = copy_of(&[DAYS[1].0]);
    let (whole, part) = (sample().display().to_string(), one_day.path().display().to_string());
    let last = cluster.qipc("rc-2").to_string();
    // Both come to the coordinator that is asked last; who was there first is mostly another's.
    cluster.add("de-0", &[("KXI_NAME", "da-0"), ("KXI_SG_RC_ADDR", &last), ("QMESH_DB", &whole)]);
    cluster.add("de-1", &[("KXI_SG_RC_ADDR", &last), ("QMESH_DB", &part)]);
    for name in ["rc-0", "rc-1", "rc-2", "gw-0", "gw-1", "agg-0", "agg-1", "da-0", "da-1", "da-2"] {
        cluster.start(name);
    }
    cluster.ready(&["gw-0", "da-0", "da-1", "da-2"]).await;
    let load = Load::on(cluster.qipc("gw-0")).await;
    // The last coordinator has heard of all three, whoever owns them: it can know that these two are wrong.
    eventually("three data processes known to the last coordinator", async || {
        let own = cluster.metric("rc-2", "kxi_rc_connected_daps")?;
        let theirs = cluster.metric("rc-2", "qmesh_rc_peer_daps")?;
        (own + theirs == 3.0).then_some(())
    })
    .await;
    cluster.start("de-0");
    cluster.start("de-1");
    cluster.until_said("de-0", "/readyz?verbose", &["da-0", "KXI_NAME"]).await;
    cluster.until_said("de-1", "/readyz?verbose", &["de-1", "both hold table"]).await;
    for name in ["de-0", "de-1"] {
        assert_eq!(cluster.page(name, "/readyz").map(|p| p.0), Some(503), "{name} is owned by nobody");
    }
    load.goes_on("beside two that were refused").await;
    let outcome = load.end().await;
    assert!(outcome.is_clean(), "{outcome:?}");
    // Whoever took the name is gone: the other may have it.
    cluster.kill("da-0");
    cluster.ready(&["de-0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_breaks_between_coordinators_costs_no_safe_request() {
    let mut cluster = Cluster::new();
    let ports = [port(), port()];
    let list = ports.map(|p| local(p).to_string()).join(",");
    // The second dials the first by way of a bad network; the first knows nobody to dial.
    let proxy = FaultProxy::to(local(ports[0])).expect("a port");
    let by_proxy = proxy.addr().to_string();
    let own = ports.map(|p| p.to_string());
    cluster.add("rc-0", &[("KXI_PORT", own[0].as_str()), ("QMESH_RC_SETTLE", "0")]);
    let second =
        [("KXI_PORT", own[1].as_str()), ("QMESH_RC_PEERS", by_proxy.as_str()), ("QMESH_RC_SETTLE", "0")];
    cluster.add("rc-1", &second);
    let db = sample().display().to_string();
    let each = own.each_ref().map(|p| format!("127.0.0.1:{p}"));
    cluster.add("gw-0", &[("KXI_SG_RC_ADDR", list.as_str())]);
    for (i, at) in each.iter().enumerate() {
        // Each coordinator has an aggregator and a replica of its own: either can serve alone.
        cluster.add(&format!("agg-{i}"), &[("KXI_SG_RC_ADDR", at.as_str())]);
        cluster.add(&format!("da-{i}"), &[("KXI_SG_RC_ADDR", at.as_str()), ("QMESH_DB", db.as_str())]);
    }
    cluster.start_all();
    cluster.ready(&["rc-0", "rc-1", "gw-0", "agg-0", "agg-1", "da-0", "da-1"]).await;
    let load = Load::on(cluster.qipc("gw-0")).await;
    for fault in [
        Fault::Delay(Duration::from_millis(20)),
        Fault::Throttle(20_000),
        Fault::CutAfter(100),
        Fault::Reset,
        Fault::HalfOpen,
        Fault::Silence,
    ] {
        proxy.set(fault);
        load.goes_on(&format!("with {fault:?}")).await;
        let before = proxy.connections();
        proxy.set(Fault::None);
        if matches!(fault, Fault::CutAfter(_) | Fault::Reset) {
            eventually("another connection", async || (proxy.connections() > before).then_some(())).await;
        }
        load.goes_on(&format!("after {fault:?}")).await;
    }
    let outcome = load.end().await;
    assert!(outcome.is_clean(), "{outcome:?}");
}
