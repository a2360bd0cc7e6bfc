//! Why a pod is not ready, in words that stay the same while the cause does.
//!
//! A container that fails again and again is running, ended and waiting in turn. Words that followed each turn would be
//! a write to the status each time. So an end is told as long as the container is not ready after it, and the number of
//! restarts is not told. Tests: below.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod};
use serde_json::Value;

/// Longest text that is taken from a message, in bytes.
const LONGEST: usize = 300;
/// Reasons of a container that waits in the usual course of things.
const USUAL: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// Reasons that take turns while an image cannot be pulled, and how the detail begins in the second one's message.
const PULL: [&str; 2] = ["ErrImagePull", "ImagePullBackOff"];

/// Why a pod is not ready; none where it is, where it begins as usual, and where it is on its way out.
pub fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let condition = |kind: &str| status.conditions.iter().flatten().find(|one| one.type_ == kind);
    if condition("Ready").is_some_and(|ready| ready.status == "True") {
        return None;
    }
    // Of the whole pod: evicted, or refused by the kubelet.
    if let Some(reason) = status.reason.as_deref().filter(|_| status.phase.as_deref() == Some("Failed")) {
        return Some(told(reason, status.message.as_deref()));
    }
    if let Some(unscheduled) = condition("PodScheduled").filter(|one| one.status == "False") {
        let reason = unscheduled.reason.as_deref().unwrap_or("Unschedulable");
        return Some(told(reason, unscheduled.message.as_deref()));
    }
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    containers.filter(|container| !container.ready).find_map(of_container)
}

fn of_container(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let ended = state.and_then(|state| state.terminated.as_ref());
    let ended = ended.or_else(|| container.last_state.as_ref().and_then(|state| state.terminated.as_ref()));
    // Init containers that are done are not ready, and well.
    if let Some(ended) = ended.filter(|ended| ended.exit_code != 0 || container.restart_count > 0) {
        return Some(format!("container {} {}", container.name, of_end(ended)));
    }
    let waiting =
        waiting.filter(|waiting| waiting.reason.as_deref().is_none_or(|why| !USUAL.contains(&why)))?;
    Some(format!("container {}: {}", container.name, of_wait(waiting, &container.image)))
}

fn of_wait(waiting: &ContainerStateWaiting, image: &str) -> String {
    let reason = waiting.reason.as_deref().unwrap_or("waits");
    let message = waiting.message.as_deref();
    if PULL.contains(&reason) {
        let detail = message.and_then(|text| text.rsplit_once("ErrImagePull: ")).map(|(_, detail)| detail);
        let detail = detail.or(message).map(cause);
        return told(&format!("ErrImagePull: image '{image}' cannot be pulled"), detail);
    }
    told(reason, message)
}

/// The end of a chain of causes is what a person needs, and the part that does not change.
fn cause(text: &str) -> &str {
    text.rsplit_once(": ").map_or(text, |(_, cause)| cause)
}

fn of_end(ended: &ContainerStateTerminated) -> String {
    let code = ended.exit_code;
    let said = ended.message.as_deref().and_then(last_words);
    match ended.reason.as_deref() {
        Some("OOMKilled") => "was ended with OOMKilled: it needs more memory than its limit".into(),
        Some(reason) if reason != "Error" && reason != "Completed" => {
            told(&format!("ended with {reason}, exit code {code}"), said.as_deref())
        }
        _ => told(&format!("ended with exit code {code}"), said.as_deref()),
    }
}

/// The message of the last line of a log.
fn last_words(log: &str) -> Option<String> {
    let line = log.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    let record: Option<Value> = serde_json::from_str(line).ok();
    let message = record.and_then(|record| record.get("message")?.as_str().map(String::from));
    Some(message.unwrap_or_else(|| line.into()))
}

fn told(what: &str, detail: Option<&str>) -> String {
    let Some(detail) = detail.map(str::trim).filter(|detail| !detail.is_empty()) else { return what.into() };
    let line: String =
        detail.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().into();
    let end = (0..=LONGEST.min(line.len())).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
    format!("{what}: {}", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use serde_json::json;

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "p" }, "status": status })).expect("a pod")
    }

    fn container(state: Value, last: Value, restarts: i32) -> Value {
        json!({ "containerStatuses": [{
            "name": "gw", "image": "r/qmesh-gw:no", "imageID": "", "ready": false, "restartCount": restarts,
            "state": state, "lastState": last,
        }] })
    }

    fn waiting(reason: &str, message: &str) -> Value {
        json!({ "waiting": { "reason": reason, "message": message } })
    }

    fn ended(code: i32, reason: &str, message: &str) -> Value {
        json!({ "terminated": { "exitCode": code, "reason": reason, "message": message } })
    }

    #[test]
    fn causes_are_told_in_words() {
        let log = "{\"level\":\"info\",\"message\":\"begins\"}\n{\"level\":\"error\",\"message\":\"KXI_SG_TIMEOUT is 'abc'\"}\n";
        for (status, said) in [
            (
                container(waiting("ErrImagePull", "rpc error: r/qmesh-gw:no: not found"), json!({}), 0),
                "container gw: ErrImagePull: image 'r/qmesh-gw:no' cannot be pulled: not found",
            ),
            (
                container(ended(1, "Error", log), json!({}), 0),
                "container gw ended with exit code 1: KXI_SG_TIMEOUT is 'abc'",
            ),
            (
                container(waiting("CrashLoopBackOff", "back-off 5m"), ended(137, "OOMKilled", ""), 4),
                "container gw was ended with OOMKilled: it needs more memory than its limit",
            ),
            (
                container(waiting("CreateContainerConfigError", "secret \"s\" not found"), json!({}), 0),
                "container gw: CreateContainerConfigError: secret \"s\" not found",
            ),
            (
                json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes" }] }),
                "Unschedulable: 0/1 nodes",
            ),
            (json!({ "phase": "Failed", "reason": "Evicted", "message": "disk" }), "Evicted: disk"),
        ] {
            assert_eq!(trouble(&pod(status)).as_deref(), Some(said));
        }
    }

    #[test]
    fn a_pod_that_begins_is_ready_or_leaves_is_no_trouble() {
        let begins = container(waiting("ContainerCreating", ""), json!({}), 0);
        assert_eq!(trouble(&pod(begins)), None);
        let runs = container(json!({ "running": {} }), json!({}), 0);
        assert_eq!(trouble(&pod(runs)), None);
        let ready = json!({ "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": container(json!({ "running": {} }), ended(1, "Error", "x"), 3)["containerStatuses"] });
        assert_eq!(trouble(&pod(ready)), None, "it has recovered");
    }

    /// Words follow the cause and not the turns: of whatever a container goes through after it has failed, only the
    /// exit code, the reason and the last line of the log make a difference.
    #[test]
    fn a_container_that_fails_again_and_again_is_told_once() {
        let seed: u64 = rand::rng().random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..2_000 {
            let code = random.random_range(1..256);
            let reason = ["Error", "OOMKilled", "ContainerCannotRun"][random.random_range(0..3)];
            let last: String =
                (0..random.random_range(1..500)).map(|_| random.random_range('\u{20}'..'\u{300}')).collect();
            let end = ended(code, reason, &format!("other\n{last}\n\n"));
            let first = trouble(&pod(container(end.clone(), json!({}), 0)));
            let said = first.clone().expect("an end is told");
            assert!(!said.chars().any(char::is_control) && said.len() < LONGEST + 100, "seed {seed}: {said}");
            for restarts in 1..4 {
                let turns = [
                    container(
                        waiting("CrashLoopBackOff", &format!("back-off {restarts}m")),
                        end.clone(),
                        restarts,
                    ),
                    container(
                        json!({ "running": { "startedAt": "2026-01-01T00:00:00Z" } }),
                        end.clone(),
                        restarts,
                    ),
                    container(end.clone(), end.clone(), restarts),
                ];
                for turn in turns {
                    assert_eq!(trouble(&pod(turn)), first, "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn the_two_states_of_a_failed_pull_are_told_alike() {
        let detail = "failed to pull and unpack image \"r/qmesh-gw:no\": not found";
        let first = trouble(&pod(container(waiting("ErrImagePull", detail), json!({}), 0)));
        let message = format!("Back-off pulling image \"r/qmesh-gw:no\": ErrImagePull: {detail}");
        assert_eq!(trouble(&pod(container(waiting("ImagePullBackOff", &message), json!({}), 0))), first);
    }
}
