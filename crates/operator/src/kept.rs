//! Secrets of meshes that outlive their Secret, and their resource, for a while.
//!
//! Where the Secret is deleted, or the resource is deleted and made again, the secret is put back as it was: a fresh
//! secret would reach the pods at different times, and pods with different secrets refuse each other. To have another
//! one there is `spec.meshSecret.rotation`. Tests: below, and `tests/passes`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::Resource;
use operator_api::mesh_secret::MeshSecret;
use operator_api::names;
use operator_api::spec::ServiceGateway;

use crate::reconcile::Context;

/// How long one is kept that no resource has used.
const KEPT: Duration = Duration::from_secs(3600);
/// Most that are kept; the longest unused goes first.
const MOST: usize = 10_000;

/// By namespace and name of the resource.
#[derive(Default)]
pub struct KeptSecrets(Mutex<HashMap<(String, String), (Instant, MeshSecret)>>);

impl KeptSecrets {
    fn all(&self) -> MutexGuard<'_, HashMap<(String, String), (Instant, MeshSecret)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The secret last used by a resource of this name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<MeshSecret> {
        let all = self.all();
        let (used, secret) = all.get(&(namespace.to_owned(), name.to_owned()))?;
        (used.elapsed() < KEPT).then(|| secret.clone())
    }

    /// A resource uses this one.
    pub fn keep(&self, namespace: &str, name: &str, secret: MeshSecret) {
        let mut all = self.all();
        all.insert((namespace.to_owned(), name.to_owned()), (Instant::now(), secret));
        if all.len() > MOST {
            let oldest = all.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            oldest.map(|key| all.remove(&key));
        }
    }
}

/// True for the Secret of this resource, or of an earlier one of its name that is not collected yet.
pub(crate) fn is_of(secret: &Secret, name: &str, uid: &str) -> bool {
    let earlier = |kind: &str, of: &str| kind == "ServiceGateway" && of == name;
    let owners = secret.metadata.owner_references.iter().flatten();
    owners.into_iter().any(|owner| owner.uid == uid || earlier(&owner.kind, &owner.name))
}

/// Says that one was put back.
pub(crate) async fn tell(gateway: &ServiceGateway, name: &str, context: &Context) {
    let note = format!(
        "Secret {} was not there: the mesh's secret is put back as it was, so that links go on; to have another one, \
         change spec.meshSecret.rotation",
        names::mesh_secret(name)
    );
    tracing::warn!(resource = name, "{note}");
    context.events.publish(&gateway.object_ref(&()), true, "MeshSecretPutBack", &note).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(letter: &str) -> MeshSecret {
        MeshSecret::next(None, None, || letter.repeat(32))
    }

    #[test]
    fn the_last_one_of_a_name_is_kept_and_no_more_than_the_limit() {
        let kept = KeptSecrets::default();
        kept.keep("ns", "a", secret("a"));
        kept.keep("ns", "a", secret("b"));
        assert_eq!(kept.get("ns", "a"), Some(secret("b")));
        assert_eq!(kept.get("other", "a"), None);
        (0..MOST).for_each(|n| kept.keep("ns", &format!("g{n}"), secret("c")));
        assert_eq!(kept.all().len(), MOST);
        assert_eq!(kept.get("ns", "a"), None, "it was unused for longest");
    }
}
