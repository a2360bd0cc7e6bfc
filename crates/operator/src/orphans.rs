//! Fifth step: children that the spec no longer asks for go. Only what this resource controls, by uid: owner
//! references alone would remove them with the resource, not with the option.

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use operator_api::Child;

use crate::api::Caller;
use crate::error::Error;
use crate::index::Index;

/// Delete them. Answers their names.
pub async fn remove(
    caller: &Caller,
    index: &Index,
    namespace: &str,
    owner: &str,
    children: &[Child],
) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    for (key, seen) in index.owned(namespace, owner) {
        let wanted = children.iter().any(|child| child.kind == key.kind && child.name == key.name);
        if wanted || seen.deleting {
            continue;
        }
        let resource = key.kind.resource();
        let what = format!("{} {}", resource.kind, key.name);
        let how = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            // Never an object of the same name made by another in between.
            preconditions: Some(Preconditions { uid: Some(seen.uid.clone()), resource_version: None }),
            ..Default::default()
        };
        let (api, name) = (caller.objects(&resource, namespace), key.name.clone());
        let deleted =
            caller.call("delete", &what, async move { api.delete(&name, &how).await.map(|_| ()) }).await;
        match deleted {
            Ok(()) => removed.push(what),
            // Gone already, or made anew by somebody: either way no longer ours to delete.
            Err(Error::Api { source, .. }) if matches!(source.as_ref(), kube::Error::Api(status) if matches!(status.code, 404 | 409)) =>
                {}
            Err(error) => return Err(error),
        }
        index.deleted(&key);
    }
    Ok(removed)
}
