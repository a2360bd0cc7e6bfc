//! Meshes of several coordinators whose processes come and go one by one.

use std::{
    net::SocketAddr,
    ops::{Deref, DerefMut},
    path::Path,
    time::Duration,
};

use testkit::{
    Nodes,
    ports::{local, port},
};

use crate::ask::{eventually, qmesh};

/// The processes of one mesh. Dropping it ends them.
pub struct Cluster(Nodes);

impl Cluster {
    /// Short heartbeats, so that what has fallen silent is soon noticed.
    pub fn new() -> Cluster {
        let mut nodes = Nodes::new(qmesh());
        nodes.env("KXI_SAPI_HB_FREQ", "500");
        nodes.env("QMESH_DRAIN", "8000");
        Cluster(nodes)
    }

    /// So many RCs that know each other by a list, two GWs, two Aggs and three replicas of a database.
    pub fn of(coordinators: usize, db: &Path) -> Cluster {
        Cluster::with(coordinators, &[], &[], db)
    }

    /// The same; the list of coordinators names these places too, and all processes have these variables.
    pub fn with(coordinators: usize, more: &[SocketAddr], envs: &[(&str, &str)], db: &Path) -> Cluster {
        let mut cluster = Cluster::new();
        envs.iter().for_each(|(name, value)| cluster.env(name, value));
        // Ports first: the list names them all.
        let ports: Vec<u16> = (0..coordinators).map(|_| port()).collect();
        let places = ports.iter().map(|p| local(*p)).chain(more.iter().copied());
        let list: Vec<String> = places.map(|p| p.to_string()).collect();
        let list = list.join(",");
        for (i, own) in ports.iter().enumerate() {
            let own = own.to_string();
            cluster.add(
                &format!("rc-{i}"),
                &[("KXI_PORT", own.as_str()), ("QMESH_RC_PEERS", list.as_str()), ("QMESH_RC_SETTLE", "0")],
            );
        }
        let db = db.display().to_string();
        for name in ["gw-0", "gw-1", "agg-0", "agg-1"] {
            cluster.add(name, &[("KXI_SG_RC_ADDR", list.as_str())]);
        }
        for name in ["da-0", "da-1", "da-2"] {
            cluster.add(name, &[("KXI_SG_RC_ADDR", list.as_str()), ("QMESH_DB", db.as_str())]);
        }
        cluster
    }

    /// Stops a process as an orchestrator does, and waits for its end.
    pub async fn stop(&mut self, name: &str) {
        self.terminate(name).unwrap_or_else(|e| panic!("{e}"));
        let (ended, tail) = eventually(&format!("the end of {name}"), async || self.ended(name)).await;
        assert!(ended.success(), "{name} ended with {ended}: {tail}");
    }

    /// Waits until a metric has this value.
    pub async fn until_metric(&self, name: &str, metric: &str, value: f64) {
        let what = format!("{metric} {value} at {name}");
        eventually(&what, async || self.metric(name, metric).filter(|v| *v == value)).await;
    }

    /// Waits until processes say that they are ready.
    pub async fn ready(&self, names: &[&str]) {
        for name in names {
            eventually(&format!("{name} ready"), async || self.page(name, "/readyz").filter(|p| p.0 == 200))
                .await;
        }
    }

    /// Waits until a page of a process has a line with these words.
    pub async fn until_said(&self, name: &str, path: &str, words: &[&str]) -> String {
        let what = format!("{path} of {name} with {words:?}");
        let has = |text: &str| text.lines().find(|l| words.iter().all(|w| l.contains(w))).map(String::from);
        eventually(&what, async || self.page(name, path).and_then(|(_, text)| has(&text))).await
    }

    /// Patience of a request's worth, for what must *not* happen meanwhile.
    pub async fn moment(&self) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

impl Deref for Cluster {
    type Target = Nodes;

    fn deref(&self) -> &Nodes {
        &self.0
    }
}

impl DerefMut for Cluster {
    fn deref_mut(&mut self) -> &mut Nodes {
        &mut self.0
    }
}
