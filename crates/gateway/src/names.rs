//! API names of KDB-X's DB Service, which are other words for APIs of the mesh.

use kvalue::Sym;
use sg::{
    Failure, api,
    codes::{Ac, Rc},
};

/// Namespace of the DB Service's query APIs.
pub(crate) const DB_SERVICE: &str = ".query.";

/// The name that the mesh knows an API by. Response headers keep the name that was asked for.
pub(crate) fn canonical(name: &Sym) -> Sym {
    match name.as_bytes() {
        b".query.simple" => api::GET_DATA.into(),
        b".query.preview" => api::PREVIEW.into(),
        _ => name.clone(),
    }
}

/// Why an API of the DB Service is not served, for those that are not.
pub(crate) fn refusal(name: &Sym) -> Option<Failure> {
    let what = match name.as_bytes() {
        b".query.sql" => "SQL",
        b".query.q" => "q text",
        _ => return None,
    };
    let ai = format!(
        "{name}: {what} is not served by this gateway; ask with {} (filter, groupBy, agg, sortCols, limit)",
        api::GET_DATA
    );
    Some(Failure::new(Rc::NOT_SUPPORTED, Ac::NOT_SUPPORTED, ai))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_db_service_stand_for_those_of_the_mesh() {
        for (asked, known) in [
            (".query.simple", ".kxi.getData"),
            (".query.preview", ".kxi.preview"),
            (".kxi.ping", ".kxi.ping"),
            (".query.other", ".query.other"),
        ] {
            assert_eq!(canonical(&asked.into()), known);
            assert!(refusal(&asked.into()).is_none());
        }
        let failure = refusal(&".query.sql".into()).expect("refused");
        assert_eq!((failure.rc.0, failure.ac.0, failure.http_status()), (12, 17, 400));
    }
}
