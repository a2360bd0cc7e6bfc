//! End-to-end tests on a real Kubernetes: etcd, API server, controllers, kubelet, containerd and our images.
//!
//! `cargo xtask e2e` builds what is needed and starts this program. The last line is
//! `N passed, N failed, N skipped`.
//!
//! | module | what |
//! | --- | --- |
//! | `tests` | the tests, one file per topic; each reads like a description |
//! | `runner` | runs them, each in a namespace of its own, and says what came out |
//! | `world` | what they all share: the cluster, the ways into it |
//! | `gateway` | a `ServiceGateway` under test |
//! | `install` | the operator, by Helm |
//! | `kube` | the API as the tests use it |
//! | `objects` | the objects they make: gateways, data processes |
//! | `alone` | an API server alone, and the operator beside it as a process |
//! | `thousand` | a thousand gateways there: speed, memory, silence |
//! | `front` | stands before the API server and answers in its stead |
//! | `ask` | clients: one question, or load over minutes |
//! | `http`, `ip`, `failure` | the small things below |
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod alone;
#[cfg(target_os = "linux")]
mod ask;
#[cfg(target_os = "linux")]
mod failure;
#[cfg(target_os = "linux")]
mod front;
#[cfg(target_os = "linux")]
mod gateway;
#[cfg(target_os = "linux")]
mod http;
#[cfg(target_os = "linux")]
mod install;
#[cfg(target_os = "linux")]
mod ip;
#[cfg(target_os = "linux")]
mod kube;
#[cfg(target_os = "linux")]
mod objects;
#[cfg(target_os = "linux")]
mod runner;
#[cfg(target_os = "linux")]
mod tests;
#[cfg(target_os = "linux")]
mod thousand;
#[cfg(target_os = "linux")]
mod world;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use clap::Parser as _;
    runner::run(&world::Options::parse())
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("the end-to-end tests need Linux: they start a kubelet");
    std::process::ExitCode::FAILURE
}
