//! An answer as an HTTP response: JSON or one QIPC message, whole or as a stream.
//!
//! JSON needs the whole payload at hand, because a table comes column by column and leaves row by row; it is
//! written in pieces as the client reads. A QIPC message passes through as it comes.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
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
    reply::{Answered, Content, agg_lost, whole},
    stream::BodyReader,
};

/// JSON is written in pieces of about this size: some 200 µs of work.
const PIECE: usize = 64 << 10;
/// Longer payloads are checked on another thread before their first piece.
const CHECK_HERE: usize = 256 << 10;

/// What the client wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// JSON
    Json,
    /// one QIPC message
    Octets,
}

impl Format {
    /// By `Accept`; JSON where it does not say.
    pub(super) fn of(headers: &HeaderMap) -> Format {
        let wanted = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
        for ty in wanted.flat_map(|v| v.split(',')).map(|t| t.split(';').next().unwrap_or_default().trim()) {
            match ty.to_ascii_lowercase().as_str() {
                "application/octet-stream" => return Format::Octets,
                "application/json" | "*/*" | "application/*" => return Format::Json,
                _ => {}
            }
        }
        Format::Json
    }

    /// As the response header's `http` says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Octets => "octet-stream",
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Format::Json => "application/json",
            Format::Octets => "application/octet-stream",
        })
    }
}

/// The response to a request that failed here.
pub(super) fn failed(request: &RequestHeader, failure: Failure, format: Format) -> Response {
    let status = failure.http_status();
    let Failure { rc, ac, ai } = failure;
    let header = request.respond(Outcome { rc, ac, ai: &ai, extra: &[] });
    let payload = Payload::empty().into_bytes();
    let body = match format {
        Format::Octets => Body::from(whole(MessageType::Response, &[], &header, vec![payload]).to_bytes()),
        Format::Json => {
            let mut out = Vec::new();
            // Our own header: it is valid.
            match document(header, payload).fill(&mut out, usize::MAX) {
                Ok(_) => Body::from(out),
                Err(e) => Body::from(format!("{{\"error\":\"{e}\"}}")),
            }
        }
    };
    respond(status, format, body)
}

/// The response to a request that was answered.
pub(super) async fn response(
    gate: &Gate,
    request: &RequestHeader,
    answered: Answered,
    format: Format,
) -> Response {
    let (max_json, stall) = (gate.limits.max_json, gate.limits.stall);
    let Answered { header, status, content } = answered;
    let made = match (format, content) {
        (Format::Octets, Content::Whole(payload)) => {
            Ok(Body::from(whole(MessageType::Response, &[], &header, payload.0).to_bytes()))
        }
        (Format::Octets, Content::Stream(reader)) => {
            return octets(request, header, status, reader, stall).await;
        }
        (Format::Json, Content::Whole(payload)) => json(header, payload.into_bytes(), None).await,
        (Format::Json, Content::Stream(reader)) if reader.total() > max_json => {
            Err(too_long(reader.total(), max_json))
        }
        (Format::Json, Content::Stream(reader)) => match room(gate, reader.total()).await {
            Ok(room) => match collect(&reader, stall).await {
                Ok(payload) => json(header, payload, Some(room)).await,
                Err(why) => Err(agg_lost(&why)),
            },
            Err(failure) => Err(failure),
        },
    };
    match made {
        Ok(body) => respond(status, format, body),
        Err(failure) => failed(request, failure, format),
    }
}

fn respond(status: u16, format: Format, body: Body) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, format.content_type())], body).into_response()
}

fn too_long(total: u64, limit: u64) -> Failure {
    let ai = format!(
        "the answer has {total} bytes, over {limit} (QMESH_GW_MAX_JSON) it is not written as JSON: ask for \
         application/octet-stream, use QIPC, or ask for less"
    );
    Failure::new(Rc::LIMIT, Ac::LIMIT, ai)
}

fn unreadable(e: &DecodeError) -> Failure {
    let ai = format!("the answer is no valid q object: {e}; please report this");
    Failure::new(Rc::ERR, Ac::INTERNAL, ai)
}

fn document(header: Bytes, payload: Bytes) -> Json {
    let parts = [
        Part::Text("{\"header\":"),
        Part::Object(header),
        Part::Text(",\"payload\":"),
        Part::Object(payload),
        Part::Text("}"),
    ];
    Json::new(parts, &Limits::internal())
}

/// Memory for a payload of this many bytes, waited for; the stream stands still meanwhile.
async fn room(gate: &Gate, total: u64) -> Result<OwnedSemaphorePermit, Failure> {
    let kilobytes = u32::try_from(total.div_ceil(1024)).unwrap_or(u32::MAX);
    match timeout(gate.limits.stall, gate.json_room.clone().acquire_many_owned(kilobytes)).await {
        Ok(Ok(room)) => Ok(room),
        _ => {
            let ai = "too many large answers are being written as JSON (QMESH_GW_JSON_MEMORY); try again, or ask \
                      for application/octet-stream";
            Err(Failure::new(Rc::QUEUE, Ac::LIMIT, ai))
        }
    }
}

async fn json(header: Bytes, payload: Bytes, room: Option<OwnedSemaphorePermit>) -> Result<Body, Failure> {
    let len = payload.len();
    let mut document = document(header, payload);
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
    status: u16,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> Format {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        Format::of(&headers)
    }

    #[test]
    fn the_first_known_type_of_accept_counts_and_json_is_the_default() {
        assert_eq!(accept("application/octet-stream"), Format::Octets);
        assert_eq!(accept("text/html, application/octet-stream;q=0.9, */*"), Format::Octets);
        assert_eq!(accept("application/json, application/octet-stream"), Format::Json);
        assert_eq!(accept("*/*"), Format::Json);
        assert_eq!(accept("text/html"), Format::Json);
        assert_eq!(Format::of(&HeaderMap::new()), Format::Json);
    }
}
