//! The four processes, each alone, configured by their variables, on free ports of loopback.
//!
//! Tests start the processes in any order and kill single processes, to show that links heal.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::mesh::PATIENCE;
use crate::{
    LaunchError, Process, http,
    ports::{self, local, port},
};

/// What to start.
#[derive(Debug, Clone)]
pub struct Separate {
    program: PathBuf,
    databases: Vec<(PathBuf, String)>,
    replicas: usize,
    aggregators: usize,
    envs: Vec<(String, String)>,
    patience: Duration,
}

impl Separate {
    /// One process of each kind, and no database yet.
    pub fn new(program: impl AsRef<Path>) -> Self {
        Separate {
            program: program.as_ref().to_path_buf(),
            databases: Vec::new(),
            replicas: 1,
            aggregators: 1,
            envs: Vec::new(),
            patience: PATIENCE,
        }
    }

    /// Serve the database in `dir`, with labels as `k=v,k=v` (empty: none).
    pub fn db(mut self, dir: impl AsRef<Path>, labels: &str) -> Self {
        self.databases.push((dir.as_ref().to_path_buf(), labels.into()));
        self
    }

    /// Data processes per database.
    pub fn replicas(mut self, n: usize) -> Self {
        self.replicas = n;
        self
    }

    /// Aggregators.
    pub fn aggregators(mut self, n: usize) -> Self {
        self.aggregators = n;
        self
    }

    /// A variable of every process.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Start all of them, the data processes first and the coordinator last, so that every one has to wait for
    /// another; give them back when the gateway is ready.
    pub fn start(&self) -> Result<SeparateMesh, LaunchError> {
        let (coordinator, qipc, http) = (port(), port(), port());
        let mut processes = Vec::new();
        for (n, (dir, labels)) in self.databases.iter().enumerate() {
            for replica in 0..self.replicas {
                let name = format!("da-{n}-{replica}");
                let mut args = vec!["data-access".to_string(), "--db".into(), dir.display().to_string()];
                for label in labels.split(',').filter(|label| !label.is_empty()) {
                    args.extend(["--label".into(), label.into()]);
                }
                processes.push(self.process(&name, args, port(), coordinator, &[])?);
            }
        }
        for n in 0..self.aggregators {
            let args = vec!["aggregator".into()];
            processes.push(self.process(&format!("agg-{n}"), args, port(), coordinator, &[])?);
        }
        let ports = [("GATEWAY_QIPC_PORT", qipc), ("GATEWAY_HTTP_PORT", http)];
        processes.push(self.process("gw-0", vec!["gateway".into()], port(), coordinator, &ports)?);
        // No process of this mesh has known another coordinator: there is nobody to wait for.
        let settled = [("QMESH_RC_SETTLE", 0)];
        processes.push(self.process(
            "rc-0",
            vec!["coordinator".into()],
            coordinator,
            coordinator,
            &settled,
        )?);
        let mut mesh = SeparateMesh { processes, qipc: local(qipc), http: local(http) };
        mesh.wait_ready(self.patience)?;
        Ok(mesh)
    }

    fn process(
        &self,
        name: &str,
        args: Vec<String>,
        port: u16,
        coordinator: u16,
        ports: &[(&str, u16)],
    ) -> Result<Process, LaunchError> {
        let mut envs = vec![
            ("KXI_NAME".to_string(), name.to_string()),
            ("KXI_PORT".into(), port.to_string()),
            ("KXI_SG_RC_ADDR".into(), format!("127.0.0.1:{coordinator}")),
            ("QMESH_HTTP_PORT".into(), ports::port().to_string()),
        ];
        envs.extend(ports.iter().map(|(name, port)| (name.to_string(), port.to_string())));
        envs.extend(self.envs.iter().cloned());
        Process::start(name, &self.program, &args, &envs)
    }
}

/// Four kinds of processes that make one mesh. Dropping it ends them all.
#[derive(Debug)]
pub struct SeparateMesh {
    processes: Vec<Process>,
    qipc: SocketAddr,
    http: SocketAddr,
}

impl SeparateMesh {
    /// Where QIPC clients connect.
    pub fn qipc(&self) -> SocketAddr {
        self.qipc
    }

    /// Where HTTP clients connect.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// The process of this name (`rc-0`, `gw-0`, `agg-N`, `da-DATABASE-REPLICA`).
    pub fn process(&mut self, name: &str) -> Option<&mut Process> {
        self.processes.iter_mut().find(|p| p.name() == name)
    }

    /// Wait until the gateway says that it is ready. An error where a process has ended or time runs out.
    pub fn wait_ready(&mut self, patience: Duration) -> Result<(), LaunchError> {
        for process in &mut self.processes {
            if let Some(status) = process.ended() {
                let (name, status) = (process.name().to_string(), status.to_string());
                return Err(LaunchError::Ended { name, status, tail: process.tail() });
            }
        }
        let http = self.http;
        let Some(gateway) = self.process("gw-0") else { return Ok(()) };
        let ready =
            |_: &Process| http::get(http, "/readyz").is_ok_and(|(status, _)| status == 200).then_some(());
        gateway.wait_for(patience, "GET /readyz is not 200", ready)
    }
}
