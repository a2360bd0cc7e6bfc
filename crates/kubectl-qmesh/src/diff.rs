//! What applying would change: the object as it is against the object as the API server says it would be after
//! the operator's apply. Defaults and fields of others are in both, so only real changes show.

use std::collections::BTreeMap;
use std::path::Path;

use kube::api::{ApiResource, DynamicObject};
use operator_api::Kind;
use operator_api::build::ImageDefaults;
use operator_api::spec::ServiceGateway;
use operator_api::validate::validate;
use serde_json::Value;
use similar::TextDiff;

use crate::additions;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::out::say;
use crate::render::{children, gateways, mask, yaml};

/// Print it, of the resource as it is stored. True where nothing would change.
pub(crate) async fn stored(cluster: &Cluster, name: &str) -> Result<bool, Error> {
    let gateway = cluster.gateway(name).await?;
    compare(cluster, name, gateway).await
}

/// Print it, of the resources in a file, as if they were applied first. True where nothing would change.
pub(crate) async fn file(cluster: &mut Cluster, path: &Path, only: Option<&str>) -> Result<bool, Error> {
    let mut same = true;
    let mut seen = 0;
    let default = cluster.namespace.clone();
    for gateway in gateways(path)? {
        let name = gateway.metadata.name.clone().unwrap_or_default();
        if only.is_some_and(|only| only != name) {
            continue;
        }
        seen += 1;
        cluster.namespace = gateway.metadata.namespace.clone().unwrap_or_else(|| default.clone());
        // With the defaults, and the refusals, of the API server itself.
        let wanted = cluster.try_gateway(&gateway).await?;
        same &= compare(cluster, &name, wanted).await?;
    }
    if seen == 0 {
        return Err(Error::Nothing(path.into()));
    }
    Ok(same)
}

async fn compare(cluster: &Cluster, name: &str, gateway: ServiceGateway) -> Result<bool, Error> {
    let (referenced, missing) = cluster.referenced(&gateway).await?;
    let problems = validate(&gateway).iter().map(ToString::to_string).chain(missing).collect::<Vec<_>>();
    if !problems.is_empty() {
        problems.iter().for_each(|problem| say!("nothing is applied: {problem}"));
        return Ok(false);
    }
    let images = cluster.images().await?.unwrap_or_else(|| {
        eprintln!(
            "no operator can be seen: images without a tag or repository are shown with those of this program"
        );
        ImageDefaults::default()
    });
    let mut same = true;
    let (mut rolls, mut added) = (Vec::new(), Vec::new());
    let mut kinds: BTreeMap<String, (ApiResource, Vec<String>)> = BTreeMap::new();
    for child in children(&gateway, &referenced, &images)? {
        let resource = child.kind.resource();
        let after = cluster.dry_run(&resource, &child.name, &child.object).await?;
        let before = cluster.get(&resource, &child.name).await?;
        if child.kind == Kind::Deployment && before.is_some() {
            let template = |object: &DynamicObject| object.data["spec"]["template"].clone();
            if before.as_ref().map(template) != Some(template(&after)) {
                rolls.push(child.name.clone());
            }
        }
        let additions = before.iter().flat_map(additions::of);
        added.extend(additions.map(|one| format!("{}/{}, added by {one}", resource.kind, child.name)));
        same &= show(&resource.kind, &child.name, before, Some(after))?;
        let known = kinds.entry(resource.kind.clone()).or_insert_with(|| (resource, Vec::new()));
        known.1.push(child.name);
    }
    for resource in Kind::BUILT_IN.map(Kind::resource) {
        kinds.entry(resource.kind.clone()).or_insert_with(|| (resource, Vec::new()));
    }
    for (resource, wanted) in kinds.into_values() {
        for left in cluster.children(&resource, name).await? {
            let left_name = left.metadata.name.clone().unwrap_or_default();
            if !wanted.contains(&left_name) {
                same &= show(&resource.kind, &left_name, Some(left), None)?;
            }
        }
    }
    match (same, rolls.is_empty()) {
        (true, _) => say!("nothing would change"),
        (false, true) => say!("no pods would be replaced"),
        (false, false) => say!("pods would be replaced: {}", rolls.join(", ")),
    }
    // Server-side apply leaves what others have set.
    added.iter().for_each(|one| say!("stays: {one}"));
    Ok(same)
}

fn show(
    kind: &str,
    name: &str,
    before: Option<DynamicObject>,
    after: Option<DynamicObject>,
) -> Result<bool, Error> {
    let (before, after) = (text(before)?, text(after)?);
    if before == after {
        return Ok(true);
    }
    let what = format!("{kind}/{name}");
    let diff = TextDiff::from_lines(&before, &after);
    let mut shown = diff.unified_diff();
    let shown = shown.context_radius(3).header(&format!("{what} now"), &format!("{what} wanted")).to_string();
    say!("{}", shown.trim_end());
    Ok(false)
}

/// Without what every write changes.
fn text(object: Option<DynamicObject>) -> Result<String, Error> {
    let Some(object) = object else { return Ok(String::new()) };
    let mut object = serde_json::to_value(&object).map_err(|error| Error::Write(error.to_string()))?;
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"] {
            metadata.remove(field);
        }
    }
    if let Value::Object(object) = &mut object {
        object.remove("status");
    }
    mask(&mut object);
    yaml(&object)
}
