//! Runs the tests, some at a time, each in a namespace of its own, and says what came out of each. Tests that change
//! shared objects, or measure, run alone after all other tests.

use std::io::BufRead;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use testkit::cluster::{Cluster, Kind, Options as ClusterOptions, check_machine};

use crate::failure::{Failure, Outcome};
use crate::tests;
use crate::thousand;
use crate::world::{Options, Scene, World};

/// One test.
pub(crate) struct Test {
    /// The behaviour it shows.
    pub(crate) name: &'static str,
    /// Where it can run.
    pub(crate) needs: Needs,
    /// The test itself.
    pub(crate) run: fn(&Scene<'_>) -> Outcome,
}

/// Where and beside whom a test can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Any cluster that the images are in, beside other tests.
    Any,
    /// A cluster of our own, beside other tests.
    Own,
    /// Any cluster, alone: it changes what all tests use.
    Alone,
    /// A cluster of our own, alone: it breaks something, or measures.
    OwnAlone,
}

impl Needs {
    fn own(self) -> bool {
        matches!(self, Needs::Own | Needs::OwnAlone)
    }

    fn alone(self) -> bool {
        matches!(self, Needs::Alone | Needs::OwnAlone)
    }
}

/// What came out of a test.
enum Verdict {
    Passed,
    Failed(String),
    Skipped(&'static str),
}

/// Run the chosen tests.
pub(crate) fn run(options: &Options) -> ExitCode {
    if options.list {
        tests::all().for_each(|test| println!("{}", test.name));
        return ExitCode::SUCCESS;
    }
    if options.check_machine {
        return match check_machine(Kind::Full) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => stop(&error.to_string()),
        };
    }
    if options.hold || options.measure {
        let done = if options.hold { hold(options) } else { thousand::print(options) };
        return match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("e2e: {failure}");
                ExitCode::FAILURE
            }
        };
    }
    let chosen: Vec<&Test> = tests::all()
        .filter(|test| {
            options.only.is_empty() || options.only.iter().any(|part| test.name.contains(part.as_str()))
        })
        .collect();
    if chosen.is_empty() {
        return stop(&format!("no test has a name that contains {}", options.only.join(" or ")));
    }
    let start = Instant::now();
    // In a thread of its own: the new thread moves into the cluster's network, the present thread stays.
    let options = options.clone();
    let outcome = std::thread::spawn(move || run_all(&options, &chosen)).join();
    match outcome.unwrap_or_else(|_| Err(Failure("a panic, see above".into()))) {
        Ok([passed, failed, skipped]) => {
            println!("{:.0} s", start.elapsed().as_secs_f64());
            println!("{passed} passed, {failed} failed, {skipped} skipped");
            if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => stop(&failure.0),
    }
}

/// A cluster for whoever wants one, until its user is done with it.
fn hold(options: &Options) -> Outcome {
    let cluster = Cluster::start(ClusterOptions {
        tools: options.tools.clone(),
        images: options.image.clone(),
        kind: Kind::Full,
    })?;
    let enter = cluster.enter();
    let socket = enter.path("/run/containerd/containerd.sock");
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("alias inside='{}'", enter.prefix());
    println!("inside {} get nodes", options.tools.join("kubectl").display());
    println!("inside cargo xtask e2e --built --kubeconfig $KUBECONFIG --load ctr:{}", socket.display());
    println!("the cluster goes when Enter is pressed or the input ends");
    // An unreadable input counts as ended.
    let _ = std::io::stdin().lock().lines().next();
    Ok(())
}

fn stop(why: &str) -> ExitCode {
    eprintln!("e2e: {why}");
    println!("0 passed, 1 failed, 0 skipped");
    ExitCode::FAILURE
}

fn run_all(options: &Options, chosen: &[&Test]) -> Outcome<[usize; 3]> {
    let start = Instant::now();
    let world = World::make(options)?;
    println!("cluster ready in {:.1} s", start.elapsed().as_secs_f64());
    let counts = Mutex::new([0; 3]);
    let numbered: Vec<(usize, &Test)> = chosen.iter().copied().enumerate().collect();
    let (alone, together): (Vec<_>, Vec<_>) = numbered.into_iter().partition(|(_, test)| test.needs.alone());
    let queue = Mutex::new(together.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                world.enter_thread();
                // The lock is held for the taking alone.
                let next = || lock(&queue).next();
                while let Some((number, test)) = next() {
                    run_and_tell(&world, test, number, &counts);
                }
            });
        }
    });
    alone.into_iter().for_each(|(number, test)| run_and_tell(&world, test, number, &counts));
    Ok(*lock(&counts))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run_and_tell(world: &World, test: &Test, number: usize, counts: &Mutex<[usize; 3]>) {
    let start = Instant::now();
    let verdict = run_one(world, test, number);
    let took = start.elapsed().as_secs_f64();
    let kind = match verdict {
        Verdict::Passed => {
            println!("ok      {} ({took:.1} s)", test.name);
            0
        }
        Verdict::Failed(why) => {
            println!("FAILED  {} ({took:.1} s)\n{}", test.name, indent(&why));
            1
        }
        Verdict::Skipped(why) => {
            println!("skipped {}: {why}", test.name);
            2
        }
    };
    lock(counts)[kind] += 1;
}

fn run_one(world: &World, test: &Test, number: usize) -> Verdict {
    if test.needs.own() && !world.is_own() {
        return Verdict::Skipped("it breaks the cluster, and this one is somebody's");
    }
    let scene = Scene { world, namespace: namespace(number, test.name) };
    let result = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            world.enter_thread();
            world.kube.namespace(&scene.namespace)?;
            (test.run)(&scene)
        });
        run.join().unwrap_or_else(|panic| Err(Failure(sentence(panic.as_ref()))))
    });
    let verdict = match result {
        Ok(()) => Verdict::Passed,
        Err(failure) => Verdict::Failed(format!("{failure}\n{}", evidence(&scene))),
    };
    if matches!(verdict, Verdict::Failed(_)) && world.options.pause_on_failure {
        println!("{} failed; its namespace is {}; press Enter to go on", test.name, scene.namespace);
        if let Some(cluster) = world.own() {
            println!("nsenter with KUBECONFIG={}", cluster.kubeconfig().display());
        }
        let _ = std::io::stdin().lock().lines().next();
    }
    // Not waited for: the next test has a namespace of its own.
    if let Err(failure) = world.kube.delete("", "namespaces", &scene.namespace) {
        return Verdict::Failed(format!("its namespace cannot be deleted: {failure}"));
    }
    verdict
}

fn sentence(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_string())).unwrap_or("a panic".into())
}

/// What somebody who was not there needs: pods, events, and what the containers said last.
fn evidence(scene: &Scene<'_>) -> String {
    let kube = scene.kube();
    let namespace = scene.namespace.as_str();
    let mut told = String::new();
    for args in [
        vec!["get", "pods,servicegateways", "-o", "wide", "-n", namespace],
        vec!["get", "pods", "-o", "wide", "-n", namespace],
        vec!["get", "events", "-n", namespace, "--sort-by=.lastTimestamp"],
        vec![
            "logs",
            "-n",
            namespace,
            "-l",
            "qmesh.test/e2e!=false",
            "--all-containers",
            "--prefix",
            "--tail=12",
        ],
    ] {
        let said = kube.run(&args).unwrap_or_else(|failure| failure.0);
        let lines: Vec<&str> = said.lines().collect();
        told.push_str(&format!("--- {}\n", args.join(" ")));
        for line in &lines[lines.len().saturating_sub(60)..] {
            told.push_str(line);
            told.push('\n');
        }
    }
    told
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("        {line}\n")).collect()
}

/// A namespace named after the test, within the allowed length.
fn namespace(number: usize, test: &str) -> String {
    let words: String = test
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(40)
        .collect();
    format!("e2e-{number}-{}", words.trim_end_matches('-'))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn test_names_are_told_apart_and_make_namespaces() {
        let mut names: Vec<&str> = tests::all().map(|test| test.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), tests::all().count());
        for name in names {
            let namespace = namespace(99, name);
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(namespace.len() < 60 && namespace.chars().all(allowed), "{namespace}");
        }
    }
}
