//! A small API server: objects by path, server-side apply as "what is sent replaces what this manager sent",
//! versions, uids, managed fields; and a record of every write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use hyper::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// Its state, shared with the client that was made for it.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    writes: Vec<String>,
    reads: usize,
    dry_runs: usize,
    /// Answer calls whose "VERB path" contains the text with this status.
    failing: Vec<(String, u16)>,
}

impl Fake {
    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move {
                let (head, body) = request.into_parts();
                let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let query = head.uri.query().unwrap_or_default();
                let (status, object) = fake.answer(&head.method, head.uri.path(), query, &bytes);
                let body = Body::from(serde_json::to_vec(&object).unwrap_or_default());
                let response = Response::builder().status(status).header("content-type", "application/json");
                response.body(body)
            }
        });
        Client::new(service, "ns")
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Writes since the last time this was asked: "VERB kind name".
    pub(crate) fn writes(&self) -> Vec<String> {
        self.with(|state| std::mem::take(&mut state.writes))
    }

    /// Reads since the last time this was asked.
    pub(crate) fn reads(&self) -> usize {
        self.with(|state| std::mem::take(&mut state.reads))
    }

    /// Dry runs since the last time this was asked.
    pub(crate) fn dry_runs(&self) -> usize {
        self.with(|state| std::mem::take(&mut state.dry_runs))
    }

    /// From now on calls like this fail; no status: they work again.
    pub(crate) fn fail(&self, like: &str, status: Option<u16>) {
        self.with(|state| {
            state.failing.retain(|(text, _)| text != like);
            state.failing.extend(status.map(|status| (like.to_owned(), status)));
        });
    }

    /// Somebody else writes an object.
    pub(crate) fn put(&self, path: &str, mut object: Value) {
        self.with(|state| {
            state.version += 1;
            let metadata = &mut object["metadata"];
            metadata["resourceVersion"] = json!(state.version.to_string());
            metadata["uid"] = json!(format!("uid-{}", state.version));
            metadata["managedFields"] = json!([{ "manager": "somebody", "operation": "Update" }]);
            state.objects.insert(path.to_owned(), object);
        });
    }

    /// Somebody else changes an object that is there.
    pub(crate) fn edit(&self, path: &str, edit: impl FnOnce(&mut Value)) {
        self.change(path, json!({ "manager": "editor", "operation": "Update" }), edit);
    }

    /// A controller changes its status.
    pub(crate) fn edit_status(&self, path: &str, edit: impl FnOnce(&mut Value)) {
        let entry = json!({ "manager": "controller", "operation": "Update", "subresource": "status" });
        self.change(path, entry, edit);
    }

    fn change(&self, path: &str, entry: Value, edit: impl FnOnce(&mut Value)) {
        self.with(|state| {
            state.version += 1;
            let version = state.version;
            let object = state.objects.get_mut(path).expect("an object to edit");
            edit(object);
            object["metadata"]["resourceVersion"] = json!(version.to_string());
            object["metadata"]["managedFields"].as_array_mut().expect("managed fields").push(entry);
        });
    }

    /// An object, if it is there.
    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.with(|state| state.objects.get(path).cloned())
    }

    /// Somebody else deletes an object.
    pub(crate) fn remove(&self, path: &str) -> Option<Value> {
        self.with(|state| state.objects.remove(path))
    }

    fn answer(&self, method: &Method, path: &str, query: &str, body: &[u8]) -> (StatusCode, Value) {
        let dry = query.contains("dryRun=All");
        self.with(|state| {
            let call = format!("{method} {path}{}", if dry { "?dry" } else { "" });
            if let Some((_, status)) = state.failing.iter().find(|(text, _)| call.contains(text)) {
                let said = if dry && *status == 400 {
                    "webhook w does not support dry run"
                } else {
                    "as the test wants"
                };
                return failed(*status, said);
            }
            let mut parts = path.rsplit('/');
            let (name, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            match *method {
                Method::GET => {
                    state.reads += 1;
                    if kind == "ns" {
                        let items: Vec<_> = state
                            .objects
                            .iter()
                            .filter(|(at, _)| at.starts_with(&format!("{path}/")))
                            .map(|(_, object)| object.clone())
                            .collect();
                        return (StatusCode::OK, json!({ "kind": "List", "metadata": {}, "items": items }));
                    }
                    let found = state.objects.get(path).cloned();
                    found.map_or_else(|| failed(404, "no such object"), |object| (StatusCode::OK, object))
                }
                Method::PATCH if dry => {
                    state.dry_runs += 1;
                    let sent: Value = serde_json::from_slice(body).unwrap_or_default();
                    (StatusCode::OK, sent)
                }
                Method::PATCH => {
                    state.writes.push(format!("PATCH {kind} {name}"));
                    let sent: Value = serde_json::from_slice(body).unwrap_or_default();
                    (StatusCode::OK, state.apply(path, sent))
                }
                Method::POST => {
                    state.writes.push(format!("POST {name}"));
                    (StatusCode::CREATED, serde_json::from_slice(body).unwrap_or_default())
                }
                Method::DELETE => {
                    state.writes.push(format!("DELETE {kind} {name}"));
                    match state.objects.remove(path) {
                        Some(object) => (StatusCode::OK, object),
                        None => failed(404, "no such object"),
                    }
                }
                _ => failed(405, "not served here"),
            }
        })
    }
}

impl State {
    fn apply(&mut self, path: &str, sent: Value) -> Value {
        self.version += 1;
        if let Some(of) = path.strip_suffix("/status") {
            let mut object = self.objects.get(of).cloned().unwrap_or_else(|| json!({ "metadata": {} }));
            object["status"] = sent["status"].clone();
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.objects.insert(of.to_owned(), object.clone());
            return object;
        }
        let version = self.version;
        let mut object = sent.clone();
        let there = self.objects.get(path);
        let uid =
            there.map_or_else(|| json!(format!("uid-{version}")), |there| there["metadata"]["uid"].clone());
        let owned = if sent.pointer("/spec/replicas").is_some() {
            json!({ "f:spec": { "f:replicas": {} } })
        } else {
            json!({})
        };
        object["metadata"]["uid"] = uid;
        object["metadata"]["namespace"] = json!("ns");
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        object["metadata"]["managedFields"] =
            json!([{ "manager": "qmesh-operator", "operation": "Apply", "fieldsV1": owned }]);
        // What nobody sets any more falls back to the server's default.
        if path.contains("/deployments/") && object["spec"]["replicas"].is_null() {
            let kept = there.map(|there| there["spec"]["replicas"].clone());
            object["spec"]["replicas"] = kept.unwrap_or(json!(1));
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }
}

fn failed(code: u16, message: &str) -> (StatusCode, Value) {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        422 => "Invalid",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    (status, body)
}
