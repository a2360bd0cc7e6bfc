//! The reconciler of `ServiceGateway`.
//!
//! One pass over a resource: *dereference* (read what it refers to) → *validate* (pure) → *build* (pure) →
//! *apply* (server-side, what differs) → *orphans* (remove what is no longer asked for) → *status* (written
//! on change). The pure steps are in `operator-api`.
//!
//! | module | what |
//! | --- | --- |
//! | [`config`] | flags and variables of the process |
//! | [`error`] | what a pass can fail with |
//! | [`api`] | calls to the API server: bounded in time, counted |
//! | [`kinds`] | the kinds of children, and what is kept of each child |
//! | [`index`] | the children and data-access pods that exist, a few words each |
//! | [`own_pods`] | the pods of gateways that have a trouble |
//! | [`watch`] | the streams that feed the index and say which resource to look at again |
//! | [`dereference`], [`apply`], [`orphans`], [`status`] | the steps |
//! | [`conditions`] | what the status says, as a function of what was found |
//! | [`reconcile`] | the pass over one resource, and how long until the next |
//! | [`rights`] | whether the operator may read what it works with, scope by scope |
//! | [`events`] | events: aggregated, never fatal |
//! | [`leader`] | one of several operators works |
//! | [`metrics`], [`http`] | what is seen from outside |
//! | [`run`] | all of it put together |
#![forbid(unsafe_code)]

pub mod api;
pub mod apply;
pub mod conditions;
pub mod config;
pub mod dereference;
pub mod error;
pub mod events;
pub mod http;
pub mod index;
pub mod kept;
pub mod kinds;
pub mod leader;
pub mod links;
pub mod metrics;
pub mod orphans;
pub mod own_pods;
pub mod reconcile;
pub mod rights;
pub mod run;
pub mod status;
pub mod watch;
