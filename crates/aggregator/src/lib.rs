//! the Agg process: collects partials, aggregates, answers the gateway
