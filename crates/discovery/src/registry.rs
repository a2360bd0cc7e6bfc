//! Where a kdb Insights registry (`DISCOVERY_PROXY`) has its place: what would read it is a [`crate::Source`] like
//! addresses and pods, and passes the same tests (`tests/watching/sources.rs`).
//!
//! No client is built in yet: every process says so in the words of [`sg::config::common::registry`].

pub use sg::config::common::registry as refused;

#[cfg(test)]
mod tests {
    use sg::config::Env;

    #[test]
    fn a_registry_alone_is_refused_with_what_to_set_instead() {
        let env = Env::of([("DISCOVERY_PROXY", "proxy:4000")]);
        let error = super::refused(&env, false, "KXI_SG_RC_ADDR").unwrap_err().to_string();
        assert!(error.contains("proxy:4000") && error.contains("KXI_SG_RC_ADDR"), "{error}");
        let said = super::refused(&env, true, "KXI_SG_RC_ADDR").unwrap();
        assert!(said.is_some_and(|s| s.contains("has no effect")));
        assert_eq!(super::refused(&Env::default(), false, "KXI_SG_RC_ADDR").unwrap(), None);
    }
}
