//! What a pass over a resource can fail with.

use std::time::Duration;

use thiserror::Error;

/// A failed pass. It is tried again with growing delay.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server refused or could not be reached.
    #[error("{verb} {what}: {source}")]
    Api {
        /// What was asked, as `apply`.
        verb: &'static str,
        /// Of which object, as `Deployment prod-gw`.
        what: String,
        /// The answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// No answer in time.
    #[error("{verb} {what}: no answer from the API server in {limit:?} (QMESH_OPERATOR_API_TIMEOUT)")]
    Timeout {
        /// What was asked.
        verb: &'static str,
        /// Of which object.
        what: String,
        /// The time it had.
        limit: Duration,
    },
    /// Not a Kubernetes object, which cannot happen with the types this crate builds.
    #[error("{what} cannot be written as JSON: {source}")]
    Json {
        /// The object.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// An object failed when others of the same pass were applied already.
    #[error("{source}; applied before: {}", applied.join(", "))]
    After {
        /// The failure.
        source: Box<Error>,
        /// Kind and name of each object applied before the failure.
        applied: Vec<String>,
    },
    /// The stored object is not a ServiceGateway of this version.
    #[error(
        "the stored object is not understood: {0}; was it written under another version of the definition? edit it so that it fits, or delete it"
    )]
    Unreadable(String),
}

impl Error {
    /// The label of the metric that counts it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) if status.code == 409 => "conflict",
                kube::Error::Api(status) if status.code == 403 => "forbidden",
                kube::Error::Api(status) if status.code == 429 => "throttled",
                kube::Error::Api(status) if (400..500).contains(&status.code) => "refused",
                _ => "api",
            },
            Self::Timeout { .. } => "timeout",
            Self::After { source, .. } => source.kind(),
            Self::Json { .. } => "json",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// Was the object refused for its content, so that the user can mend the spec?
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Api { source, what, .. } => match source.as_ref() {
                kube::Error::Api(status) if matches!(status.code, 400 | 403 | 422) => {
                    Some(format!("the API server refused {what}: {}", status.message))
                }
                _ => None,
            },
            Self::After { source, applied } => {
                source.refusal().map(|said| format!("{said}; applied before: {}", applied.join(", ")))
            }
            _ => None,
        }
    }

    /// The failure as a sentence of the status: with the API server's own words.
    pub fn sentence(&self) -> String {
        self.refusal().unwrap_or_else(|| match self {
            Self::Api { verb, what, source } => match source.as_ref() {
                kube::Error::Api(status) => {
                    format!("{verb} {what}: the API server answers {}: {}", status.code, status.message)
                }
                other => format!("{verb} {what}: the API server cannot be reached: {other}"),
            },
            Self::After { source, applied } => {
                format!("{}; applied before: {}", source.sentence(), applied.join(", "))
            }
            other => other.to_string(),
        })
    }

    /// Is a webhook in the way that takes no dry runs?
    pub fn no_dry_run(&self) -> bool {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => status.message.contains("does not support dry run"),
                _ => false,
            },
            _ => false,
        }
    }
}
