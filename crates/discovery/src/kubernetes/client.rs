//! Calls to the API server: a page of pods, a watch of pods, one pod.
//!
//! `kube`'s client brings the way to the server (TLS, tokens and certificates that change); what comes back is
//! read here, field by field and within bounds, so that nothing but [`Pod`]s is ever made of it.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{
    core::Trouble,
    pod::{Metadata, Pod},
};
use crate::{DiscoveryError, SECOND};

/// Longest page of a list that is read.
pub const MAX_PAGE: usize = 64 << 20;
/// Longest event of a watch that is read: an object in the API server's store is at most about 1.5 MiB.
pub const MAX_EVENT: usize = 8 << 20;
/// Longest text of an error that is read.
const MAX_ERROR: usize = 64 << 10;

/// What failed, for the core and for people.
#[derive(Debug, Clone)]
pub struct Failed {
    /// what the core makes of it
    pub trouble: Trouble,
    /// a sentence
    pub why: String,
}

impl Failed {
    fn other(why: impl Into<String>) -> Failed {
        Failed { trouble: Trouble::Other, why: why.into() }
    }
}

/// A client of one API server, for the pods of one namespace.
#[derive(Clone)]
pub struct Pods {
    client: kube::Client,
    namespace: String,
    call: Duration,
}

/// A page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Page {
    /// version and token
    pub metadata: PageMetadata,
    /// pods
    pub items: Vec<Pod>,
}

/// See [`Page`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PageMetadata {
    /// version of the list
    pub resource_version: String,
    /// where the next page begins
    #[serde(rename = "continue")]
    pub token: Option<String>,
}

/// An event of a watch.
#[derive(Debug)]
pub enum Watched {
    /// It is there, or changed.
    Put(Box<Pod>),
    /// It is gone, or left the selector.
    Gone(Box<Pod>),
    /// The version moved on.
    Bookmark(String),
}

/// An open watch.
pub struct Watch {
    body: Body,
    buffer: BytesMut,
    /// bytes of the buffer known to hold no end of line
    scanned: usize,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a serde_json::value::RawValue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
    reason: String,
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Versioned {
    metadata: Metadata,
}

impl Pods {
    /// A client for the pods of `namespace`, or of the namespace that the configuration names.
    pub fn new(mut config: kube::Config, namespace: Option<String>, call: Duration) -> Result<Pods, String> {
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        // What is tried again and when is decided in one place: the core.
        config.default_retry = false;
        config.connect_timeout = Some(call);
        let client = kube::Client::try_from(config).map_err(|e| e.to_string())?;
        Ok(Pods { client, namespace, call })
    }

    /// A client from the pod's service account or a kubeconfig file.
    pub async fn infer(
        namespace: Option<String>,
        call: Duration,
        instead: &'static str,
    ) -> Result<Pods, DiscoveryError> {
        let lacking = |why: String| DiscoveryError::NoCluster { why, instead };
        let config = kube::Config::infer().await.map_err(|e| lacking(e.to_string()))?;
        Pods::new(config, namespace, call).map_err(lacking)
    }

    /// The namespace looked into.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A page of the pods that match. The selector goes to the server as it is.
    pub async fn list(&self, selector: &str, limit: u32, token: Option<&str>) -> Result<Page, Failed> {
        let mut query = format!("?limit={limit}&labelSelector={}", encoded(selector));
        if let Some(token) = token {
            query.push_str(&format!("&continue={}", encoded(token)));
        }
        let whole = async {
            let response = self.get(&query).await?;
            let body = collect(response.into_body(), MAX_PAGE).await?;
            serde_json::from_slice(&body)
                .map_err(|e| Failed::other(format!("the list of pods is unreadable: {e}")))
        };
        self.in_time(whole).await
    }

    /// One pod, by its name.
    pub async fn pod(&self, name: &str) -> Result<Pod, Failed> {
        let whole = async {
            let response = self.get(&format!("/{}", encoded(name))).await?;
            let body = collect(response.into_body(), MAX_EVENT).await?;
            serde_json::from_slice(&body).map_err(|e| Failed::other(format!("pod {name} is unreadable: {e}")))
        };
        self.in_time(whole).await
    }

    /// Opens a watch of the pods that match, from a version.
    pub async fn watch(&self, selector: &str, version: &str, seconds: u64) -> Result<Watch, Failed> {
        let query = format!(
            "?watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}&labelSelector={}",
            encoded(version),
            encoded(selector)
        );
        let response = self.in_time(self.get(&query)).await?;
        Ok(Watch { body: response.into_body(), buffer: BytesMut::new(), scanned: 0 })
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let late = |_| Err(Failed::other(format!("the API server did not answer within {:?}", self.call)));
        tokio::time::timeout(self.call, call).await.unwrap_or_else(late)
    }

    async fn get(&self, rest: &str) -> Result<Response<Body>, Failed> {
        let uri = format!("/api/v1/namespaces/{}/pods{rest}", encoded(&self.namespace));
        let request = Request::get(uri)
            .header(header::ACCEPT, "application/json")
            // A compressed watch would come in blocks of many events (Kubernetes 1.37).
            .header(header::ACCEPT_ENCODING, "identity")
            .body(Body::empty())
            .map_err(|e| Failed::other(e.to_string()))?;
        let response = self.client.send(request).await;
        let response = response
            .map_err(|e| Failed::other(format!("the API server cannot be reached: {}", chain(&e))))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(refused(status, response).await),
        }
    }
}

impl Watch {
    /// The next event; `None` at the end of the watch.
    pub async fn next(&mut self) -> Result<Option<Watched>, Failed> {
        loop {
            if let Some(at) = self.buffer[self.scanned..].iter().position(|b| *b == b'\n') {
                let line = self.buffer.split_to(self.scanned + at);
                self.buffer.advance(1);
                self.scanned = 0;
                if !line.iter().all(u8::is_ascii_whitespace) {
                    return event(&line).map(Some);
                }
                continue;
            }
            self.scanned = self.buffer.len();
            if self.buffer.len() > MAX_EVENT {
                let why = format!("an event of the watch is longer than {MAX_EVENT} bytes");
                return Err(Failed { trouble: Trouble::Expired, why });
            }
            match self.body.frame().await {
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(Failed::other("the watch broke off in the middle of an event")),
                Some(Err(error)) => {
                    return Err(Failed::other(format!("the watch broke off: {}", chain(&error))));
                }
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
            }
        }
    }
}

/// Reads one line of a watch.
fn event(line: &[u8]) -> Result<Watched, Failed> {
    // A line that cannot be read may have been a change: only a list says what is there now.
    let unreadable = |e: serde_json::Error| Failed {
        trouble: Trouble::Expired,
        why: format!("an event of the watch is unreadable: {e}"),
    };
    let Line { kind, object } = serde_json::from_slice(line).map_err(unreadable)?;
    let object = object.get();
    match kind {
        "ADDED" | "MODIFIED" => serde_json::from_str(object).map(Watched::Put).map_err(unreadable),
        "DELETED" => serde_json::from_str(object).map(Watched::Gone).map_err(unreadable),
        "BOOKMARK" => {
            let versioned: Versioned = serde_json::from_str(object).map_err(unreadable)?;
            Ok(Watched::Bookmark(versioned.metadata.resource_version))
        }
        "ERROR" => {
            let status: Status = serde_json::from_str(object).map_err(unreadable)?;
            Err(of_status(&status, None))
        }
        // A later server may send kinds that we do not know and that change nothing we know of.
        _ => Ok(Watched::Bookmark(String::new())),
    }
}

async fn refused(status: StatusCode, response: Response<Body>) -> Failed {
    let patience = response.headers().get(header::RETRY_AFTER);
    let patience = patience.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let body = collect(response.into_body(), MAX_ERROR).await.unwrap_or_default();
    let mut told: Status = serde_json::from_slice(&body).unwrap_or_default();
    told.code = status.as_u16();
    if told.message.is_empty() {
        told.message = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    }
    of_status(&told, patience)
}

fn of_status(status: &Status, patience: Option<u64>) -> Failed {
    let trouble = match (status.code, patience) {
        (410, _) => Trouble::Expired,
        (429 | 503 | 504, patience) => Trouble::Busy(patience.unwrap_or(1).saturating_mul(SECOND)),
        _ => Trouble::Other,
    };
    let advice = match status.code {
        400 => "; is the label selector written as kubectl takes it?",
        401 | 403 => "; its service account needs get, list and watch on pods",
        _ => "",
    };
    let Status { code, reason, message } = status;
    Failed { trouble, why: format!("the API server answered {code} {reason}: {message}{advice}") }
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Failed> {
    let mut out = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|e| Failed::other(format!("the API server's answer broke off: {}", chain(&e))))?;
        let Some(data) = frame.data_ref() else { continue };
        if out.len() + data.len() > limit {
            let why = format!("the API server's answer is longer than {limit} bytes");
            return Err(Failed { trouble: Trouble::TooLarge, why });
        }
        out.extend_from_slice(data);
    }
    Ok(out.freeze())
}

fn encoded(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        source = cause.source();
    }
    text
}

impl std::fmt::Debug for Pods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pods({})", self.namespace)
    }
}
