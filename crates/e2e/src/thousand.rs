//! A thousand gateways against an API server and etcd alone: how fast, in how much memory, how quiet afterwards, and
//! what a change costs.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::cluster::Cluster;

use crate::alone::{self, Operator, by_operator, entries};
use crate::failure::{Failure, Outcome, expect};
use crate::kube::{Kube, path};
use crate::objects::Role;
use crate::world::Options;

/// How many.
pub(crate) const GATEWAYS: usize = 1000;
const NAMESPACES: usize = 10;
/// Objects that the single client applies in a turn.
const BASELINE: usize = 100;

/// What came out.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Writes until every gateway had its children and a status.
    pub(crate) written: usize,
    /// Those a second.
    pub(crate) rate: f64,
    /// Applies a second of one client that does nothing else.
    pub(crate) baseline: f64,
    /// Bytes resident at rest.
    pub(crate) resident: u64,
    /// Writes while nothing changed.
    pub(crate) at_rest: Vec<Value>,
    /// What changes cost.
    pub(crate) changes: Vec<Change>,
}

/// A change to one gateway of the thousand.
#[derive(Debug)]
pub(crate) struct Change {
    /// What was changed.
    pub(crate) spec: Value,
    /// Children that differ then, and the status: what is to be written.
    pub(crate) wanted: Vec<String>,
    /// How many of the children are new.
    pub(crate) new: usize,
    /// What was, in this order.
    pub(crate) written: Vec<String>,
    /// Calls of the operator, reads included.
    pub(crate) calls: u64,
    /// From the answer to the change until the answer to the last write, as the API server noted them.
    pub(crate) took: Duration,
}

impl Change {
    /// Calls that it may cost: each child that differs and the status, and a look for each name that is new.
    pub(crate) fn fair(&self) -> usize {
        self.wanted.len() + self.new
    }
}

/// Do it all, and watch the operator at rest for this long.
pub(crate) fn measure(options: &Options, quiet: Duration) -> Outcome<Measured> {
    let cluster = alone::cluster(options)?;
    alone::inside(&cluster, options, |kube| measure_in(&cluster, kube, options, quiet))
}

fn measure_in(cluster: &Cluster, kube: &Kube, options: &Options, quiet: Duration) -> Outcome<Measured> {
    for number in 0..NAMESPACES {
        let name = format!("n{number}");
        kube.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))?;
    }
    kube.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "baseline"}}))?;
    let single = SingleClient::prepare(cluster)?;
    make_gateways(cluster, kube)?;
    let log = cluster.audit_log();
    let before = fs::metadata(&log)?.len();
    let operator = Operator::start(options, &cluster.kubeconfig(), &cluster.logs())?;
    let (slices, alone) = take_turns(kube, &operator, &single)?;
    let all = entries(&log, before)?;
    let written = by_operator(&all);
    // It may have been done before its last turn was over.
    let done = written.last().and_then(|entry| answered(entry)).unwrap_or_default();
    let took: Duration = slices.iter().map(|(begun, ended)| (*ended).min(done).saturating_sub(*begun)).sum();
    let (written, baseline) = (written.len(), (BASELINE * slices.len()) as f64 / alone.as_secs_f64());
    let settled = fs::metadata(&log)?.len();
    std::thread::sleep(quiet);
    let at_rest =
        by_operator(&entries(&log, settled)?).into_iter().map(|one| one["objectRef"].clone()).collect();
    let resident = operator.resident()?;
    let changes = changes(cluster, kube, &operator)?;
    Ok(Measured { written, rate: written as f64 / took.as_secs_f64(), baseline, resident, at_rest, changes })
}

/// How long the operator works before the single client has its turn.
const TURN: Duration = Duration::from_secs(3);
/// Turns after which something is wrong.
const MOST_TURNS: usize = 200;

/// Operator and single client take turns until every gateway has a status, so that a slow minute of the machine meets
/// both. When the operator worked, as times of the day; and how long the client took, all turns together.
fn take_turns(
    kube: &Kube,
    operator: &Operator,
    single: &SingleClient,
) -> Outcome<(Vec<(Duration, Duration)>, Duration)> {
    let (mut slices, mut alone) = (Vec::new(), Duration::ZERO);
    for _ in 0..MOST_TURNS {
        let begun = time_of_day();
        std::thread::sleep(TURN);
        operator.signal("STOP")?;
        slices.push((begun, time_of_day()));
        // What it had sent is still being answered.
        std::thread::sleep(Duration::from_millis(200));
        alone += single.turn(kube)?;
        let mut missing = 0;
        for number in 0..NAMESPACES {
            let all = kube.list(&format!("n{number}"), "servicegateways", "")?;
            let seen = |g: &&Value| g["status"]["observedGeneration"] == g["metadata"]["generation"];
            missing += all.len() - all.iter().filter(seen).count();
        }
        operator.signal("CONT")?;
        if missing == 0 {
            return Ok((slices, alone));
        }
    }
    Err(Failure(format!("not all have a status after {MOST_TURNS} turns; {}", operator.said())))
}

fn time_of_day() -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(now.as_secs() % 86_400) + Duration::from_nanos(now.subsec_nanos().into())
}

/// A single client on one connection that applies Deployments one by one: curl.
struct SingleClient {
    config: PathBuf,
}

impl SingleClient {
    fn prepare(cluster: &Cluster) -> Outcome<SingleClient> {
        let state = cluster.state();
        let (bodies, list) = (state.join("bodies"), state.join("curl.conf"));
        fs::create_dir_all(&bodies)?;
        let mut config = String::new();
        for number in 0..BASELINE {
            let role = Role {
                name: format!("baseline-{number}"),
                image: "qmesh.test/none:1".into(),
                replicas: 1,
                args: Vec::new(),
                env: vec![("KXI_SG_RC_ADDR", "rc:5050".into())],
                labels: Vec::new(),
                qipc: 5040,
                http: 8080,
            };
            let body = bodies.join(number.to_string());
            fs::write(&body, role.deployment("baseline").to_string())?;
            let next = if number == 0 { "" } else { "next\n" };
            let pki = state.join("pki");
            let write = write!(
                config,
                "{next}url = \"https://127.0.0.1:6443/apis/apps/v1/namespaces/baseline/deployments/{}?fieldManager=b\"\n\
                 request = PATCH\nheader = \"Content-Type: application/apply-patch+yaml\"\n\
                 data-binary = \"@{}\"\noutput = /dev/null\nfail\nsilent\n\
                 cacert = \"{p}/ca.crt\"\ncert = \"{p}/admin.crt\"\nkey = \"{p}/admin.key\"\n",
                role.name,
                body.display(),
                p = pki.display(),
            );
            write.map_err(|error| Failure(error.to_string()))?;
        }
        fs::write(&list, config)?;
        Ok(SingleClient { config: list })
    }

    /// Make all of them, which no turn before has left.
    fn turn(&self, kube: &Kube) -> Outcome<Duration> {
        kube.call("DELETE", &path("baseline", "deployments", ""), "application/json", "")?;
        let start = Instant::now();
        let done = Command::new("curl").arg("-K").arg(&self.config).output()?;
        let took = start.elapsed();
        expect(done.status.success(), || String::from_utf8_lossy(&done.stderr).into_owned())?;
        Ok(took)
    }
}

fn make_gateways(cluster: &Cluster, kube: &Kube) -> Outcome {
    let items: Vec<Value> = (0..GATEWAYS)
        .map(|number| {
            json!({
                "apiVersion": "qmesh.dev/v1alpha1", "kind": "ServiceGateway",
                "metadata": {"name": format!("g{number}"), "namespace": format!("n{}", number % NAMESPACES)},
                "spec": {},
            })
        })
        .collect();
    let file = cluster.state().join("gateways.json");
    fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())?;
    kube.run(&["create", "-f", &file.display().to_string()]).map(|_| ())
}

/// Change one of them: in its pods, then in their number.
fn changes(cluster: &Cluster, kube: &Kube, operator: &Operator) -> Outcome<Vec<Change>> {
    let annotated = json!({"aggregator": {"podAnnotations": {"example.com/changed": "yes"}}});
    // A second replica also asks for a budget of disruptions: a new child, whose name might be taken by somebody, so it
    // is looked for first. Of two children the second is tried first, by a dry run: none is changed where one is refused.
    let replicas = json!({"aggregator": {"replicas": 2}});
    [
        (annotated, &["deployments"][..], 0),
        (replicas, &["deployments", "poddisruptionbudgets", "deployments"], 1),
    ]
    .into_iter()
    .map(|(spec, children, new)| {
        let log = cluster.audit_log();
        let (before, from) = (calls_for_resources(operator)?, fs::metadata(&log)?.len());
        kube.patch("n7", "servicegateways", "g7", &json!({"spec": spec}))?;
        kube.until("the status follows", || {
            let g = kube.get("n7", "servicegateways", "g7")?;
            Ok((g["status"]["observedGeneration"] == g["metadata"]["generation"]).then_some(()))
        })?;
        // What would come in vain comes soon.
        std::thread::sleep(Duration::from_secs(2));
        let calls = calls_for_resources(operator)? - before;
        let all = entries(&log, from)?;
        let named = |entry: &&Value| {
            let (object, text) = (&entry["objectRef"], |value: &Value| value.as_str().map(str::to_string));
            let resource = text(&object["resource"]).unwrap_or_default();
            text(&object["subresource"]).map_or(resource.clone(), |below| format!("{resource}/{below}"))
        };
        let made = by_operator(&all);
        let written = made.iter().map(named).collect();
        // The first entry is the change itself.
        let at = |entry: Option<&Value>| entry.and_then(answered).unwrap_or_default();
        let took = at(made.last().copied()).saturating_sub(at(all.first()));
        let status = "servicegateways/status";
        let wanted = children.iter().chain([&status]).map(|child| (*child).to_string()).collect();
        Ok(Change { spec, wanted, new, written, calls, took })
    })
    .collect()
}

/// Calls of the operator, without those by which it looks once a minute for an API that is not installed.
fn calls_for_resources(operator: &Operator) -> Outcome<u64> {
    let all = operator.counted("api_calls", "")?;
    Ok(all - operator.counted("api_calls", "verb=\"discover\"")?)
}

/// When a call was answered, since the day began; the log has `2026-01-31T12:34:56.123456Z`.
fn answered(entry: &Value) -> Option<Duration> {
    let (_, time) = entry["stageTimestamp"].as_str()?.split_once('T')?;
    let mut parts = time.trim_end_matches('Z').split(':');
    let (hours, minutes): (u64, u64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some(Duration::from_secs(hours * 3600 + minutes * 60) + Duration::from_secs_f64(seconds))
}

/// Measure, and print one line of JSON for `cargo xtask bench`.
pub(crate) fn print(options: &Options) -> Outcome {
    let seen = measure(options, Duration::from_secs(options.quiet_seconds))?;
    let changes: Vec<Value> = seen
        .changes
        .iter()
        .map(|change| {
            let wanted = change.fair();
            let as_wanted = change.written == change.wanted;
            json!({"children": change.wanted.len() - 1, "new": change.new, "wanted": wanted, "calls": change.calls, "as_wanted": as_wanted, "ms": change.took.as_secs_f64() * 1e3})
        })
        .collect();
    println!(
        "{}",
        json!({
            "gateways": GATEWAYS, "written": seen.written, "rate": seen.rate, "baseline": seen.baseline,
            "resident": seen.resident, "at_rest": seen.at_rest.len(), "quiet_seconds": options.quiet_seconds,
            "changes": changes,
        })
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_audit_log_are_read() {
        let entry = json!({"stageTimestamp": "2026-01-31T01:02:03.500000Z"});
        assert_eq!(answered(&entry), Some(Duration::from_millis(3_723_500)));
        assert_eq!(answered(&json!({})), None);
    }
}
