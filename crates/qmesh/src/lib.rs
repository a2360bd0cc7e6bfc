//! qmesh: a service gateway for kdb+/q data
