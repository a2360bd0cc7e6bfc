//! A mesh of one coordinator, its processes alone, each configured by its variables: they can be started, killed
//! and started again in any order. Ports are chosen once, so that a restarted process is where it was.

use std::{
    net::SocketAddr,
    ops::{Deref, DerefMut},
    path::Path,
    time::Duration,
};

use testkit::{
    Mesh, Nodes, Up,
    ports::{local, port},
};

use crate::ask::qmesh;

/// Starts `qmesh up` without blocking the test's reactor.
pub async fn up(up: Up) -> Mesh {
    let started = tokio::task::spawn_blocking(move || up.patience(Duration::from_secs(120)).start());
    started.await.expect("no panic").unwrap_or_else(|e| panic!("{e}"))
}

/// The processes of one mesh. Dropping it ends them.
pub struct Cluster {
    coordinator: String,
    qipc: u16,
    nodes: Nodes,
}

impl Cluster {
    pub fn new() -> Cluster {
        let (coordinator, qipc) = (port(), port());
        let mut nodes = Nodes::new(qmesh());
        nodes.env("KXI_SG_RC_ADDR", &local(coordinator).to_string());
        Cluster { coordinator: coordinator.to_string(), qipc, nodes }
    }

    /// Where clients connect.
    pub fn qipc(&self) -> SocketAddr {
        local(self.qipc)
    }

    /// Makes a process known; it is not started.
    pub fn add(&mut self, name: &str, more: &[(&str, &str)]) {
        let clients = self.qipc.to_string();
        let own: &[(&str, &str)] = match name.split('-').next() {
            Some("rc") => &[("KXI_PORT", &self.coordinator)],
            Some("gw") => &[("GATEWAY_QIPC_PORT", &clients)],
            _ => &[],
        };
        self.nodes.add(name, &[own, more].concat());
    }

    /// Kills the coordinator and starts another in its place, with the defaults of one that knows nothing.
    pub fn replace_coordinator(&mut self) {
        self.kill("rc-0");
        self.add("rc-0", &[]);
        self.start("rc-0");
    }

    /// Makes a coordinator known that no other process has known another before: it is ready at once.
    pub fn first_coordinator(&mut self, more: &[(&str, &str)]) {
        self.add("rc-0", &[&[("QMESH_RC_SETTLE", "0")], more].concat());
    }

    /// One RC, one GW, two Aggs, and two replicas of a database, all started.
    pub fn over(db: &Path) -> Cluster {
        let mut cluster = Cluster::new();
        cluster.first_coordinator(&[]);
        ["gw-0", "agg-0", "agg-1"].iter().for_each(|name| cluster.add(name, &[]));
        let db = db.display().to_string();
        ["da-0", "da-1"].iter().for_each(|name| cluster.add(name, &[("QMESH_DB", db.as_str())]));
        cluster.start_all();
        cluster
    }
}

impl Deref for Cluster {
    type Target = Nodes;

    fn deref(&self) -> &Nodes {
        &self.nodes
    }
}

impl DerefMut for Cluster {
    fn deref_mut(&mut self) -> &mut Nodes {
        &mut self.nodes
    }
}
