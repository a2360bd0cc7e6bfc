//! Bench of pods that are found by label: how much memory they cost a coordinator. Its API server is the fake of the
//! tests: what is measured is the other end.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::Nodes;
use testkit::api_server::{ApiServer, pod};

use super::report::{Bound, Row};
use super::setting;
use crate::error::Error;

const PATIENCE: Duration = Duration::from_secs(120);
/// A pod is counted as it is found; whoever follows the set takes it in afterwards. What is measured is what stays then.
const STEADY: Duration = Duration::from_secs(3);

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        match look() {
            Some(found) => return Ok(found),
            None if start.elapsed() > PATIENCE => {
                return Err(Error::Other(format!("{what}: not within {PATIENCE:?}")));
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
}

pub(super) fn memory(_: usize) -> Result<Vec<Row>, Error> {
    const PODS: usize = 10_000;
    /// What the design allows.
    const MOST_MIB: f64 = 30.0;
    let other = |e: std::io::Error| Error::Other(e.to_string());
    let api = ApiServer::start().map_err(other)?;
    let config = setting::work()?.join("pods.kubeconfig");
    std::fs::write(&config, api.kubeconfig()).map_err(Error::file(&config))?;
    let mut all = Nodes::new(setting::qmesh()?);
    all.env("KUBECONFIG", &config.display().to_string());
    let vars = [("KXI_SG_DISC", "kubernetes"), ("KXI_SG_DA_LABEL_SELECTOR", "app=da")];
    all.add(
        "rc-0",
        &[&vars[..], &[("KXI_SG_RC_LABEL_SELECTOR", "app=rc"), ("QMESH_RC_SETTLE", "0")]].concat(),
    );
    all.start("rc-0");
    let found = |all: &Nodes, n: usize| {
        let metric = "qmesh_discovery_endpoints{of=\"dap\"}";
        until(&format!("{n} pods found"), || all.metric("rc-0", metric).filter(|found| *found == n as f64))
    };
    found(&all, 0)?;
    let steady = |all: &Nodes| {
        thread::sleep(STEADY);
        setting::memory(all.id("rc-0"))
    };
    let idle = steady(&all)?;
    for i in 0..PODS {
        let place = std::net::SocketAddr::from(([10, 1, (i / 250) as u8, (i % 250) as u8 + 1], 5080));
        // Not ready: what is ready is dialled, and links are not what is measured here.
        let mut pod = pod(&format!("da-{i}"), &format!("uid-{i}"), &[("app", "da")], place, false);
        // As heavy as pods are.
        pod["metadata"]["annotations"] = json!({"note": "x".repeat(1_000)});
        pod["metadata"]["managedFields"] =
            json!([{"manager": "kubelet", "fieldsV1": {"f": "y".repeat(3_000)}}]);
        api.put(pod);
    }
    found(&all, PODS)?;
    let watched = steady(&all)?;
    // Read as one list, as after a watch that broke.
    all.kill("rc-0");
    all.start("rc-0");
    found(&all, PODS)?;
    let listed = steady(&all)?;
    let row = |how: &str, mib: f64| {
        let what = format!("anonymous memory of an RC above idle ({idle:.0} MiB), {PODS} pods {how}");
        Row::stated(&what, "30", "MiB", mib - idle, MOST_MIB, Bound::AtMost(1.0))
    };
    Ok(vec![row("that came one by one", watched), row("listed at its start", listed)])
}
