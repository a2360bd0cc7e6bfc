//! What is kept of a pod is little, whatever its object says: ten thousand take less than 30 MiB.
//!
//! A process of its own, so that nothing else takes memory while it is measured.

use discovery::{kubernetes::pod::Pod, set::Set};
use serde_json::json;

const PODS: usize = 10_000;
const MOST: usize = 30 << 20;

/// A pod as an API server sends it: most of it are fields that nobody here reads.
fn object(n: usize) -> Vec<u8> {
    let noise: Vec<_> = (0..40)
        .map(|i| json!({"manager": format!("controller-{i}"), "operation": "Update", "fieldsV1": {"f:spec": {"f:containers": {}}}}))
        .collect();
    let pod = json!({
        "metadata": {
            "name": format!("data-{n}"), "uid": format!("5f1c0de0-0000-4000-8000-{n:012}"),
            "resourceVersion": n.to_string(), "managedFields": noise,
            "labels": {"app": "data", "pod-template-hash": "7d9f"},
        },
        "spec": {"containers": [{"name": "da", "image": "example/da:1", "ports": [{"name": "qipc", "containerPort": 5080}],
            "env": (0..30).map(|i| json!({"name": format!("VAR_{i}"), "value": "x".repeat(40)})).collect::<Vec<_>>()}]},
        "status": {"phase": "Running", "podIP": format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255),
            "conditions": [{"type": "Ready", "status": "True"}]},
    });
    serde_json::to_vec(&pod).expect("JSON")
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split_whitespace().nth(1).and_then(|p| p.parse().ok()).expect("a number");
    pages * 4096
}

#[test]
fn ten_thousand_pods_take_less_than_thirty_mebibytes() {
    let mut set = Set::new(PODS);
    let before = resident();
    for n in 0..PODS {
        let pod: Pod = serde_json::from_slice(&object(n)).expect("a pod");
        set.put(pod.found(""));
    }
    let grown = resident().saturating_sub(before);
    assert_eq!((set.len(), set.endpoints().len()), (PODS, PODS));
    assert!(object(0).len() > 5_000, "the objects are large");
    assert!(grown < MOST, "{grown} bytes for {PODS} pods");
}
