//! The router's rules one by one, through its public face: events in, messages out.
//!
//! | file | rules of |
//! | --- | --- |
//! | `plan` | which portions a request becomes |
//! | `dispatch` | queue, leases, choice of replica |
//! | `trouble` | losses, retries, deadlines, cancellation, limits |
//! | `registration` | DAPs, Aggs and GWs that come, change and go |
//! | `own` | APIs that the coordinator answers itself |
//! | `mesh` | a small mesh to try them on |

mod dispatch;
mod mesh;
mod own;
mod plan;
mod registration;
mod trouble;
