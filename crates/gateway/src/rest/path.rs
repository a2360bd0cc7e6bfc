//! Which API a REST path names.
//!
//! `/data`, `/meta`, `/sql`, `/qsql` are short forms; `/v2/meta`, `/v3/meta` ask for a version; `/api/v1/…`
//! and `/api/v3/…` are prefixes; anything else is the API's name with slashes for dots and without the leading
//! dot (`/example/daAPI`), or with dots (`/example.daAPI`). `/servicegateway`, with or without the query
//! environments' `/qe`, may stand before all of them. Of KDB-X's `/api/v0` there are the queries. Tests: below.

use kvalue::Sym;

use crate::{call::MAX_NAME, names::DB_SERVICE};

/// An API and the version of it that a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) api: Sym,
    pub(super) version: Option<i64>,
}

/// The target of a path; a sentence where it cannot be one.
pub(super) fn target(path: &str) -> Result<Target, String> {
    let none = || format!("{path} names no API here: see /meta for those there are");
    let inner = path.strip_prefix('/').ok_or_else(none)?.trim_end_matches('/');
    let mut segments: Vec<&str> = inner.split('/').collect();
    if segments.len() > 1 && segments[0] == "servicegateway" {
        segments.remove(0);
        if segments.len() > 1 && segments[0] == "qe" {
            segments.remove(0);
        }
    }
    if segments.starts_with(&["api", "v0"]) {
        return match segments[2..] {
            ["query", name @ ("simple" | "preview" | "sql")] => {
                Ok(Target { api: format!("{DB_SERVICE}{name}").as_str().into(), version: None })
            }
            ["query", "q"] => Err(format!(
                "{path}: q text is not served by this gateway; POST /api/v0/query/simple has filter, groupBy, agg \
                 and limit"
            )),
            _ => Err(format!(
                "{path}: of KDB-X's /api/v0 this gateway serves query/simple and query/preview; it reads data, and \
                 has no paths that manage tables, imports, deletes or configuration"
            )),
        };
    }
    if segments.len() > 2 && segments[0] == "api" && version(segments[1]).is_some() {
        segments.remove(0);
    }
    let mut asked = None;
    if segments.len() > 1
        && let Some(n) = version(segments[0])
    {
        segments.remove(0);
        // `/api/v1/<name>` is how URLs are written, not a version of the API.
        asked = (n > 1).then_some(n);
    }
    let api = match segments[..] {
        ["data"] => sg::api::GET_DATA.to_owned(),
        ["meta"] => sg::api::GET_META.to_owned(),
        [short @ ("sql" | "qsql" | "ping" | "preview")] => format!(".kxi.{short}"),
        [name] if !name.contains('.') => name.to_owned(),
        _ => format!(".{}", segments.join(".").trim_start_matches('.')),
    };
    let name = api.strip_prefix('.').unwrap_or(&api);
    let good = |part: &str| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    (api.len() <= MAX_NAME && name.split('.').all(good))
        .then(|| Target { api: api.as_str().into(), version: asked })
        .ok_or_else(none)
}

fn version(segment: &str) -> Option<i64> {
    let digits = segment.strip_prefix('v')?;
    (digits.len() == 1).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_apis() {
        for (path, api, version) in [
            ("/data", ".kxi.getData", None),
            ("/kxi/getData", ".kxi.getData", None),
            ("/api/v1/data", ".kxi.getData", None),
            ("/api/v1/kxi/ping", ".kxi.ping", None),
            ("/servicegateway/kxi/ping", ".kxi.ping", None),
            ("/meta", ".kxi.getMeta", None),
            ("/meta/", ".kxi.getMeta", None),
            ("/v2/meta", ".kxi.getMeta", Some(2)),
            ("/v3/meta", ".kxi.getMeta", Some(3)),
            ("/api/v3/meta", ".kxi.getMeta", Some(3)),
            ("/example/daAPI", ".example.daAPI", None),
            ("/example.daAPI", ".example.daAPI", None),
            ("/.example.daAPI", ".example.daAPI", None),
            ("/a/b/c_1", ".a.b.c_1", None),
            ("/countBy", "countBy", None),
            ("/qmesh/explain", ".qmesh.explain", None),
            ("/kxi/sql", ".kxi.sql", None),
            ("/sql", ".kxi.sql", None),
            ("/servicegateway/qe/data", ".kxi.getData", None),
            ("/servicegateway/qe/kxi/getMeta", ".kxi.getMeta", None),
            ("/servicegateway/qe/api/v3/meta", ".kxi.getMeta", Some(3)),
            ("/servicegateway/qe/qe/f", ".qe.f", None),
            ("/qe/f", ".qe.f", None),
            ("/api/v0/query/simple", ".query.simple", None),
            ("/servicegateway/api/v0/query/preview/", ".query.preview", None),
            ("/api/v0/query/sql", ".query.sql", None),
            ("/query/simple", ".query.simple", None),
        ] {
            assert_eq!(target(path), Ok(Target { api: api.into(), version }), "{path}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_no_target() {
        let long = format!("/a/{}", "b".repeat(300));
        for path in ["/", "", "//", "/a//b", "/a b", "/a/../b", "/favicon-32.png", "/1/x", "/é", &long] {
            assert!(target(path).is_err(), "{path}");
        }
    }

    #[test]
    fn what_the_db_service_has_and_we_have_not_is_refused_with_the_reason() {
        for (path, word) in [
            ("/api/v0", "reads data"),
            ("/api/v0/tables", "reads data"),
            ("/api/v0/tables/trade", "reads data"),
            ("/api/v0/imports/files", "imports"),
            ("/api/v0/data", "query/simple"),
            ("/api/v0/query", "query/simple"),
            ("/api/v0/query/q", "q text"),
            ("/servicegateway/qe/api/v0/config/assembly", "configuration"),
        ] {
            let why = target(path).unwrap_err();
            assert!(why.contains(word) && why.contains(path), "{path}: {why}");
        }
    }

    /// Each API, under each prefix that documents name, is the same API.
    #[test]
    fn every_prefix_leads_to_the_same_api() {
        let prefixes = ["", "/servicegateway", "/servicegateway/qe"];
        let urls = ["", "/api/v1"];
        let mut cases = 0;
        for n in 0..60 {
            let name: Vec<String> = (0..1 + n % 4).map(|k| format!("n{}_{k}", n * 7 % 13)).collect();
            for (path, api) in [
                (format!("/{}", name.join("/")), name.join(".")),
                (format!("/{}", name.join(".")), name.join(".")),
                ("/data".into(), "kxi.getData".into()),
            ] {
                let api = if name.len() == 1 && path != "/data" { api } else { format!(".{api}") };
                for prefix in prefixes.iter().flat_map(|p| urls.map(|u| format!("{p}{u}"))) {
                    for end in ["", "/"] {
                        let target = target(&format!("{prefix}{path}{end}")).map(|t| t.api);
                        assert_eq!(target, Ok(api.as_str().into()), "{prefix}{path}{end}");
                        cases += 1;
                    }
                }
            }
        }
        assert!(cases >= 1_000, "{cases}");
    }
}
