//! Schemas of Kubernetes' own types inside ours: complete, without their prose.
//!
//! With it the definition would be several hundred kilobytes, past what `kubectl apply` can note down on an
//! object; `kubectl explain deployment.spec.template.spec` has the same words.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

/// The schema of `T`, descriptions removed.
pub(super) fn slim<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    strip(schema.ensure_object().values_mut());
    schema
}

fn strip<'a>(values: impl Iterator<Item = &'a mut Value>) {
    for value in values {
        match value {
            Value::Object(map) => {
                // A property may itself be called "description": that one is an object, not a text.
                if map.get("description").is_some_and(Value::is_string) {
                    map.remove("description");
                }
                strip(map.values_mut());
            }
            Value::Array(items) => strip(items.iter_mut()),
            _ => {}
        }
    }
}
