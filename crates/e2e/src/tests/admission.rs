//! The corpus of hostile manifests, `tests/hostile/gateways`, at a real API server: each is refused with its sentence,
//! or taken and told in the status within seconds. A second line is the API server's own word, where it comes first.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, Outcome, expect};
use crate::gateway::Gateway;
use crate::install::tree;
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[Test {
    name: "each hostile manifest is refused with its sentence, or told in the status",
    needs: Needs::Any,
    run: corpus,
}];

fn corpus(scene: &Scene<'_>) -> Outcome {
    scene.world.operator()?;
    let mut taken = Vec::new();
    let (mut all, mut refused) = (0, 0);
    for entry in fs::read_dir(tree("tests/hostile/gateways"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let sentences = fs::read_to_string(path.with_extension("yaml.says"))?;
        let sentence = sentences.lines().next().unwrap_or_default().to_owned();
        let object: Value = serde_json::from_str(&scene.kube().run(&[
            "create",
            "--dry-run=client",
            "--validate=false",
            "-o",
            "json",
            "-f",
            &path.display().to_string(),
        ])?)
        .map_err(|error| Failure(format!("{}: {error}", path.display())))?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let wanted = Gateway { scene, name: name.clone() }.object(&object["spec"]);
        let reply = scene.kube().try_apply(&wanted)?;
        all += 1;
        if reply.status >= 400 {
            let is = sentences.lines().any(|sentence| reply.body.contains(sentence));
            expect(is, || format!("{name}: not `{sentence}`: {}", reply.body))?;
            refused += 1;
        } else {
            taken.push((name, sentence));
        }
    }
    for (name, sentence) in &taken {
        let g = Gateway { scene, name: name.clone() };
        g.kube().within(Duration::from_secs(20), &format!("{name} says `{sentence}`"), || {
            let degraded = g.condition("Degraded")?.unwrap_or_default();
            let told = degraded["status"] == "True"
                && degraded["reason"] == "InvalidSpec"
                && degraded["message"].as_str().is_some_and(|message| message.contains(sentence.as_str()));
            expect(told, || degraded.to_string())
        })?;
    }
    expect(all >= 20 && refused >= 12 && !taken.is_empty(), || format!("{refused} of {all} were refused"))
}
