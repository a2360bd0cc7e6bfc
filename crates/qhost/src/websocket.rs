//! Frames of WebSockets.

/// Largest message a browser may send.
const MOST: usize = 64 << 20;

/// A frame from a browser.
pub(crate) enum Frame {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Close,
    Ping(Vec<u8>),
    /// pongs and what else needs no answer
    Other,
}

/// A whole message from a server.
pub(crate) fn frame(body: &[u8], is_text: bool) -> Vec<u8> {
    of(if is_text { 1 } else { 2 }, body)
}

/// The answer to a ping.
pub(crate) fn pong(body: &[u8]) -> Vec<u8> {
    of(10, body)
}

/// The end of a conversation.
pub(crate) fn close() -> Vec<u8> {
    of(8, &[])
}

fn of(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | kind];
    match body.len() {
        n @ 0..126 => out.push(n as u8),
        n @ 126..65536 => {
            out.push(126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(body);
    out
}

/// A message in parts, as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    kind: u8,
    bytes: Vec<u8>,
}

/// The first frame of the input and its length; `None` while it is not whole. An error ends the connection.
pub(crate) fn parse(input: &[u8], parts: &mut Parts) -> Result<Option<(Frame, usize)>, &'static str> {
    let (Some(&first), Some(&second)) = (input.first(), input.get(1)) else { return Ok(None) };
    if second & 0x80 == 0 {
        return Err("a browser's frames are masked");
    }
    let (length, at) = match second & 0x7f {
        126 => match input.get(2..4) {
            Some(b) => (usize::from(u16::from_be_bytes([b[0], b[1]])), 4),
            None => return Ok(None),
        },
        127 => match input.get(2..10).and_then(|b| <[u8; 8]>::try_from(b).ok()) {
            Some(b) => (usize::try_from(u64::from_be_bytes(b)).unwrap_or(usize::MAX), 10),
            None => return Ok(None),
        },
        n => (usize::from(n), 2),
    };
    if length > MOST || parts.bytes.len() + length > MOST {
        return Err("a message is longer than 64 MiB");
    }
    let Some(mask) = input.get(at..at + 4) else { return Ok(None) };
    let Some(body) = input.get(at + 4..at + 4 + length) else { return Ok(None) };
    let body: Vec<u8> = body.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
    let len = at + 4 + length;
    let kind = first & 0x0f;
    let frame = match kind {
        8 => Frame::Close,
        9 => Frame::Ping(body),
        10 => Frame::Other,
        0..=2 => {
            if kind != 0 {
                parts.kind = kind;
                parts.bytes.clear();
            }
            parts.bytes.extend_from_slice(&body);
            if first & 0x80 == 0 {
                return Ok(Some((Frame::Other, len)));
            }
            let whole = std::mem::take(&mut parts.bytes);
            if parts.kind == 1 { Frame::Text(whole) } else { Frame::Binary(whole) }
        }
        _ => return Err("a frame of an unknown kind"),
    };
    Ok(Some((frame, len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_message_in_two_frames_comes_out_whole() {
        let mut parts = Parts::default();
        let masked = |first: u8, body: &[u8]| {
            let mask = [1u8, 2, 3, 4];
            let mut out = vec![first, 0x80 | body.len() as u8];
            out.extend_from_slice(&mask);
            out.extend(body.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
            out
        };
        let input = [masked(0x01, b"hel"), masked(0x80, b"lo")].concat();
        let Ok(Some((Frame::Other, n))) = parse(&input, &mut parts) else { panic!("the first half") };
        let Ok(Some((Frame::Text(text), m))) = parse(&input[n..], &mut parts) else { panic!("the whole") };
        assert_eq!((text, n + m), (b"hello".to_vec(), input.len()));
        assert!(parse(&[0x81, 0x05], &mut parts).is_err(), "unmasked");
        assert!(matches!(parse(&input[..4], &mut parts), Ok(None)));
    }
}
