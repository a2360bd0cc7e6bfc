//! The router's rules one by one, through its public face: events in, messages out.
//!
//! | file | rules of |
//! | --- | --- |
//! | `plan` | which portions a request becomes |
//! | `dispatch` | queue, leases, choice of replica |
//! | `answer` | the end of a request, and answers that are lost on their way |
//! | `again` | how often a portion runs again |
//! | `trouble` | losses, deadlines, cancellation, limits |
//! | `registration` | DAPs, Aggs and GWs that come, change and go |
//! | `own` | APIs answered by the coordinator itself (`router/builtin_apis`) |
//! | `peers` | several coordinators as one router |
//! | `owners` | whose a data process is among several coordinators, and what one that joins knows |
//! | `fair` | whose turn it is: users, priorities |
//! | `hedge` | second runs of slow portions |
//! | `best` | answers without what is missing |
//! | `declared` | tiers that there should be, seen or not |
//! | `found` | data processes that discovery has found, linked or not |
//! | `leaving` | data processes that are no longer looked for |
//! | `legs` | the way of a request, leg by leg |
//! | `vintage` | portions that used older reference tables than others |
//! | `mesh`, `net` | a small mesh to try them on, and several joined |

mod again;
mod answer;
mod best;
mod declared;
mod dispatch;
mod fair;
mod found;
mod hedge;
mod leaving;
mod legs;
mod mesh;
mod net;
mod own;
mod owners;
mod peers;
mod plan;
mod recall;
mod registration;
mod trouble;
mod vintage;
