//! The variables of all processes in one list: what none of them knows is most likely misspelt.

use sg::config::{Env, Kind, Var, common, safety};

/// Variables of KX's processes that have no counterpart here: containers of a deployment often share one file.
const ELSEWHERE: &[Var] = &[
    Var::new("KXI_SM_<name>", Kind::Text, "", "KX's Storage Manager"),
    Var::new("KXI_RT_<name>", Kind::Text, "", "KX's Reliable Transport"),
    Var::new("KXI_SP_<name>", Kind::Text, "", "KX's Stream Processor"),
    Var::new("QMESH_OPERATOR_<name>", Kind::Text, "", "the operator"),
    Var::new("QMESH_GATEWAY", Kind::Text, "", "`qmesh query`"),
    Var::new("QMESH_USER", Kind::Text, "", "`qmesh query`"),
    Var::new("QMESH_PASSWORD", Kind::Text, "", "`qmesh query`"),
    Var::new("QMESH_SAMPLE", Kind::Text, "", "`qmesh up`"),
    Var::new("QMESH_CACHE_DIR", Kind::Text, "", "the project's own chores"),
    Var::new("QMESH_KEEP_CLUSTER_STATE", Kind::Text, "", "the project's own chores"),
];

/// Every variable that a process of a deployment may have.
pub fn known() -> Vec<&'static Var> {
    let of_processes = [
        common::VARS,
        link::VARS,
        gateway::config::VARS,
        coordinator::config::VARS,
        aggregator::config::VARS,
        data_access::config::VARS,
    ];
    let mut all: Vec<&'static Var> = of_processes.concat();
    all.extend(safety::GUARDS.iter().map(|guard| &guard.var));
    all.extend(ELSEWHERE);
    all
}

/// A sentence for each variable that nobody knows.
pub fn misspelt(env: &Env) -> Vec<String> {
    let known = known();
    let sentence = |(name, near): (&str, Option<&str>)| match near {
        Some(near) => format!("{name} is set and has no effect: no process knows it; is it to be {near}?"),
        None => format!("{name} is set and has no effect: no process knows it; is it misspelt?"),
    };
    env.unknown(&known).into_iter().map(sentence).collect()
}

#[cfg(test)]
mod tests;
