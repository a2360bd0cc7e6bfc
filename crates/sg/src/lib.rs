//! The vocabulary that all processes share.
//!
//! | module | what |
//! | --- | --- |
//! | [`codes`] | `rc`, `ac`, [`Failure`] and its HTTP status |
//! | [`ids`] | [`Corr`], [`InstanceId`], [`PortionId`] |
//! | [`range`] | [`TimeRange`], half-open and never backwards |
//! | [`labels`] | [`LabelSet`] of a source, [`LabelQuery`] of a request |
//! | [`tz`] | time zones of `inputTZ` and `outputTZ` |
//! | [`api`] | metadata of APIs |
//! | [`purview`] | what a DAP covers |
//! | [`meta`] | what `.kxi.getMeta` answers |
//! | [`msg`] | the internal messages |
//! | [`opts`] | header options of a request |
//! | [`header`] | the response header |
//! | [`args`] | the arguments that routing decides by |
//! | [`config`] | configuration from the environment |
#![forbid(unsafe_code)]

pub mod api;
pub mod args;
pub mod codes;
pub mod config;
pub mod header;
pub mod ids;
pub mod instant;
pub mod labels;
pub mod meta;
pub mod msg;
pub mod mutation;
mod nearest;
pub mod opts;
pub mod purview;
pub mod range;
pub mod tz;

pub use api::Api;
pub use codes::{Ac, Failure, Rc};
pub use ids::{Corr, InstanceId, PortionId};
pub use labels::{LabelQuery, LabelSet};
pub use msg::{Encoded, Msg};
pub use nearest::nearest;
pub use purview::Purview;
pub use range::TimeRange;
