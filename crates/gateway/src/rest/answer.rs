//! An answer as an HTTP response, in the format that was agreed on.
//!
//! JSON needs the whole payload at hand, because a table comes column by column and leaves row by row; it is
//! written in pieces as the client reads. A QIPC message passes through as it comes.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::{BufMut, BytesMut};
use futures::stream;
use qipc::{DecodeError, Limits, MessageType};
use sg::{
    Failure,
    codes::{Ac, Rc},
    header::{Outcome, RequestHeader},
    msg::Payload,
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use crate::{
    gateway::Gate,
    json::{Json, Part},
    reply::{Answered, Content, agg_lost, backtrace, whole},
    stream::BodyReader,
};

use super::{
    negotiate::Format,
    tabular::{self, NotWritten},
};

/// JSON is written in pieces of about this size: some 200 µs of work.
const PIECE: usize = 64 << 10;
/// Longer payloads are checked on another thread before their first piece.
const CHECK_HERE: usize = 256 << 10;

/// The response to a request that failed here.
pub(super) fn failed(request: &RequestHeader, failure: Failure, format: Format) -> Response {
    let status = StatusCode::from_u16(failure.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    failed_as(status, request, failure, format)
}

/// The same, with a status of its own.
pub(super) fn failed_as(
    status: StatusCode,
    request: &RequestHeader,
    failure: Failure,
    format: Format,
) -> Response {
    let Failure { rc, ac, ai } = failure;
    let backtrace = (format == Format::StructText).then(backtrace);
    let header = request.respond(Outcome { rc, ac, ai: &ai, extra: backtrace.as_slice() });
    if format == Format::Octets {
        let payload = Payload::empty().into_bytes();
        let body = whole(MessageType::Response, &[], &header, vec![payload]).to_bytes();
        return respond(status, format, Body::from(body));
    }
    failure_document(status, header, &ai, format)
}

/// A failure with its header: JSON, whichever format was asked for beside octets. CSV and Arrow have no place for one.
fn failure_document(status: StatusCode, header: Bytes, error: &str, format: Format) -> Response {
    let mut out = Vec::new();
    // The header is our own: it is valid.
    if let Err(e) = failure(header.clone(), error, format).fill(&mut out, usize::MAX) {
        out = serde_json::json!({ "error": e.to_string() }).to_string().into();
    }
    if format == Format::Ndjson {
        out.push(b'\n');
    }
    let written = match format {
        Format::Csv | Format::Arrow => Format::Json,
        other => other,
    };
    let mut response = respond(status, written, Body::from(out));
    if !format.has_header() {
        response.headers_mut().extend(tabular::header(&header));
    }
    response
}

/// The response to a request that was answered.
pub(super) async fn response(
    gate: &Gate,
    request: &RequestHeader,
    answered: Answered,
    format: Format,
) -> Response {
    let (max_json, stall) = (gate.limits.max_json, gate.limits.stall);
    let Answered { header, error, status, content } = answered;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (payload, room) = match (format, content) {
        (Format::Octets, Content::Whole(payload)) => {
            let body = whole(MessageType::Response, &[], &header, payload.0).to_bytes();
            return respond(status, format, Body::from(body));
        }
        (Format::Octets, Content::Stream(reader)) => {
            return octets(request, header, status, reader, stall).await;
        }
        (_, _) if error.is_some() => {
            return failure_document(status, header, &error.unwrap_or_default(), format);
        }
        (_, Content::Whole(payload)) => (payload.into_bytes(), None),
        (_, Content::Stream(reader)) if reader.total() > max_json => {
            return failed(request, too_long(reader.total(), max_json), format);
        }
        (_, Content::Stream(reader)) => match room(gate, reader.total(), format).await {
            Ok(room) => match collect(&reader, stall).await {
                Ok(payload) => (payload, Some(room)),
                Err(why) => return failed(request, agg_lost(&why), format),
            },
            Err(failure) => return failed(request, failure, format),
        },
    };
    match body(&header, payload, room, format).await {
        Ok(body) => {
            let mut response = respond(status, format, body);
            if !format.has_header() {
                response.headers_mut().extend(tabular::header(&header));
            }
            response
        }
        Err(NotWritten { status, failure }) => failed_as(status, request, failure, format),
    }
}

/// The body of a success.
async fn body(
    header: &Bytes,
    payload: Bytes,
    room: Option<OwnedSemaphorePermit>,
    format: Format,
) -> Result<Body, NotWritten> {
    let len = payload.len();
    let document = match format {
        Format::Json | Format::Octets => document(Part::Header(header.clone()), Part::Object(payload)),
        Format::Ndjson => Json::new([Part::Lines(payload)], &Limits::internal()),
        Format::Csv | Format::Arrow | Format::StructText => {
            let write = move || tabular::payload(format, payload);
            let written = match len {
                0..=CHECK_HERE => write(),
                _ => tokio::task::spawn_blocking(write).await.unwrap_or_else(|e| Err(broken(&e))),
            }?;
            match format {
                Format::StructText => document(Part::Header(header.clone()), Part::Raw(written)),
                _ => Json::new([Part::Raw(written)], &Limits::internal()),
            }
        }
    };
    json(document, len, room)
        .await
        .map_err(|failure| NotWritten { status: StatusCode::INTERNAL_SERVER_ERROR, failure })
}

fn broken(e: &tokio::task::JoinError) -> NotWritten {
    let ai = format!("the answer could not be written: {e}; please report this");
    NotWritten { status: StatusCode::INTERNAL_SERVER_ERROR, failure: Failure::new(Rc::ERR, Ac::INTERNAL, ai) }
}

fn respond(status: StatusCode, format: Format, body: Body) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()))], body).into_response()
}

fn too_long(total: u64, limit: u64) -> Failure {
    let ai = format!(
        "the answer has {total} bytes, over {limit} (QMESH_GW_MAX_JSON) it is written as a QIPC message only: ask for \
         application/octet-stream, use QIPC, or ask for less"
    );
    Failure::new(Rc::LIMIT, Ac::LIMIT, ai)
}

fn unreadable(e: &DecodeError) -> Failure {
    let ai = format!("the answer is no valid q object: {e}; please report this");
    Failure::new(Rc::ERR, Ac::INTERNAL, ai)
}

/// A document of this header and payload.
fn document(header: Part, payload: Part) -> Json {
    let parts = [Part::Text("{\"header\":"), header, Part::Text(",\"payload\":"), payload, Part::Text("}")];
    Json::new(parts, &Limits::internal())
}

/// The document of a failure.
fn failure(header: Bytes, error: &str, format: Format) -> Json {
    let payload = if format == Format::StructText { export::structured::EMPTY } else { "[]" };
    let error = serde_json::Value::from(error).to_string();
    let parts = [
        Part::Text("{\"header\":"),
        Part::Header(header),
        Part::Text(",\"payload\":"),
        Part::Text(payload),
        Part::Text(",\"error\":"),
        Part::Raw(error.into()),
        Part::Text("}"),
    ];
    Json::new(parts, &Limits::internal())
}

/// Memory for a payload of this many bytes, waited for; the stream stands still meanwhile.
async fn room(gate: &Gate, total: u64, format: Format) -> Result<OwnedSemaphorePermit, Failure> {
    /// Ratio of buffered JSON text to payload, roughly.
    const WRITTEN: u64 = 4;
    let all = (gate.limits.json_memory / 1024).max(1);
    let times = if matches!(format, Format::Json | Format::Ndjson) { 1 } else { WRITTEN };
    let kilobytes = total.div_ceil(1024);
    let kilobytes = (kilobytes * times).min(all.max(kilobytes));
    let kilobytes = u32::try_from(kilobytes).unwrap_or(u32::MAX);
    match timeout(gate.limits.stall, gate.json_room.clone().acquire_many_owned(kilobytes)).await {
        Ok(Ok(room)) => Ok(room),
        _ => {
            let ai = "too many large answers are being written as JSON (QMESH_GW_JSON_MEMORY); try again, or ask \
                      for application/octet-stream";
            Err(Failure::new(Rc::QUEUE, Ac::LIMIT, ai))
        }
    }
}

async fn json(mut document: Json, len: usize, room: Option<OwnedSemaphorePermit>) -> Result<Body, Failure> {
    let first = move || {
        let mut out = Vec::with_capacity(PIECE.min(4 * len + 1024));
        let more = document.fill(&mut out, PIECE)?;
        Ok((out, more.then_some(document)))
    };
    let first = match len {
        0..=CHECK_HERE => first(),
        _ => tokio::task::spawn_blocking(first).await.map_err(|e| {
            Failure::new(Rc::ERR, Ac::INTERNAL, format!("the answer could not be written as JSON: {e}"))
        })?,
    };
    let (out, rest) = first.map_err(|e| unreadable(&e))?;
    let Some(document) = rest else { return Ok(Body::from(out)) };
    let rest = stream::unfold(Some((document, room)), |state| async {
        let (mut document, room) = state?;
        let mut out = Vec::with_capacity(PIECE + PIECE / 16);
        match document.fill(&mut out, PIECE) {
            Ok(true) => Some((Ok(Bytes::from(out)), Some((document, room)))),
            Ok(false) => Some((Ok(Bytes::from(out)), None)),
            // Cutting the response is all that is left: its status is out.
            Err(e) => Some((Err(io::Error::other(e)), None)),
        }
    });
    let first = stream::once(std::future::ready(Ok(Bytes::from(out))));
    Ok(Body::from_stream(futures::StreamExt::chain(first, rest)))
}

async fn next(reader: &BodyReader, stall: Duration) -> Result<Option<Vec<Bytes>>, String> {
    match timeout(stall, reader.next()).await {
        Ok(next) => next,
        Err(_) => Err(format!("nothing came from the aggregator for {stall:?}")),
    }
}

/// All of a streamed payload. The buffer grows with what has come.
async fn collect(reader: &BodyReader, stall: Duration) -> Result<Bytes, String> {
    const FIRST: usize = 4 << 20;
    let total = usize::try_from(reader.total()).map_err(|e| e.to_string())?;
    let mut all = BytesMut::with_capacity(total.min(FIRST));
    while let Some(chunks) = next(reader, stall).await? {
        for chunk in chunks {
            if all.capacity() - all.len() < chunk.len() {
                all.reserve(chunk.len().max(all.len()).min(total - all.len()).max(chunk.len()));
            }
            all.put_slice(&chunk);
        }
        reader.passed();
    }
    Ok(all.freeze())
}

/// A QIPC message as its payload comes. Nothing is sent before the first bytes of it are there.
async fn octets(
    request: &RequestHeader,
    header: Bytes,
    status: StatusCode,
    reader: BodyReader,
    stall: Duration,
) -> Response {
    let first = match next(&reader, stall).await {
        Ok(chunks) => chunks.unwrap_or_default(),
        Err(why) => return failed(request, agg_lost(&why), Format::Octets),
    };
    let list = 6 + header.len() as u64;
    let mut head = BytesMut::with_capacity(8 + list as usize);
    head.put_slice(&qipc::header(MessageType::Response, list + reader.total()));
    head.put_slice(&qipc::list_header(2));
    head.put_slice(&header);
    let length = 8 + list + reader.total();
    let ready = stream::iter(std::iter::once(head.freeze()).chain(first).map(Ok::<_, Infallible>));
    let rest = stream::unfold(Some(reader), move |reader| async move {
        let reader = reader?;
        // This is polled when what was given before has been written.
        reader.passed();
        match next(&reader, stall).await {
            Ok(Some(chunks)) => Some((Ok(chunks), Some(reader))),
            Ok(None) => None,
            Err(why) => {
                tracing::warn!(why, ?reader, "answer cut: its client's connection is closed");
                Some((Err(io::Error::other(why)), None))
            }
        }
    });
    let rest =
        futures::TryStreamExt::try_flatten(futures::TryStreamExt::map_ok(rest, |chunks: Vec<Bytes>| {
            stream::iter(chunks.into_iter().map(Ok::<_, io::Error>))
        }));
    let ready = futures::TryStreamExt::map_err(ready, |never| match never {});
    let body = Body::from_stream(futures::StreamExt::chain(ready, rest));
    let mut response = respond(status, Format::Octets, body);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}
