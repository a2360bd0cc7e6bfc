//! REST: paths to APIs, JSON to arguments, answers in the format and coding that the client asks for.
//!
//! Every outcome on a path of an API has a header and a payload, in the format asked for; in JSON a failure has its
//! sentence as `error` beside them. Each has its HTTP status ([`sg::Failure::http_status`]). Tests: `tests/rest.rs`,
//! `tests/formats.rs`, `tests/half_close.rs` and those of the parts.

mod answer;
mod args;
mod coding;
mod cors;
mod input;
mod negotiate;
mod path;
mod presence;
mod refused;
mod server;
mod tabular;

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use kvalue::{Dict, Sym, Value};
use link::health;
use prometheus_client::registry::Registry;
use qipc::Raw;
use sg::{
    Api, Corr, Failure,
    codes::{Ac, Rc},
    header::RequestHeader,
    opts::Opts,
};
use tokio::time::timeout;

use crate::{
    gateway::Gate,
    hub::Hub,
    names::{self, DB_SERVICE},
    pending::NO_RC,
    reply::{Job, Sink},
};

use coding::coded;
use cors::Cors;
use negotiate::{Agreed, Format};
use path::Target;
use refused::{Refused, body_too_long};
pub(crate) use server::serve;

/// Arguments of a call from the text of a body.
pub(crate) fn arguments(text: &str, api: Option<&Api>) -> Result<Value, Failure> {
    let fields = input::body(text.as_bytes()).map_err(Failure::arg)?;
    Ok(args::call(fields, api)?.args)
}

struct Rest {
    gate: Arc<Gate>,
    cors: Option<Cors>,
}

/// Everything on the HTTP port.
pub(crate) fn router(
    gate: Arc<Gate>,
    ready: health::Ready,
    registry: Arc<Registry>,
    metrics_path: Option<&str>,
    origins: Option<Vec<String>>,
) -> Router {
    let rest = Arc::new(Rest { gate, cors: origins.map(Cors::new) });
    Router::new().route("/log", post(log)).fallback(call).with_state(rest).merge(health_router(
        ready,
        registry,
        metrics_path,
    ))
}

/// Health and metrics.
pub(crate) fn health_router(
    ready: health::Ready,
    registry: Arc<Registry>,
    metrics_path: Option<&str>,
) -> Router {
    let router = health::router(ready, registry.clone());
    match metrics_path {
        None | Some("/metrics" | "/healthz" | "/readyz" | "/log") => router,
        Some(path) => router.route(path, get(move || std::future::ready(metrics(&registry)))),
    }
}

fn metrics(registry: &Registry) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, registry) {
        Ok(()) => {
            let ty = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, ty)], text).into_response()
        }
        Err(e) => error(StatusCode::INTERNAL_SERVER_ERROR, &format!("metrics could not be written: {e}")),
    }
}

/// `POST /log?level=debug`
async fn log(RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let level = query.split('&').find_map(|p| p.strip_prefix("level=")).unwrap_or_default();
    match link::logging::set_levels(level) {
        Ok(()) => {
            tracing::info!(level, "log levels changed");
            json(StatusCode::OK, serde_json::json!({ "level": level }))
        }
        Err(why) => error(StatusCode::BAD_REQUEST, &format!("level: {why}")),
    }
}

/// An outcome on a path of the process itself.
fn error(status: StatusCode, why: &str) -> Response {
    json(status, serde_json::json!({ "error": why }))
}

fn json(status: StatusCode, value: serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

async fn call(State(rest): State<Arc<Rest>>, request: Request<Body>) -> Response {
    let origin = rest.cors.as_ref().and_then(|cors| cors.allowed(request.headers()));
    if request.method() == Method::OPTIONS && rest.cors.is_some() {
        return cors::preflight(origin);
    }
    let agreed = Agreed::of(request.headers());
    let wanted = Format::of(request.headers());
    let format = wanted.unwrap_or(Format::Json);
    let mut header = RequestHeader {
        rcv_ts: kvalue::time::now(),
        corr: Corr::random(),
        api: Sym::null(),
        http: Some(format.name()),
        opts: Opts::default(),
    };
    let asked = match (wanted, agreed) {
        (None, _) => Err(Refused::no_format()),
        (_, None) => Err(Refused::no_coding()),
        _ => rest.ask(request, &mut header, format).await,
    };
    let response = asked.unwrap_or_else(|refused| refused.response(&header, format));
    let mut response = coded(response, agreed.unwrap_or(Agreed::PLAIN));
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if let Some(origin) = origin {
        cors::allow(response.headers_mut(), origin);
    }
    response
}

impl Rest {
    /// The error side is what reached no API.
    async fn ask(
        &self,
        request: Request<Body>,
        header: &mut RequestHeader,
        format: Format,
    ) -> Result<Response, Refused> {
        let (parts, body) = request.into_parts();
        let target = path::target(parts.uri.path()).map_err(Refused::no_path)?;
        header.api = target.api.clone();
        if !matches!(parts.method, Method::GET | Method::POST) {
            return Err(Refused::method(&parts.method));
        }
        let api = self.known(&target).ok_or_else(|| {
            Refused::no_path(format!("{} names no API here: see /meta for those there are", parts.uri.path()))
        })?;
        let bad = Refused::bad;
        let mut fields = input::query(parts.uri.query().unwrap_or_default()).map_err(bad)?;
        if parts.method == Method::POST {
            let given = input::body(&self.body(&parts.headers, body).await?).map_err(bad)?;
            fields.retain(|(name, _)| given.iter().all(|(n, _)| n != name));
            fields.extend(given);
        }
        if let Some(name) = args::bad_name(&fields) {
            return Err(bad(format!("`{}` cannot be the name of an argument", name.escape_default())));
        }
        if target.api.as_bytes().starts_with(DB_SERVICE.as_bytes()) {
            args::assembly_as_scope(&mut fields);
        }
        Ok(self.run(target, api.as_deref(), fields, header, format).await)
    }

    /// Metadata of the API where there is some; `None` where no RC knows the API.
    #[allow(clippy::option_option)]
    fn known(&self, target: &Target) -> Option<Option<Arc<Api>>> {
        let name = &target.api;
        if let Some(api) = self.gate.hub.api(name) {
            return Some(Some(api));
        }
        // Names of our own are refused by the RC, with a reason; and with no RC nothing is known.
        let known = names::canonical(name);
        let ours = known.as_bytes().starts_with(b".kxi.") || known.as_bytes().starts_with(b".qmesh.");
        (ours || names::refusal(name).is_some() || !self.gate.hub.readiness().ready).then(|| {
            let builtin = sg::api::builtin().into_iter().find(|a| a.name == known);
            builtin.map(Arc::new)
        })
    }

    async fn body(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Refused> {
        let limit = self.gate.limits.max_body;
        if let Some(ty) = headers.get(header::CONTENT_TYPE)
            && !is_json(ty.to_str().unwrap_or_default())
        {
            let ty = String::from_utf8_lossy(ty.as_bytes()).into_owned();
            let why = format!("content type {ty} is not taken: send application/json");
            let failure = Failure::new(Rc::NOT_SUPPORTED, Ac::NOT_SUPPORTED, why);
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, failure));
        }
        let too_long = || body_too_long(limit);
        let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|n| n > limit as u64) {
            return Err(too_long());
        }
        let limited = http_body_util::Limited::new(body, limit);
        match timeout(self.gate.limits.stall, http_body_util::BodyExt::collect(limited)).await {
            Ok(Ok(body)) => coding::decoded(headers, body.to_bytes(), limit).await,
            Ok(Err(e)) if e.is::<http_body_util::LengthLimitError>() => Err(too_long()),
            Ok(Err(e)) => Err(Refused::bad(format!("the body did not come whole: {e}"))),
            Err(_) => Err(Refused::slow()),
        }
    }

    async fn run(
        &self,
        target: Target,
        api: Option<&Api>,
        fields: Vec<(String, input::Json)>,
        header: &mut RequestHeader,
        format: Format,
    ) -> Response {
        let since = std::time::Instant::now();
        let call = match args::call(fields, api).and_then(|call| {
            header.opts = self.options(&call.opts, &target)?;
            let args = Raw::try_of(&call.args).map_err(|e| Failure::arg(e.to_string()))?;
            Ok(args)
        }) {
            Ok(args) => args,
            Err(failure) => {
                let metrics = self.gate.hub.metrics();
                metrics.asked(true);
                metrics.answered(true, since.elapsed(), failure.rc);
                let (corr, api, ai) = (header.corr, &header.api, &failure.ai);
                tracing::debug!(%corr, logCorr = %header.log_corr(), %api, ai, "request with bad arguments");
                return answer::failed(header, failure, format);
            }
        };
        let (sink, answered) = Sink::rest();
        let time = header.opts.timeout.unwrap_or(self.gate.limits.timeout);
        let job = Job {
            header: header.clone(),
            user: Sym::null(),
            opts: header.opts.to_raw(),
            args: call,
            sink,
            since,
        };
        let mut waiting = Waiting { hub: &self.gate.hub, corr: Some(header.corr) };
        self.gate.hub.submit(job, time);
        let answered = answered.await;
        waiting.corr = None;
        match answered {
            Ok(Some(answered)) => answer::response(&self.gate, header, answered, format).await,
            Ok(None) => answer::failed(header, Failure::new(Rc::NOT_READY, Ac::NOT_READY, NO_RC), format),
            // The hub always answers; if it did not, the client must still not wait.
            Err(_) => {
                let why = "the request was lost inside the gateway; please report this";
                answer::failed(header, Failure::new(Rc::ERR, Ac::INTERNAL, why), format)
            }
        }
    }

    /// Header options: those of the body, with what REST implies.
    fn options(&self, given: &[(String, Value)], target: &Target) -> Result<Opts, Failure> {
        let dict = Dict::of(given.iter().map(|(n, v)| (n.as_str(), v.clone())));
        let raw = Raw::try_of(&dict.into()).map_err(|e| Failure::arg(e.to_string()))?;
        let mut opts =
            Opts::parse(&raw.0, &self.gate.limits.client).map_err(|e| Failure::arg(e.to_string()))?;
        if opts.get("cast").is_none() {
            opts.set("cast".into(), Raw::of(&true.into()).0);
        }
        if let Some(version) = target.version
            && opts.get("version").is_none()
        {
            opts.set("version".into(), Raw::of(&version.into()).0);
        }
        Ok(opts)
    }
}

/// A request that waits: dropped when its client goes, which cancels it.
struct Waiting<'a> {
    hub: &'a Hub,
    corr: Option<Corr>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(corr) = self.corr.take() {
            self.hub.gone(&corr);
        }
    }
}

/// What people send JSON as; curl's own default for `-d` is among it.
fn is_json(content_type: &str) -> bool {
    let ty = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(
        ty.as_str(),
        "application/json" | "text/json" | "text/plain" | "application/x-www-form-urlencoded"
    ) || ty.ends_with("+json")
}
