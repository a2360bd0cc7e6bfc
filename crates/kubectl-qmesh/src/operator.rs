//! Default images of the operator that works for a namespace, read from the operator's Deployment.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;
use operator_api::build::ImageDefaults;

/// Variables of the operator: namespaces, images.
const NAMESPACES: &str = "QMESH_OPERATOR_NAMESPACES";
const REPOSITORY: &str = "QMESH_OPERATOR_IMAGE_REPOSITORY";
const TAG: &str = "QMESH_OPERATOR_IMAGE_TAG";

/// The images that the operator of a namespace takes; none where no such operator is among these.
pub(crate) fn images(deployments: &[Deployment], namespace: &str) -> Option<ImageDefaults> {
    let containers = deployments.iter().filter_map(|deployment| {
        let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
        pod.containers.iter().find(|container| container.name == "operator")
    });
    let operator = containers.into_iter().find(|container| {
        let named = variable(container, NAMESPACES).unwrap_or_default();
        let mut named = named.split(',').map(str::trim).filter(|name| !name.is_empty()).peekable();
        named.peek().is_none() || named.any(|name| name == namespace)
    })?;
    let own = ImageDefaults::default();
    // Where nobody says, the operator takes the tag that is its own version.
    let of_image = || operator.image.as_deref()?.rsplit_once(':').map(|(_, tag)| tag.to_string());
    Some(ImageDefaults {
        repository: variable(operator, REPOSITORY).unwrap_or(own.repository),
        tag: variable(operator, TAG).or_else(of_image).unwrap_or(own.tag),
    })
}

fn variable(container: &Container, name: &str) -> Option<String> {
    let variable = container.env.as_ref()?.iter().find(|variable| variable.name == name)?;
    variable.value.clone().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn operator(image: &str, env: &[(&str, &str)]) -> Deployment {
        let env: Vec<_> = env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let containers = json!([{"name": "operator", "image": image, "env": env}]);
        let object = json!({
            "spec": {"selector": {}, "template": {"spec": {"containers": containers}}},
        });
        serde_json::from_value(object).expect("a Deployment")
    }

    #[test]
    fn images_are_those_that_the_operator_was_told() {
        let told = operator("qmesh-operator:9", &[(REPOSITORY, "registry.example/q"), (TAG, "7")]);
        let images = images(&[told], "desk").expect("found");
        assert_eq!((images.repository.as_str(), images.tag.as_str()), ("registry.example/q", "7"));
    }

    #[test]
    fn an_operator_that_was_told_nothing_takes_its_own_tag() {
        let images = images(&[operator("qmesh-operator:9.1.0", &[])], "desk").expect("found");
        assert_eq!((images.repository.as_str(), images.tag.as_str()), ("", "9.1.0"));
    }

    #[test]
    fn the_operator_is_the_one_that_works_in_the_namespace() {
        let other = operator("o:1", &[(NAMESPACES, "rates,credit")]);
        let ours = operator("o:2", &[(NAMESPACES, "equities, desk")]);
        let both = [other.clone(), ours];
        assert_eq!(images(&both, "desk").map(|images| images.tag).as_deref(), Some("2"));
        assert!(images(&[other], "desk").is_none());
    }
}
