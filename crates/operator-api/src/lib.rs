//! `ServiceGateway`: the type, what is wrong with one, and all the objects that it stands for.
//!
//! | module | what |
//! | --- | --- |
//! | [`spec`] | the resource as users write it: schema, defaults, rules that the API server checks |
//! | [`status`] | what the operator says about it: conditions, ready of wanted, endpoint |
//! | [`crd`] | the CustomResourceDefinition, as it is installed |
//! | [`names`] | names and labels of the children; the only place where they are made |
//! | [`selector`] | label selectors as text, parsed and matched |
//! | [`pod_trouble`] | why a pod is not ready, in stable words |
//! | [`referenced`] | what the objects that a resource refers to say, as far as children depend on it |
//! | [`walk`] | ConfigMaps and Secrets that a pod names, found by the shape of its JSON |
//! | [`uses`] | those that a resource uses, with the field that names each, and what is missing |
//! | [`rules`] | rules of single fields: CEL, sentence and check of each |
//! | [`validate`] | what the API server cannot check, as sentences |
//! | [`mesh_secret`] | the secret of the mesh: made, kept, rotated |
//! | [`install`] | what the operator itself needs: its rights, the plain manifests |
//! | [`mod@reference`] | every field of the type, as a page |
//! | [`mod@build`] | all children as one struct, from a resource and what it refers to |
//! | [`child`] | the same one by one, in the order in which they are applied |
//!
//! Nothing here talks to anyone: the same functions serve the operator, `kubectl qmesh` and the golden tests.
#![forbid(unsafe_code)]

pub mod build;
pub mod child;
pub mod crd;
mod expected;
pub mod install;
pub mod mesh_secret;
pub mod names;
pub mod pod_trouble;
pub mod reference;
pub mod referenced;
pub mod rules;
pub mod selector;
#[allow(unreachable_pub, reason = "the schema derive makes a private copy of each type with rules")]
pub mod spec;
pub mod status;
pub mod uses;
pub mod validate;
pub mod walk;

pub use build::{Children, build};
pub use child::{Child, Kind};
pub use referenced::Referenced;
pub use spec::{ServiceGateway, ServiceGatewaySpec};
pub use status::ServiceGatewayStatus;
