//! the coordinator's brain, sans-io: coverage, plan, queue, leases, retries
