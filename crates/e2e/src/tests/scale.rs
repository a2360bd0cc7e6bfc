//! Many gateways, and several clusters.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::alone;
use crate::failure::{Outcome, expect};
use crate::runner::{Needs, Test};
use crate::thousand::{GATEWAYS, measure};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "a thousand gateways converge as fast as the API server allows, in 40 MiB",
        needs: Needs::OwnAlone,
        run: thousand,
    },
    Test {
        name: "a second cluster beside the first is ready in seconds and leaves no trace",
        needs: Needs::Own,
        run: second,
    },
    Test {
        name: "the same tests run against a cluster that a kubeconfig names",
        needs: Needs::Own,
        run: named,
    },
];

/// Resident memory that the operator may have.
const MEMORY_LIMIT: u64 = 40 << 20;
/// Least rate of the operator, as a share of what one client reaches that does nothing else.
const LEAST_SHARE: f64 = 0.8;

fn second(scene: &Scene<'_>) -> Outcome {
    let start = Instant::now();
    let cluster = alone::cluster(&scene.world.options)?;
    let ready = start.elapsed();
    expect(ready < Duration::from_secs(60), || format!("it was ready only after {ready:?}"))?;
    let name = cluster.state().file_name().unwrap_or_default().to_owned();
    let state = cluster.state().to_path_buf();
    let group = Path::new("/sys/fs/cgroup/pids").join(&name);
    expect(state.exists() && (group.exists() || !group.parent().is_some_and(Path::exists)), || {
        format!("neither {} nor {} is there", state.display(), group.display())
    })?;
    drop(cluster);
    expect(!state.exists() && !group.exists(), || "its state or its control groups are still there".into())?;
    // The first one has not noticed.
    scene.kube().get("", "nodes", "n1").map(|_| ())
}

fn thousand(scene: &Scene<'_>) -> Outcome {
    let seconds = scene.world.options.quiet_seconds;
    let seen = measure(&scene.world.options, Duration::from_secs(seconds))?;
    println!(
        "        {GATEWAYS} gateways: {} writes, {:.0}/s; one client alone {:.0}/s; resident {:.1} MiB; \
         {} writes in {seconds} s afterwards",
        seen.written,
        seen.rate,
        seen.baseline,
        seen.resident as f64 / f64::from(1 << 20),
        seen.at_rest.len(),
    );
    expect(seen.written >= GATEWAYS, || format!("the audit log has only {} of its writes", seen.written))?;
    expect(seen.at_rest.is_empty(), || format!("at rest it wrote {:?}", seen.at_rest))?;
    expect(seen.resident <= MEMORY_LIMIT, || {
        format!("{} bytes are resident, {MEMORY_LIMIT} may be", seen.resident)
    })?;
    expect(seen.rate >= LEAST_SHARE * seen.baseline, || {
        format!("{:.0} writes/s where one client alone has {:.0}", seen.rate, seen.baseline)
    })?;
    // Each child that differs is a round trip, and so is the status; what is known is not read before.
    for change in &seen.changes {
        println!(
            "        {}: {} calls, {:?} in {:?}",
            change.spec, change.calls, change.written, change.took
        );
        expect(change.written == change.wanted && change.calls == change.fair() as u64, || {
            format!("{change:?}")
        })?;
    }
    Ok(())
}

fn named(scene: &Scene<'_>) -> Outcome {
    // Two installers at once would be in each other's way.
    scene.world.operator()?;
    let options = &scene.world.options;
    let mut tests = Command::new(std::env::current_exe()?);
    tests.arg("--kubeconfig").arg(scene.kube().kubeconfig()).arg("--tools").arg(&options.tools);
    tests.arg("--programs").arg(&options.programs).args(["--jobs", "1"]);
    tests.args(["--repository", &options.repository, "--tag", &options.tag]);
    tests.args(["--only", "plain deployments answer", "--only", "a second cluster beside"]);
    let done = tests.output()?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    // What would break the cluster is left out, and says so.
    expect(said.trim_end().ends_with("1 passed, 0 failed, 1 skipped") && done.status.success(), || {
        format!("{said}{}", String::from_utf8_lossy(&done.stderr))
    })
}
