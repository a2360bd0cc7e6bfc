//! The health port, asked as a probe asks it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use link::health::{Readiness, serve};
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

async fn get(addr: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn probes_see_readiness_with_reasons_and_metrics() {
    let ready = Arc::new(AtomicBool::new(false));
    let mut registry = Registry::default();
    let counter: Counter = Counter::default();
    registry.register("things", "things counted", counter.clone());
    counter.inc();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let flag = ready.clone();
    let tell = Arc::new(move || Readiness {
        ready: flag.load(Ordering::SeqCst),
        why: vec!["coordinators linked: 0".into()],
    });
    let task = tokio::spawn(serve(listener, tell, Arc::new(registry), stop.clone()));
    assert!(get(addr, "/healthz").await.starts_with("HTTP/1.1 200"));
    let answer = get(addr, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("coordinators linked: 0"), "{answer}");
    ready.store(true, Ordering::SeqCst);
    let answer = get(addr, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("linked"), "{answer}");
    assert!(get(addr, "/readyz?verbose").await.contains("coordinators linked: 0"));
    assert!(get(addr, "/metrics").await.contains("things_total 1"));
    assert!(get(addr, "/other").await.starts_with("HTTP/1.1 404"));
    stop.cancel();
    task.await.unwrap();
}
