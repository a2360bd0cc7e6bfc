//! What is answered on a path of an API without asking the API.

use axum::{
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use sg::{
    Failure,
    codes::{Ac, Rc},
    header::RequestHeader,
};

use super::{
    answer,
    negotiate::{Coding, Format},
};

/// A request that is refused here.
pub(super) struct Refused {
    status: StatusCode,
    failure: Failure,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, failure: Failure) -> Self {
        Refused { status, failure, header: None }
    }

    /// With a header that says what would do.
    pub(super) fn with(mut self, header: (HeaderName, HeaderValue)) -> Self {
        self.header = Some(header);
        self
    }

    /// Query or body cannot be read.
    pub(super) fn bad(why: String) -> Self {
        Refused::new(StatusCode::BAD_REQUEST, Failure::arg(why))
    }

    pub(super) fn no_path(why: String) -> Self {
        Refused::new(StatusCode::NOT_FOUND, Failure::new(Rc::NOT_SUPPORTED, Ac::API, why))
    }

    pub(super) fn method(method: &Method) -> Self {
        let why = format!("{method} is not a method here: use GET or POST");
        let failure = Failure::new(Rc::NOT_SUPPORTED, Ac::NOT_SUPPORTED, why);
        Refused::new(StatusCode::METHOD_NOT_ALLOWED, failure)
            .with((header::ALLOW, HeaderValue::from_static("GET, POST")))
    }

    pub(super) fn slow() -> Self {
        let why = "the body did not come in time (QMESH_GW_STALL)";
        Refused::new(StatusCode::REQUEST_TIMEOUT, Failure::new(Rc::TIMEOUT, Ac::TIMEOUT, why))
    }

    pub(super) fn no_format() -> Self {
        let ours: Vec<&str> = Format::ALL.into_iter().map(Format::media_type).collect();
        Refused::not_acceptable(format!("Accept allows no format of this gateway: {}", ours.join(", ")))
    }

    pub(super) fn no_coding() -> Self {
        let ours = [Coding::Gzip, Coding::Zstd, Coding::Identity].map(|c| c.name());
        let ours: Vec<&str> = ours.iter().filter_map(|n| n.to_str().ok()).collect();
        Refused::not_acceptable(format!(
            "Accept-Encoding allows no coding of this gateway: {}",
            ours.join(", ")
        ))
    }

    fn not_acceptable(why: String) -> Self {
        Refused::new(StatusCode::NOT_ACCEPTABLE, Failure::new(Rc::NOT_SUPPORTED, Ac::NOT_SUPPORTED, why))
    }

    pub(super) fn response(self, request: &RequestHeader, format: Format) -> Response {
        let mut response = answer::failed_as(self.status, request, self.failure, format);
        response.headers_mut().extend(self.header);
        response
    }
}

/// A body over its limit.
pub(super) fn body_too_long(limit: usize) -> Refused {
    let why = format!("the body is over {limit} bytes (QMESH_GW_MAX_BODY)");
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, Failure::new(Rc::LIMIT, Ac::LIMIT, why))
}
