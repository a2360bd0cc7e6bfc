//! gzip and Zstandard of HTTP bodies: answers as they are written, requests within their limit.

use std::io::{self, Read, Write};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use futures::{StreamExt, stream};
use sg::{
    Failure,
    codes::{Ac, Rc},
};

use super::{
    Refused,
    negotiate::{Agreed, Coding},
};

/// Shorter bodies are left as they are: the coding's own bytes and the work cost more.
const SHORT: u64 = 1024;
/// Longer pieces are coded on a thread for such work.
const PIECE_HERE: usize = 32 << 10;

/// The response in the coding that was agreed on.
pub(super) fn coded(response: Response, agreed: Agreed) -> Response {
    let short = response.body().size_hint().upper().is_some_and(|n| n < SHORT);
    if agreed.coding == Coding::Identity || (short && !agreed.always) {
        return response;
    }
    let Ok(encoder) = Encoder::new(agreed.coding) else { return response };
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, agreed.coding.name());
    let pieces = stream::unfold(Some((body.into_data_stream(), encoder)), |state| async {
        let (mut body, mut encoder) = state?;
        loop {
            match body.next().await {
                Some(Ok(piece)) => match encoder.push(piece).await {
                    Ok((encoder_back, out)) if out.is_empty() => encoder = encoder_back,
                    Ok((encoder, out)) => return Some((Ok(out), Some((body, encoder)))),
                    Err(e) => return Some((Err(e), None)),
                },
                // The answer is cut: without the coding's end no client takes it for a whole one.
                Some(Err(e)) => return Some((Err(io::Error::other(e)), None)),
                None => return Some((encoder.finish(), None)),
            }
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
            Coding::Gzip | Coding::Identity => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
        })
    }

    /// Takes a piece; what is ready to be sent.
    async fn push(mut self, piece: Bytes) -> io::Result<(Self, Bytes)> {
        let here = piece.len() <= PIECE_HERE;
        let work = move || {
            let out = match &mut self {
                Encoder::Gzip(e) => e.write_all(&piece).map(|()| std::mem::take(e.get_mut())),
                Encoder::Zstd(e) => e.write_all(&piece).map(|()| std::mem::take(e.get_mut())),
            }?;
            Ok((self, Bytes::from(out)))
        };
        if here { work() } else { tokio::task::spawn_blocking(work).await.map_err(io::Error::other)? }
    }

    fn finish(self) -> io::Result<Bytes> {
        match self {
            Encoder::Gzip(e) => e.finish(),
            Encoder::Zstd(e) => e.finish(),
        }
        .map(Bytes::from)
    }
}

/// The body of a request without its coding.
pub(super) async fn decoded(headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Bytes, Refused> {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let codings: Vec<String> = codings
        .flat_map(|v| {
            let line = String::from_utf8_lossy(v.as_bytes()).to_ascii_lowercase();
            line.split(',').map(|c| c.trim().to_owned()).collect::<Vec<_>>()
        })
        .filter(|c| !c.is_empty() && c != "identity")
        .collect();
    match codings.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => return Ok(body),
        ["gzip" | "x-gzip"] => {}
        _ => {
            let why = format!(
                "content coding {} is not taken: send gzip, or no Content-Encoding",
                codings.join(", ")
            );
            let failure = Failure::new(Rc::NOT_SUPPORTED, Ac::NOT_SUPPORTED, why);
            let taken = (header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, failure).with(taken));
        }
    }
    let read = tokio::task::spawn_blocking(move || gunzip(&body, limit)).await;
    match read {
        Ok(Ok(Some(plain))) => Ok(plain),
        Ok(Ok(None)) => Err(super::body_too_long(limit)),
        Ok(Err(e)) => Err(Refused::bad(format!("the body is not gzip: {e}"))),
        Err(e) => Err(Refused::bad(format!("the body could not be read: {e}"))),
    }
}

/// The plain bytes; `None` where they are more than `limit`.
fn gunzip(coded: &[u8], limit: usize) -> io::Result<Option<Bytes>> {
    let mut plain = Vec::new();
    let most = limit as u64 + 1;
    MultiGzDecoder::new(coded).take(most).read_to_end(&mut plain)?;
    Ok((plain.len() <= limit).then(|| plain.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip(plain: &[u8]) -> Vec<u8> {
        let mut e = GzEncoder::new(Vec::new(), Compression::best());
        e.write_all(plain).unwrap();
        e.finish().unwrap()
    }

    #[test]
    fn a_bomb_is_read_up_to_the_limit_only() {
        let bomb = zip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(gunzip(&bomb, 1 << 16).unwrap(), None);
        assert_eq!(gunzip(&zip(b"{}"), 2).unwrap().unwrap(), "{}");
        assert_eq!(gunzip(&zip(b"{} "), 2).unwrap(), None);
        let members = [zip(b"{"), zip(b"}")].concat();
        assert_eq!(gunzip(&members, 10).unwrap().unwrap(), "{}");
        let whole = zip(b"{\"a\": 1}");
        for cut in 0..whole.len() {
            assert!(gunzip(&whole[..cut], 100).map_or(true, |p| p.is_none_or(|p| p.is_empty())), "{cut}");
        }
    }

    #[tokio::test]
    async fn what_is_coded_in_pieces_is_read_back_whole() {
        for (n, coding) in (0..40).flat_map(|n| [(n, Coding::Gzip), (n, Coding::Zstd)]) {
            let pieces: Vec<Bytes> =
                (0..n % 7).map(|k: usize| vec![(k * 31 + n) as u8; (n * 977 * k) % 70_000].into()).collect();
            let whole = pieces.concat();
            let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, io::Error>)));
            let response = coded(Response::new(body), Agreed { coding, always: false });
            assert_eq!(response.headers()[header::CONTENT_ENCODING], coding.name());
            let out = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let back = match coding {
                Coding::Zstd => zstd::stream::decode_all(&out[..]).unwrap(),
                _ => gunzip(&out, usize::MAX - 1).unwrap().unwrap().to_vec(),
            };
            assert!(back == whole, "{n} {coding:?}");
        }
    }
}
