//! Whether the operator may read what it works with, in each scope: asked again and again, since rights may go while
//! the operator runs, and an open watch does not notice that.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use operator_api::spec::ServiceGateway;

use crate::api::Caller;
use crate::error::Error;
use crate::http::Readiness;
use crate::kinds::Kind;
use crate::watch::Scope;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(15);

/// A scope in words.
pub fn shown(scope: &Scope) -> String {
    scope.as_ref().map_or("all namespaces".into(), |namespace| format!("namespace '{namespace}'"))
}

/// All kinds that are read.
fn kinds() -> Vec<ApiResource> {
    let mut kinds = vec![
        ApiResource::erase::<ServiceGateway>(&()),
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Pod>(&()),
    ];
    kinds.extend(Kind::BUILT_IN.map(Kind::resource));
    kinds
}

/// Look at one scope for ever.
pub async fn watch(caller: Caller, scope: Scope, readiness: Readiness) {
    loop {
        for kind in kinds() {
            let asked = ask(&caller, &scope, &kind).await;
            note(&readiness, &scope, &kind.plural, asked.as_ref().err());
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn ask(caller: &Caller, scope: &Scope, kind: &ApiResource) -> Result<(), Error> {
    let client = caller.client.clone();
    let api: Api<DynamicObject> = match scope {
        Some(namespace) => Api::namespaced_with(client, namespace, kind),
        None => Api::all_with(client, kind),
    };
    // Not of any version: such a list comes whole, whatever its limit.
    let how = ListParams::default().limit(1);
    caller.call("discover", &kind.plural, async move { api.list_metadata(&how).await }).await.map(|_| ())
}

/// Writes down what came of a look. Only a refusal is news: an API server that cannot be reached says nothing of rights.
fn note(readiness: &Readiness, scope: &Scope, plural: &str, failed: Option<&Error>) {
    let key = format!("rights in {}: {plural}", shown(scope));
    match failed {
        None => readiness.there(&key),
        Some(error) if matches!(error.kind(), "forbidden" | "refused") => {
            let why = format!(
                "{}; give the operator's account its rules there, as charts/qmesh with watchNamespaces does",
                error.sentence()
            );
            if readiness.waits(&key, why.clone()) {
                tracing::warn!(scope = shown(scope), kind = plural, "{why}");
            }
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use std::collections::BTreeMap;

    fn error(code: u16) -> Error {
        let status = kube::core::Status::failure("as the test wants", "Test").with_code(code);
        Error::Api { verb: "list", what: "it".into(), source: Box::new(kube::Error::Api(Box::new(status))) }
    }

    /// Against a map of the last word on each scope and kind: the operator is ready exactly where none of them is a
    /// refusal, whatever comes in whatever order, and names each scope and kind that is refused.
    #[test]
    fn the_operator_is_ready_where_no_scope_refuses_a_kind() {
        let seed: u64 = rand::rng().random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let readiness = Readiness::default();
        let mut refused = BTreeMap::new();
        let scopes = [None, Some("a".to_string()), Some("b".to_string())];
        for step in 0..3_000 {
            let scope = &scopes[random.random_range(0..3)];
            let kind = ["pods", "secrets", "services"][random.random_range(0..3)];
            let key = (shown(scope), kind);
            match random.random_range(0..10) {
                0..=5 => {
                    note(&readiness, scope, kind, None);
                    refused.remove(&key);
                }
                6..=7 => {
                    note(&readiness, scope, kind, Some(&error(403)));
                    refused.insert(key, ());
                }
                // No answer, or none that says anything of rights: what was known stays.
                _ => note(&readiness, scope, kind, Some(&error(500))),
            }
            let waiting = readiness.waiting();
            assert_eq!(waiting.is_empty(), refused.is_empty(), "seed {seed}, step {step}: {waiting}");
            for (scope, kind) in refused.keys() {
                assert!(waiting.contains(&format!("rights in {scope}: {kind}")), "seed {seed}: {waiting}");
            }
        }
    }
}
