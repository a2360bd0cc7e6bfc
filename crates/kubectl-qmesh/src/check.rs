//! What is missing, in the way or not allowed: a line for each thing looked at.

use kube::ResourceExt;
use operator_api::build::ImageDefaults;
use operator_api::names::Role;
use operator_api::spec::DiscoveryMethod;
use operator_api::validate::{coordinator_selector, data_access_selector, overlaps, validate};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::out::say;
use crate::render::children;

/// Lines, and whether one was bad.
#[derive(Default)]
struct Report {
    bad: usize,
}

impl Report {
    fn line(&mut self, good: bool, text: impl std::fmt::Display) {
        self.bad += usize::from(!good);
        say!("{}  {text}", if good { "ok " } else { "BAD" });
    }

    /// Prints each problem as bad; without problems, one line says that all is well.
    fn all(&mut self, well: &str, problems: impl IntoIterator<Item = String>) {
        let before = self.bad;
        problems.into_iter().for_each(|problem| self.line(false, problem));
        if self.bad == before {
            self.line(true, well);
        }
    }
}

/// Print it. True where all is well.
pub(crate) async fn run(cluster: &Cluster, name: &str) -> Result<bool, Error> {
    let mut report = Report::default();
    let gateway = cluster.gateway(name).await?;
    let (referenced, missing) = cluster.referenced(&gateway).await?;
    report.all("the spec is valid", validate(&gateway).iter().map(ToString::to_string));
    report.all("everything it refers to is there", missing);
    let others = cluster.gateways().await?;
    let specs = others.iter().filter_map(|other| Some((other.metadata.name.as_deref()?, &other.spec)));
    let shared = overlaps(name, &gateway.spec, specs).iter().map(ToString::to_string).collect::<Vec<_>>();
    report.all("its selectors match no process of another ServiceGateway", shared);
    for (what, selector) in [
        ("coordinators", coordinator_selector(name, &gateway.spec)),
        ("data-access processes", data_access_selector(name, &gateway.spec)),
    ] {
        // A selector that does not parse has been named above.
        if let Ok(found) = cluster.pods(&selector).await {
            report.line(!found.is_empty(), format_args!("{} {what} match {selector}", found.len()));
        }
    }
    let mut taken = Vec::new();
    for child in children(&gateway, &referenced, &ImageDefaults::default())? {
        let Some(found) = cluster.get(&child.kind.resource(), &child.name).await? else { continue };
        let ours =
            found.owner_references().iter().any(|owner| Some(&owner.uid) == gateway.metadata.uid.as_ref());
        if !ours {
            taken.push(format!(
                "{} '{}' exists and does not belong to it",
                child.kind.resource().kind,
                child.name
            ));
        }
    }
    report.all("no other object has a name that it needs", taken);
    if gateway.spec.discovery.method == DiscoveryMethod::Pods {
        for role in [Role::Gateway, Role::Coordinator] {
            let account = role.object(name);
            match cluster.may(&account, "watch", "pods").await? {
                Some(may) => report.line(may, format_args!("account {account} may watch pods")),
                None => report
                    .line(true, format_args!("rights of {account}: you may not ask (subjectaccessreviews)")),
            }
        }
    }
    let status = gateway.status.as_ref();
    let seen = status.and_then(|status| status.observed_generation) == gateway.metadata.generation;
    report.line(
        seen,
        if seen {
            "the operator has seen the latest change"
        } else {
            "the operator has not seen the latest change: does it run, and work in this namespace?"
        },
    );
    for condition in status.iter().flat_map(|status| &status.conditions) {
        if condition.type_ == "Degraded" && condition.status == "True" {
            report.line(false, format_args!("{}: {}", condition.reason, condition.message));
        }
    }
    Ok(report.bad == 0)
}
