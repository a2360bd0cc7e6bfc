//! What applying would change: the object as it is against the object as the API server says it would be after
//! the operator's apply. Defaults and fields of others are in both, so only real changes show.

use std::collections::BTreeMap;

use kube::api::{ApiResource, DynamicObject};
use operator_api::Kind;
use operator_api::build::ImageDefaults;
use operator_api::validate::validate;
use serde_json::Value;
use similar::TextDiff;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::render::{children, mask, yaml};

/// Print it. True where nothing would change.
pub(crate) async fn run(cluster: &Cluster, name: &str) -> Result<bool, Error> {
    let gateway = cluster.gateway(name).await?;
    let (referenced, missing) = cluster.referenced(&gateway).await?;
    let problems = validate(&gateway).iter().map(ToString::to_string).chain(missing).collect::<Vec<_>>();
    if !problems.is_empty() {
        problems.iter().for_each(|problem| println!("nothing is applied: {problem}"));
        return Ok(false);
    }
    let images = cluster.images().await?.unwrap_or_else(|| {
        eprintln!(
            "no operator can be seen: images without a tag or repository are shown with those of this program"
        );
        ImageDefaults::default()
    });
    let mut same = true;
    let mut kinds: BTreeMap<String, (ApiResource, Vec<String>)> = BTreeMap::new();
    for child in children(&gateway, &referenced, &images)? {
        let resource = child.kind.resource();
        let after = cluster.dry_run(&resource, &child.name, &child.object).await?;
        let before = cluster.get(&resource, &child.name).await?;
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
    if same {
        println!("nothing would change");
    }
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
    print!(
        "{}",
        diff.unified_diff().context_radius(3).header(&format!("{what} now"), &format!("{what} wanted"))
    );
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
