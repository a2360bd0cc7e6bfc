//! Which pages of browsers may call: `KXI_SG_CORS_ENABLED`, `KXI_SG_CORS_ORIGINS`.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::tabular::HEADER;

/// Origins that may call.
pub(super) struct Cors {
    origins: Vec<String>,
}

impl Cors {
    pub(super) fn new(origins: Vec<String>) -> Self {
        Cors { origins: origins.into_iter().map(|o| o.trim_end_matches('/').to_owned()).collect() }
    }

    /// The request's origin, if it may call.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.origins.iter().any(|o| o == "*" || o.eq_ignore_ascii_case(text)).then(|| origin.clone())
    }
}

/// Lets this origin read the response.
pub(super) fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(HEADER));
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

/// The answer to a browser that asks before it calls.
pub(super) fn preflight(origin: Option<HeaderValue>) -> Response {
    let Some(origin) = origin else { return StatusCode::FORBIDDEN.into_response() };
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    allow(headers, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    let taken = HeaderValue::from_static("authorization, content-type, accept");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, taken);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origins: &[&str], origin: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        Cors::new(origins.iter().map(|o| o.to_string()).collect()).allowed(&headers).is_some()
    }

    #[test]
    fn only_listed_origins_may_call() {
        assert!(allowed(&["https://a.example"], "https://a.example"));
        assert!(allowed(&["https://a.example/"], "https://a.example"));
        assert!(allowed(&["*"], "https://b.example"));
        assert!(!allowed(&["https://a.example"], "https://a.example.evil"));
        assert!(!allowed(&[], "https://a.example"));
    }
}
