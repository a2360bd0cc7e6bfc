//! Stands before the API server and answers some requests in its stead: with 409, 429, or the 410 of a watch that has
//! expired. Everything else goes through to the real one, by way of `kubectl proxy`.

use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::json;

use crate::failure::{Failure, Outcome};

/// Longest body of a request that is passed on.
const LONGEST: usize = 8 << 20;

/// Requests that are answered here.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Their method.
    pub(crate) method: &'static str,
    /// What their path contains.
    pub(crate) path: &'static str,
    /// The answer; 410 is sent as an event of a watch, as the API server does.
    pub(crate) status: u16,
    /// How many of them; the next ones go through.
    pub(crate) left: usize,
}

#[derive(Default)]
struct State {
    rules: Mutex<Vec<Rule>>,
    /// Connections on which answers are streamed now.
    streams: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

/// It runs as long as this lives.
pub(crate) struct Front {
    address: SocketAddr,
    state: Arc<State>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Front {
    /// Before `upstream`, in the calling thread's network.
    pub(crate) fn start(upstream: SocketAddr) -> Outcome<Front> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.ended.load(Ordering::Relaxed) {
                    return;
                }
                let state = shared.clone();
                // One that breaks off is the client's to see.
                thread::spawn(move || serve(&state, client, upstream));
            }
        });
        Ok(Front { address, state })
    }

    /// A kubeconfig that leads to it.
    pub(crate) fn kubeconfig(&self, dir: &Path) -> Outcome<PathBuf> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "front",
            "clusters": [{"name": "front", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "front", "user": {}}],
            "contexts": [{"name": "front", "context": {"cluster": "front", "user": "front"}}],
        });
        let file = dir.join("front.kubeconfig");
        std::fs::write(&file, config.to_string())?;
        Ok(file)
    }

    /// Answer these from now on.
    pub(crate) fn answer(&self, rule: Rule) {
        lock(&self.state.rules).push(rule);
    }

    /// How many requests are still to be answered by rules.
    pub(crate) fn left(&self) -> usize {
        lock(&self.state.rules).iter().map(|rule| rule.left).sum()
    }

    /// End all answers that are being streamed: watches.
    pub(crate) fn cut(&self) {
        for stream in lock(&self.state.streams).drain(..) {
            // Closed by itself already: nothing to cut.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the listener, so that the accept loop ends.
        let _ = TcpStream::connect(self.address);
    }
}

/// A request as it came.
struct Request {
    method: String,
    path: String,
    /// Without `Connection`: one request per connection to the real server, so that the end of the connection ends the
    /// answer.
    head: String,
    body: Vec<u8>,
}

fn serve(state: &State, client: TcpStream, upstream: SocketAddr) -> Outcome {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut client = client;
    while let Some(request) = read(&mut reader)? {
        if let Some(status) = rule(state, &request) {
            client.write_all(refusal(status).as_bytes())?;
            continue;
        }
        let mut server = TcpStream::connect(upstream)?;
        server.write_all(request.head.as_bytes())?;
        server.write_all(&request.body)?;
        lock(&state.streams).push(client.try_clone()?);
        // It ends with the answer, which ends the connection.
        copy(&mut server, &mut client)?;
        client.shutdown(Shutdown::Both)?;
        return Ok(());
    }
    Ok(())
}

fn read(reader: &mut BufReader<TcpStream>) -> Outcome<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(Failure(format!("no request: `{line}`")));
    };
    let (method, path) = (method.to_string(), path.to_string());
    let (mut head, mut length) = (line.clone(), 0);
    loop {
        let mut field = String::new();
        reader.read_line(&mut field)?;
        if field.trim().is_empty() {
            break;
        }
        let (name, value) = field.split_once(':').unwrap_or((&field, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
        if !name.eq_ignore_ascii_case("connection") {
            head.push_str(&field);
        }
    }
    head.push_str("Connection: close\r\n\r\n");
    if length > LONGEST {
        return Err(Failure(format!("{method} {path}: a body of {length} bytes")));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { method, path, head, body }))
}

fn rule(state: &State, request: &Request) -> Option<u16> {
    let mut rules = lock(&state.rules);
    let fits =
        |rule: &&mut Rule| rule.left > 0 && rule.method == request.method && request.path.contains(rule.path);
    let rule = rules.iter_mut().find(fits)?;
    rule.left -= 1;
    Some(rule.status)
}

fn refusal(status: u16) -> String {
    let (reason, message, more) = match status {
        409 => {
            ("Conflict", "the object has been modified; please apply your changes to the latest version", "")
        }
        429 => ("TooManyRequests", "too many requests, please try again later", "Retry-After: 1\r\n"),
        _ => ("Expired", "too old resource version: 1 (2)", ""),
    };
    let told = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": message, "code": status,
    });
    // An expired watch begins well, then tells of the expiry.
    let (line, body) = match status {
        410 => ("200 OK".to_string(), format!("{}\n", json!({"type": "ERROR", "object": told}))),
        _ => (format!("{status} {reason}"), told.to_string()),
    };
    format!(
        "HTTP/1.1 {line}\r\nContent-Type: application/json\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
