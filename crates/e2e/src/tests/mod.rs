//! The tests. Each gets a namespace of its own and says, by its name, which behaviour it shows.

mod admission;
mod answers;
mod failures;
mod gateway;
mod helm;
mod kubectl;
mod mesh;
mod missing;
mod network;
mod operator;
mod pages;
mod plain;
mod reasons;
mod references;
mod refusal;
mod rights;
mod scale;

use crate::runner::Test;

/// All of them, topic by topic, in the order in which they run.
pub(crate) const TOPICS: &[&[Test]] = &[
    plain::TESTS,
    refusal::TESTS,
    admission::TESTS,
    gateway::TESTS,
    kubectl::TESTS,
    answers::TESTS,
    failures::TESTS,
    reasons::TESTS,
    operator::TESTS,
    mesh::TESTS,
    missing::TESTS,
    references::TESTS,
    network::TESTS,
    helm::TESTS,
    rights::TESTS,
    pages::TESTS,
    scale::TESTS,
];

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Test> {
    TOPICS.iter().copied().flatten()
}
