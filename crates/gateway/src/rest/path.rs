//! Which API a REST path names.
//!
//! `/data`, `/meta`, `/sql`, `/qsql` are short forms; `/v2/meta`, `/v3/meta` ask for a version; `/api/v1/…`
//! and `/api/v3/…` are prefixes; anything else is the API's name with slashes for dots and without the leading
//! dot (`/example/daAPI`), or with dots (`/example.daAPI`). Tests: below.

use kvalue::Sym;

use crate::call::MAX_NAME;

/// An API and the version of it that a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) api: Sym,
    pub(super) version: Option<i64>,
}

/// The target of a path; `None` where it cannot be one.
pub(super) fn target(path: &str) -> Option<Target> {
    let path = path.strip_prefix('/')?.trim_end_matches('/');
    let mut segments: Vec<&str> = path.split('/').collect();
    if segments.len() > 1 && segments[0] == "servicegateway" {
        segments.remove(0);
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
        ] {
            assert_eq!(target(path), Some(Target { api: api.into(), version }), "{path}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_no_target() {
        let long = format!("/a/{}", "b".repeat(300));
        for path in ["/", "", "//", "/a//b", "/a b", "/a/../b", "/favicon-32.png", "/1/x", "/é", &long] {
            assert_eq!(target(path), None, "{path}");
        }
    }
}
