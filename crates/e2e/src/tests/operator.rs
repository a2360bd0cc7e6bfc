//! The operator itself: at rest, killed, doubled, without its API server, with the rights of its role alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::cluster::Part;

use crate::failure::{Failure, Outcome, expect};
use crate::gateway::Gateway;
use crate::install::{self, OPERATOR, SYSTEM, USER};
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test { name: "an operator at rest writes nothing", needs: Needs::OwnAlone, run: at_rest },
    Test {
        name: "an operator that is killed in the middle of a change goes on where it was",
        needs: Needs::Alone,
        run: killed,
    },
    Test {
        name: "of two operators one leads, and the other follows when it is gone",
        needs: Needs::Alone,
        run: two,
    },
    Test {
        name: "an operator that loses its lease ends, and writes nothing until it has it back",
        needs: Needs::OwnAlone,
        run: lease_lost,
    },
    Test {
        name: "the operator outlives its API server and catches up",
        needs: Needs::OwnAlone,
        run: api_gone,
    },
    Test { name: "the operator has exactly the rights of its role", needs: Needs::Any, run: rights },
    Test { name: "a gateway's account may list pods and nothing else", needs: Needs::Any, run: account },
    Test {
        name: "one resource that does not parse spoils only itself",
        needs: Needs::Alone,
        run: unparsable,
    },
    Test {
        name: "the operator's pages say that it lives, is ready, and what it did",
        needs: Needs::Any,
        run: pages,
    },
];

/// Write calls of the operator since byte `from` of the audit log, its lease aside: verb and object, counted.
fn writes(scene: &Scene<'_>, from: u64) -> Outcome<BTreeMap<String, usize>> {
    writes_after(scene, from, "")
}

/// As [`writes`], of calls that came after the second `since`, as `2026-01-31T12:00:00`.
fn writes_after(scene: &Scene<'_>, from: u64, since: &str) -> Outcome<BTreeMap<String, usize>> {
    let log = scene.world.own().map(|own| own.audit_log()).ok_or_else(|| Failure("no audit log".into()))?;
    let text = fs::read(&log)?;
    let mut counted = BTreeMap::new();
    for line in text[from.min(text.len() as u64) as usize..].split(|byte| *byte == b'\n') {
        let Ok(entry) = serde_json::from_slice::<Value>(line) else { continue };
        let object = &entry["objectRef"];
        let of_operator = entry["user"]["username"] == USER;
        let came = entry["requestReceivedTimestamp"].as_str().unwrap_or_default();
        let later = since.is_empty() || came.get(..since.len()).is_none_or(|second| second > since);
        if of_operator && later && object["resource"] != "leases" {
            let what = format!("{} {}/{}", entry["verb"], object["resource"], object["name"]);
            *counted.entry(what).or_insert(0) += 1;
        }
    }
    Ok(counted)
}

fn log_length(scene: &Scene<'_>) -> Outcome<u64> {
    let log = scene.world.own().map(|own| own.audit_log()).ok_or_else(|| Failure("no audit log".into()))?;
    Ok(fs::metadata(log)?.len())
}

fn at_rest(scene: &Scene<'_>) -> Outcome {
    let before = log_length(scene)?;
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    let made = writes(scene, before)?;
    expect(!made.is_empty(), || "the audit log has none of the calls that made the children".into())?;
    // Tests before this one leave namespaces behind that are being emptied: the operator puts back what goes there
    // until the resource itself is gone. That is no rest.
    scene.kube().within(Duration::from_secs(120), "no other test's namespace is left", || {
        let left = scene.kube().list("", "namespaces", "qmesh.test/e2e=true")?;
        let names: Vec<_> = left.iter().map(|namespace| namespace["metadata"]["name"].clone()).collect();
        expect(names == [json!(scene.namespace)], || format!("{names:?}"))
    })?;
    // Events of the last step may still be on their way.
    scene.watch_for(Duration::from_secs(5));
    let start = log_length(scene)?;
    scene.watch_for(Duration::from_secs(scene.world.options.quiet_seconds));
    let later = writes(scene, start)?;
    expect(later.is_empty(), || format!("at rest it wrote {later:?}"))
}

fn killed(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    g.patch(json!({"gateway": {"replicas": 2}, "coordinator": {"podAnnotations": {"a": "b"}}}))?;
    let pods = install::pods(kube)?;
    for pod in &pods {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        kube.run(&["delete", "pod", name, "-n", SYSTEM, "--grace-period=0", "--force"])?;
    }
    g.patch(json!({"aggregator": {"replicas": 2}}))?;
    kube.rolled_out(SYSTEM, OPERATOR)?;
    g.settled()?;
    let ready = g.get("deployments", "agg")?["status"]["readyReplicas"].clone();
    expect(ready == 2, || format!("{ready} aggregators"))
}

fn two(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    scene.world.operator()?;
    kube.run(&["scale", "deployment", OPERATOR, "--replicas=2", "-n", SYSTEM])?;
    let outcome = two_running(scene);
    kube.run(&["scale", "deployment", OPERATOR, "--replicas=1", "-n", SYSTEM])?;
    kube.rolled_out(SYSTEM, OPERATOR)?;
    outcome
}

fn two_running(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    kube.rolled_out(SYSTEM, OPERATOR)?;
    let first = kube.until("one leads", || install::leader(kube))?;
    let pods = install::pods(kube)?;
    let named = |pod: &&Value| pod["metadata"]["name"].as_str().is_some_and(|name| first.contains(name));
    let leading = pods.iter().find(named).ok_or_else(|| Failure(format!("no pod is called like {first}")))?;
    let name = leading["metadata"]["name"].as_str().unwrap_or_default();
    // Told to stop, it gives the lease back: the other need not wait for its end.
    kube.run(&["delete", "pod", name, "-n", SYSTEM, "--wait=false"])?;
    kube.within(Duration::from_secs(10), "another leads", || {
        let now = install::leader(kube)?;
        expect(now.as_ref().is_some_and(|now| *now != first), || format!("{now:?} leads"))
    })?;
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()
}

fn lease_lost(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    kube.until("one leads", || install::leader(kube))?;
    let before = restarts(scene)?;
    let taken = json!({"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 15}});
    kube.patch(SYSTEM, "leases", OPERATOR, &taken)?;
    let start = log_length(scene)?;
    kube.within(Duration::from_secs(20), "the process that lost it has ended and begun anew", || {
        let now = restarts(scene)?;
        expect(now == before + 1, || format!("{before} restarts became {now}"))
    })?;
    let pods = install::pods(kube)?;
    let ended = pods[0]["status"]["containerStatuses"][0]["lastState"]["terminated"].clone();
    expect(ended["exitCode"] == 1, || format!("it ended with {ended}"))?;
    // The one that ended may have written until it looked at its lease; what came after is of the one that began anew.
    // The kubelet tells whole seconds.
    let since = ended["finishedAt"].as_str().unwrap_or_default().trim_end_matches('Z').to_string();
    // Somebody else holds it for as long as it lasts: what is asked for meanwhile is not this one's to do.
    g.patch(json!({"aggregator": {"replicas": 2}}))?;
    let mut looked = 0;
    loop {
        let made = writes_after(scene, start, &since)?;
        if install::leader(kube)?.as_deref() != Some("somebody-else") {
            break;
        }
        expect(made.is_empty(), || format!("without the lease it wrote {made:?}"))?;
        looked += 1;
        scene.watch_for(Duration::from_millis(200));
    }
    expect(looked > 10, || format!("the lease was free after {looked} looks"))?;
    g.settled()?;
    let ready = g.get("deployments", "agg")?["status"]["readyReplicas"].clone();
    expect(ready == 2, || format!("{ready} aggregators"))
}

fn api_gone(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    let restarts = restarts(scene)?;
    let own = || scene.world.own().ok_or_else(|| Failure("not a cluster of our own".into()));
    own()?.kill(Part::ApiServer);
    scene.watch_for(Duration::from_secs(20));
    own()?.launch(Part::ApiServer)?;
    own()?.wait_api()?;
    g.patch(json!({"gateway": {"replicas": 2}}))?;
    g.settled()?;
    kube.rolled_out(SYSTEM, OPERATOR)?;
    // Losing the lease ends a process by design, once; anything more is a crash.
    let after = self::restarts(scene)?;
    expect(after <= restarts + 1, || format!("{restarts} restarts became {after}"))
}

fn restarts(scene: &Scene<'_>) -> Outcome<i64> {
    let pods = install::pods(scene.kube())?;
    Ok(pods.iter().filter_map(|pod| pod["status"]["containerStatuses"][0]["restartCount"].as_i64()).sum())
}

fn rights(scene: &Scene<'_>) -> Outcome {
    scene.world.operator()?;
    let kube = scene.kube();
    let role = [kube.get("", "clusterroles", OPERATOR)?, kube.get(SYSTEM, "roles", OPERATOR)?];
    let written = role.map(|role| each(&role["rules"]));
    // What any account may, as asking what it may.
    let anybody = |ns: &str| review(scene, "system:serviceaccount:default:nobody", ns);
    let elsewhere = &scene.namespace;
    let may = review(scene, USER, elsewhere)?;
    let wanted = &anybody(elsewhere)? | &written[0];
    expect(may == wanted, || format!("in {elsewhere} more or less than its role: {:?}", &may ^ &wanted))?;
    let may = review(scene, USER, SYSTEM)?;
    let wanted = &(&anybody(SYSTEM)? | &written[0]) | &written[1];
    expect(may == wanted, || format!("in {SYSTEM} more or less than its roles: {:?}", &may ^ &wanted))?;
    let all = |rule: &Right| rule.contains(&"*".to_string());
    expect(!written.iter().flatten().any(all), || "a rule of its role is for everything".into())
    // And with these it does its work: every other test of a gateway.
}

/// Group, resource, name of an object (none: any), verb.
type Right = [String; 4];

/// Rules, one by one for what each allows.
fn each(rules: &Value) -> BTreeSet<Right> {
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        let list = rule[field].as_array().into_iter().flatten();
        list.filter_map(|text| Some(text.as_str()?.to_string())).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in rules.as_array().into_iter().flatten() {
        let names = match texts(rule, "resourceNames") {
            names if names.is_empty() => vec![String::new()],
            names => names,
        };
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for name in &names {
                    for verb in texts(rule, "verbs") {
                        rights.insert([group.clone(), resource.clone(), name.clone(), verb]);
                    }
                }
            }
        }
    }
    rights
}

/// All that a user may do with resources in a namespace, as the API server sees it.
fn review(scene: &Scene<'_>, user: &str, namespace: &str) -> Outcome<BTreeSet<Right>> {
    let ask = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let reply = scene.kube().call_as(user, "POST", path, &ask.to_string())?;
    let said = reply.json()?;
    expect(reply.status == 201 && said["status"]["incomplete"] == false, || reply.body.clone())?;
    Ok(each(&said["status"]["resourceRules"]))
}

fn account(scene: &Scene<'_>) -> Outcome {
    let g = Gateway::apply(scene, "g", &json!({}))?;
    let ns = g.namespace();
    let bound = |end: &str| scene.kube().find(ns, "rolebindings", end);
    scene.kube().until("the accounts have their rights", || bound("g-pod-reader"))?;
    let reply_as = |who: &str, method: &str, path: &str| {
        let user = format!("system:serviceaccount:{ns}:{}", g.child(who));
        scene.kube().call_as(&user, method, path, "").map(|reply| reply.status)
    };
    let pods = format!("/api/v1/namespaces/{ns}/pods");
    for who in ["gw", "rc"] {
        let status = reply_as(who, "GET", &pods)?;
        expect(status == 200, || format!("{who} may not list pods: {status}"))?;
        for (method, path) in [
            ("GET", format!("/api/v1/namespaces/{ns}/secrets")),
            ("GET", format!("/api/v1/namespaces/{ns}/configmaps")),
            ("GET", "/api/v1/pods".to_string()),
            ("GET", "/api/v1/namespaces/kube-system/pods".to_string()),
            ("DELETE", pods.clone()),
            ("GET", format!("/apis/apps/v1/namespaces/{ns}/deployments")),
        ] {
            let status = reply_as(who, method, &path)?;
            expect(status == 403, || format!("{who} may {method} {path}: {status}"))?;
        }
    }
    let status = reply_as("agg", "GET", &pods)?;
    expect(status == 403, || format!("agg may list pods: {status}"))
}

fn unparsable(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    scene.world.operator()?;
    // An older version of the definition let everything in; what it let in is still stored.
    let loose = json!({"spec": {"versions": [{
        "name": "v1alpha1", "served": true, "storage": true,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
    }]}});
    kube.patch("", "customresourcedefinitions", "servicegateways.qmesh.dev", &loose)?;
    let outcome = (|| {
        let odd = json!({"gateway": {"replicas": "many"}});
        kube.until("the loose definition is in force", || {
            let object = Gateway { scene, name: "odd".into() }.object(&odd);
            Ok((kube.try_apply(&object)?.status < 300).then_some(()))
        })?;
        let g = Gateway::apply(scene, "even", &json!({}))?;
        g.settled()
    })();
    // Back from the chart, as whoever has edited a definition by hand would do it: Helm takes its fields back.
    let chart = install::tree("charts/qmesh-crds").display().to_string();
    let back = ["upgrade", "qmesh-crds", &chart, "--namespace", SYSTEM, "--force-conflicts"];
    install::Helm(scene.world).run(&back)?;
    outcome?;
    kube.delete(&scene.namespace, "servicegateways", "odd")
}

fn pages(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    let pods = install::pods(kube)?;
    let name = pods.first().and_then(|pod| pod["metadata"]["name"].as_str()).unwrap_or_default();
    let read = |page: &str| {
        kube.call("GET", &format!("/api/v1/namespaces/{SYSTEM}/pods/{name}:8080/proxy{page}"), "", "")
    };
    for page in ["/livez", "/readyz"] {
        let reply = read(page)?;
        expect(reply.status == 200, || format!("{page}: {} {}", reply.status, reply.body))?;
    }
    let metrics = read("/metrics")?;
    expect(metrics.body.contains("reconcile"), || metrics.body)
}
