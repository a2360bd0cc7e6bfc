//! HTTP and WebSockets on the port of a process: `.z.ph .z.pp .z.pm .z.ac .z.ws .z.wo .z.wc`.

use qlang::{
    QError, R, Value,
    value::{Dict, Sym},
};

use crate::{
    connection::Protocol,
    process::{Exit, Process},
    websocket::{self, Frame},
};

/// Longest head and body of a request.
const HEAD: usize = 64 << 10;
const BODY: usize = 64 << 20;

/// What answers requests where q code has no `.z.ph`: an expression behind `?` as a page, `name.csv?expression` as a
/// file of that kind, else a file below `.h.HOME` or the list of tables.
const DEFAULT: &str = include_str!("http.q");

const METHODS: [&str; 7] = ["GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "PATCH "];

/// True where the first bytes of a connection are those of an HTTP request.
pub(crate) fn is_request(input: &[u8]) -> bool {
    METHODS.iter().any(|m| input.starts_with(m.as_bytes()))
}

struct Request {
    method: String,
    /// path and query, without the leading slash
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|h| h.0.eq_ignore_ascii_case(name)).map(|h| h.1.as_str())
    }

    fn headers(&self) -> Value {
        let keys = self.headers.iter().map(|h| Sym::new(&h.0)).collect();
        let values = self.headers.iter().map(|h| Value::string(h.1.as_str())).collect();
        Value::dict(Dict { keys: Value::syms(keys), values: Value::list(values), sorted: false })
    }
}

/// The first request of the input and its length; `None` while it is not whole.
fn parse(input: &[u8]) -> Result<Option<(Request, usize)>, &'static str> {
    let Some(end) = input.windows(4).position(|w| w == b"\r\n\r\n") else {
        return if input.len() > HEAD { Err("431 Request Header Fields Too Large") } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(&input[..end]);
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Err("400 Bad Request") };
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|h| h.0.eq_ignore_ascii_case("content-length"));
    let length = match length.map(|h| h.1.parse::<usize>()) {
        None => 0,
        Some(Ok(n)) if n <= BODY => n,
        Some(_) => return Err("413 Content Too Large"),
    };
    let start = end + 4;
    let Some(body) = input.get(start..start + length) else { return Ok(None) };
    let target = target.strip_prefix('/').unwrap_or(target).to_owned();
    let request = Request { method: method.to_owned(), target, headers, body: body.to_vec() };
    Ok(Some((request, start + length)))
}

/// Serves the requests that are whole.
pub(crate) fn serve(process: &mut Process, handle: i32) -> Option<Exit> {
    loop {
        let next = {
            let mut net = process.net();
            let c = net.connection(handle)?;
            match parse(c.input()) {
                Ok(Some((request, len))) => {
                    c.consume(len);
                    Ok(request)
                }
                Ok(None) => {
                    if c.ended {
                        net.drop_connection(handle);
                    }
                    return None;
                }
                Err(status) => Err(status),
            }
        };
        let request = match next {
            Ok(request) => request,
            Err(status) => {
                answer(process, handle, simple(status, ""), true);
                return None;
            }
        };
        match welcome(process, handle, &request) {
            Ok(()) => {}
            Err(refusal) => {
                answer(process, handle, refusal, true);
                return None;
            }
        }
        if request.header("upgrade").is_some_and(|u| u.eq_ignore_ascii_case("websocket")) {
            return upgrade(process, handle, &request);
        }
        let close = request.header("connection").is_some_and(|c| c.eq_ignore_ascii_case("close"));
        let (got, _) = process.as_caller(handle, false, |session| {
            let f = match request.method.as_str() {
                "GET" => session.get(".z.ph"),
                "POST" => session.get(".z.pp"),
                _ => session.get(".z.pm"),
            };
            let text = match request.method.as_str() {
                "POST" => Value::string([b" ".as_slice(), &request.body].concat()),
                _ => Value::string(request.target.as_str()),
            };
            let text = if request.method == "POST" && request.target.is_empty() {
                Value::string(request.body.clone())
            } else {
                text
            };
            let x = Value::list(vec![text, request.headers()]);
            match (f, request.method.as_str()) {
                (Some(f), "GET" | "POST") => session.call(&f, vec![x]),
                (Some(f), method) => {
                    let x = Value::list(vec![Value::sym(method), x.at(0), x.at(1)]);
                    session.call(&f, vec![x])
                }
                (None, "GET" | "HEAD") => {
                    let f = session.run(DEFAULT)?;
                    session.call(&f, vec![x])
                }
                (None, _) => Err(QError::new("501 Not Implemented")),
            }
        });
        let text = match got {
            Ok(v) => v.as_text().unwrap_or_else(|| simple("500 Internal Server Error", "type")),
            Err(e) => match e.kind() {
                qlang::Kind::Exit(code) => return Some(process.exit(code)),
                _ if e.text().starts_with("501 ") => simple(e.text(), ""),
                _ => simple("400 Bad Request", &format!("'{}", e.text())),
            },
        };
        answer(process, handle, text, close);
        if close {
            return None;
        }
    }
}

/// Whether the request's user may come in: by `.z.ac`, else by password where passwords are asked for.
fn welcome(process: &mut Process, handle: i32, request: &Request) -> Result<(), Vec<u8>> {
    let challenge = || {
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"q\"\r\nContent-Length: 0\r\n\r\n"
            .to_vec()
    };
    let x = Value::list(vec![Value::string(request.target.as_str()), request.headers()]);
    if let Some(got) = process.handler(".z.ac", vec![x]) {
        let got = got.map_err(|_| simple("403 Forbidden", ""))?;
        let (code, text) = (got.at(0).as_int(), got.at(1).as_name().unwrap_or_default());
        return match code {
            Some(1) => {
                if let Some(c) = process.net().connection(handle) {
                    c.user = String::from_utf8_lossy(&text).into_owned();
                }
                Ok(())
            }
            Some(2) => Err(text),
            Some(4) => basic(process, handle, request).map_err(|()| challenge()),
            _ => Err(challenge()),
        };
    }
    let asks =
        process.policy.users.as_ref().is_some_and(|u| u != "1") || process.session.get(".z.pw").is_some();
    if !asks {
        return Ok(());
    }
    basic(process, handle, request).map_err(|()| challenge())
}

fn basic(process: &mut Process, handle: i32, request: &Request) -> Result<(), ()> {
    let encoded = request.header("authorization").and_then(|a| a.strip_prefix("Basic ")).unwrap_or_default();
    let decode = process.session.run(".Q.atob").map_err(|_| ())?;
    let plain = process.session.call(&decode, vec![Value::string(encoded)]).map_err(|_| ())?;
    let bytes: Vec<u8> = plain.items().iter().filter_map(Value::as_int).map(|b| b as u8).collect();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (user, password) = text.split_once(':').unwrap_or((&text, ""));
    if !process.is_welcome(user, password) {
        return Err(());
    }
    if let Some(c) = process.net().connection(handle) {
        c.user = user.to_owned();
    }
    Ok(())
}

fn simple(status: &str, text: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}", text.len())
        .into_bytes()
}

fn answer(process: &mut Process, handle: i32, text: Vec<u8>, close: bool) {
    let mut net = process.net();
    let Some(c) = net.connection(handle) else { return };
    // What says no length ends with the connection.
    let head = text.windows(4).position(|w| w == b"\r\n\r\n").map_or(text.len(), |e| e);
    let has_length = String::from_utf8_lossy(&text[..head]).to_ascii_lowercase().contains("content-length:");
    let close = close || !has_length;
    if c.queue(text.into()).is_err() {
        net.drop_connection(handle);
        return;
    }
    if close {
        c.closing = true;
        if !c.has_output() {
            net.drop_connection(handle);
        }
    }
}

/// Makes a connection a WebSocket.
fn upgrade(process: &mut Process, handle: i32, request: &Request) -> Option<Exit> {
    let key = request.header("sec-websocket-key").unwrap_or_default().to_owned();
    let accept = accept_key(process, &key);
    let (Ok(accept), Some(_)) = (accept, process.session.get(".z.ws")) else {
        answer(process, handle, simple("400 Bad Request", ""), true);
        return None;
    };
    let text = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    {
        let mut net = process.net();
        let c = net.connection(handle)?;
        c.protocol = Protocol::WebSocket;
        if c.queue(text.into_bytes().into()).is_err() {
            net.lost(handle);
            return None;
        }
    }
    process.parts.insert(handle, websocket::Parts::default());
    let (opened, _) = process.as_caller(handle, false, |session| {
        let f = session.get(".z.wo")?;
        Some(session.call(&f, vec![Value::Int(handle)]))
    });
    if let Some(Err(e)) = opened
        && let Some(code) = process.fail(&e)
    {
        return Some(code);
    }
    serve_socket(process, handle)
}

fn accept_key(process: &mut Process, key: &str) -> R<String> {
    let sha1 = process.session.run(".Q.sha1")?;
    let text = Value::string(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let hash = process.session.call(&sha1, vec![text])?;
    let encode = process.session.run(".Q.btoa")?;
    let text = process.session.call(&encode, vec![hash])?.as_text().ok_or_else(QError::type_)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Serves the frames that are whole.
pub(crate) fn serve_socket(process: &mut Process, handle: i32) -> Option<Exit> {
    loop {
        let mut parts = process.parts.remove(&handle).unwrap_or_default();
        let next = {
            let mut net = process.net();
            let c = net.connection(handle)?;
            match websocket::parse(c.input(), &mut parts) {
                Ok(Some((frame, len))) => {
                    c.consume(len);
                    Some(frame)
                }
                Ok(None) => None,
                Err(_) => Some(Frame::Close),
            }
        };
        process.parts.insert(handle, parts);
        let x = match next? {
            Frame::Text(text) => Value::string(text),
            Frame::Binary(bytes) => Value::vector(kvalue::Type::Byte, qlang::value::Data::U8(bytes.into())),
            Frame::Ping(body) => {
                let mut net = process.net();
                let c = net.connection(handle)?;
                let _ = c.queue(websocket::pong(&body).into());
                continue;
            }
            Frame::Close => {
                let mut net = process.net();
                if let Some(c) = net.connection(handle) {
                    let _ = c.queue(websocket::close().into());
                }
                net.lost(handle);
                return None;
            }
            Frame::Other => continue,
        };
        let (got, _) = process.as_caller(handle, false, |session| {
            let f = session.get(".z.ws")?;
            Some(session.call(&f, vec![x]))
        });
        if let Some(Err(e)) = got
            && let Some(code) = process.fail(&e)
        {
            return Some(code);
        }
    }
}
