//! A Kubernetes API server that knows pods and nothing else, and misbehaves when told to.
//!
//! Plain threads and the few lines of HTTP that a list and a watch need: a test sees exactly the pods put in. Selectors
//! of the form `k=v,k2=v2` are evaluated as the real one does, on the server: a pod whose labels stop matching is
//! *deleted* for a watch. Every request line is kept.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// As it should.
    #[default]
    Well,
    /// Takes connections and requests and never answers; watches say nothing more.
    Hanging,
    /// Closes every connection.
    Gone,
    /// 429 with `Retry-After` of so many seconds.
    Busy(u64),
    /// 403.
    Forbidden,
    /// Answers with what is no JSON; watches get a line of it.
    Garbage,
    /// Watches are answered with 410, and open watches end with 410; lists are answered.
    Expiring,
    /// Watches stay open and say nothing, not even bookmarks; lists are answered.
    Silent,
    /// Watches get one endless line; lists are answered.
    Endless,
}

#[derive(Default)]
struct State {
    mood: Mood,
    version: u64,
    pods: BTreeMap<String, Value>,
    /// (version, before, after) of each change
    log: Vec<(u64, Option<Value>, Option<Value>)>,
    requests: Vec<String>,
    stopped: bool,
    /// counts changes of the mood, so that open watches see each
    turns: u64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A running fake. Dropping it ends it.
pub struct ApiServer {
    shared: Arc<Shared>,
    addr: SocketAddr,
}

/// A pod as the fake keeps it.
pub fn pod(name: &str, uid: &str, labels: &[(&str, &str)], addr: SocketAddr, ready: bool) -> Value {
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "uid": uid, "namespace": "test", "labels": labels},
        "spec": {"containers": [{"name": "main", "ports": [{"containerPort": addr.port(), "name": "qipc", "protocol": "TCP"}]}]},
        "status": {
            "phase": "Running", "podIP": addr.ip().to_string(),
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
        },
    })
}

impl ApiServer {
    /// A server on a free port of loopback, without pods.
    pub fn start() -> io::Result<ApiServer> {
        ApiServer::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// A server at this address.
    pub fn start_at(addr: SocketAddr) -> io::Result<ApiServer> {
        let listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        shared.state().version = 1;
        let of = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if of.state().stopped {
                    return;
                }
                let (Ok(stream), of) = (stream, Arc::clone(&of)) else { continue };
                // A client that goes away is no failure of the fake's.
                thread::spawn(move || _ = serve(&of, stream));
            }
        });
        Ok(ApiServer { shared, addr })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A kubeconfig file that leads to it, for the namespace `test`.
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: fake\n\
             clusters: [{{name: fake, cluster: {{server: \"http://{}\"}}}}]\n\
             users: [{{name: fake, user: {{}}}}]\n\
             contexts: [{{name: fake, context: {{cluster: fake, user: fake, namespace: test}}}}]\n",
            self.addr
        )
    }

    /// A pod is there, or is as this says now; it is told apart by its uid.
    pub fn put(&self, mut pod: Value) {
        let mut state = self.shared.state();
        state.version += 1;
        let version = state.version;
        pod["metadata"]["resourceVersion"] = version.to_string().into();
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_string();
        let before = state.pods.insert(uid, pod.clone());
        state.log.push((version, before, Some(pod)));
        self.shared.changed.notify_all();
    }

    /// A pod is gone.
    pub fn remove(&self, uid: &str) {
        let mut state = self.shared.state();
        let Some(before) = state.pods.remove(uid) else { return };
        state.version += 1;
        let version = state.version;
        state.log.push((version, Some(before), None));
        self.shared.changed.notify_all();
    }

    /// Pods are gone and no watch will ever be told: what happened while nobody watched.
    pub fn remove_unseen(&self, uid: &str) {
        let mut state = self.shared.state();
        state.pods.remove(uid);
        state.version += 1;
        state.log.clear();
    }

    /// How it answers from now on. Open watches notice at once.
    pub fn be(&self, mood: Mood) {
        let mut state = self.shared.state();
        state.mood = mood;
        state.turns += 1;
        self.shared.changed.notify_all();
    }

    /// Request lines so far: `GET /api/… HTTP/1.1`.
    pub fn requests(&self) -> Vec<String> {
        self.shared.state().requests.clone()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.changed.notify_all();
        // Wakes the accepting thread.
        let _ = TcpStream::connect_timeout(&self.addr, Duration::from_millis(200));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    lines.read_line(&mut request)?;
    let mut header = String::new();
    while lines.read_line(&mut header)? > 2 {
        header.clear();
    }
    let mood = {
        let mut state = shared.state();
        state.requests.push(request.trim_end().to_string());
        state.mood
    };
    let target = request.split_whitespace().nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query: BTreeMap<&str, String> =
        query.split('&').filter_map(|p| p.split_once('=')).map(|(k, v)| (k, decoded(v))).collect();
    let watching = query.get("watch").is_some_and(|w| w == "true");
    match (mood, watching) {
        (Mood::Gone, _) => Ok(()),
        (Mood::Hanging, _) => {
            let mut state = shared.state();
            while state.mood == Mood::Hanging && !state.stopped {
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            Ok(())
        }
        (Mood::Busy(seconds), _) => {
            let head = format!("Retry-After: {seconds}\r\n");
            answer(&stream, "429 Too Many Requests", &head, &status(429, "TooManyRequests", "come again"))
        }
        (Mood::Forbidden, _) => {
            answer(&stream, "403 Forbidden", "", &status(403, "Forbidden", "pods is forbidden"))
        }
        (Mood::Garbage, false) => answer(&stream, "200 OK", "", "<html>not what you wanted</html>"),
        (Mood::Expiring, true) => {
            answer(&stream, "410 Gone", "", &status(410, "Expired", "too old resource version"))
        }
        (_, true) => watch(shared, stream, &query),
        (_, false) => match path.rsplit_once("/pods/") {
            Some((_, name)) => one(shared, &stream, &decoded(name)),
            None => list(shared, &stream, &query),
        },
    }
}

fn status(code: u16, reason: &str, message: &str) -> String {
    json!({"kind": "Status", "code": code, "reason": reason, "message": message}).to_string()
}

fn answer(mut stream: &TcpStream, status: &str, head: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n{head}\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

fn one(shared: &Shared, stream: &TcpStream, name: &str) -> io::Result<()> {
    let pod = shared.state().pods.values().find(|p| p["metadata"]["name"] == name).cloned();
    match pod {
        Some(pod) => answer(stream, "200 OK", "", &pod.to_string()),
        None => answer(stream, "404 Not Found", "", &status(404, "NotFound", "no such pod")),
    }
}

fn list(shared: &Shared, stream: &TcpStream, query: &BTreeMap<&str, String>) -> io::Result<()> {
    let selector = query.get("labelSelector").cloned().unwrap_or_default();
    let number = |key: &str| query.get(key).and_then(|n| n.parse::<usize>().ok());
    let (limit, from) = (number("limit").unwrap_or(usize::MAX), number("continue").unwrap_or(0));
    let body = {
        let state = shared.state();
        let matching: Vec<&Value> = state.pods.values().filter(|p| matches(p, &selector)).collect();
        let page: Vec<&Value> = matching.iter().skip(from).take(limit).copied().collect();
        let more = (from + page.len() < matching.len()).then(|| (from + page.len()).to_string());
        let metadata =
            json!({"resourceVersion": state.version.to_string(), "continue": more.unwrap_or_default()});
        json!({"kind": "PodList", "metadata": metadata, "items": page}).to_string()
    };
    answer(stream, "200 OK", "", &body)
}

fn watch(shared: &Shared, mut stream: TcpStream, query: &BTreeMap<&str, String>) -> io::Result<()> {
    const HEAD: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let selector = query.get("labelSelector").cloned().unwrap_or_default();
    let mut at: u64 = query.get("resourceVersion").and_then(|v| v.parse().ok()).unwrap_or(0);
    stream.write_all(HEAD.as_bytes())?;
    let mut chunk = move |text: &[u8]| -> io::Result<()> {
        stream.write_all(format!("{:x}\r\n", text.len()).as_bytes())?;
        stream.write_all(text)?;
        stream.write_all(b"\r\n")
    };
    let mut state = shared.state();
    let turn = state.turns;
    loop {
        if state.stopped {
            return Ok(());
        }
        match state.mood {
            Mood::Gone => return Ok(()),
            Mood::Garbage => {
                drop(state);
                return chunk(b"{\"type\":\"ADDED\",\"object\":{\"metadata\":\n");
            }
            Mood::Endless => {
                drop(state);
                let piece = vec![b'x'; 1 << 20];
                loop {
                    chunk(&piece)?;
                }
            }
            // A watch that was opened in better times is silent as well.
            Mood::Hanging | Mood::Silent => {}
            Mood::Expiring if state.turns != turn => {
                drop(state);
                let object = status(410, "Expired", "too old resource version");
                return chunk(format!("{{\"type\":\"ERROR\",\"object\":{object}}}\n").as_bytes());
            }
            _ => {
                let news: Vec<_> = state.log.iter().filter(|(v, _, _)| *v > at).cloned().collect();
                let now = state.version;
                drop(state);
                for (version, before, after) in news {
                    at = version;
                    let was = before.as_ref().is_some_and(|p| matches(p, &selector));
                    let (kind, mut object) = match (was, after.filter(|p| matches(p, &selector)), before) {
                        (true, Some(pod), _) => ("MODIFIED", pod),
                        (false, Some(pod), _) => ("ADDED", pod),
                        (true, None, Some(pod)) => ("DELETED", pod),
                        _ => continue,
                    };
                    object["metadata"]["resourceVersion"] = version.to_string().into();
                    chunk(format!("{}\n", json!({"type": kind, "object": object})).as_bytes())?;
                }
                state = shared.state();
                if state.version != now {
                    continue;
                }
            }
        }
        let (next, waited) = shared
            .changed
            .wait_timeout(state, Duration::from_secs(1))
            .unwrap_or_else(PoisonError::into_inner);
        state = next;
        if waited.timed_out() && state.mood == Mood::Well {
            let metadata = json!({"resourceVersion": state.version.max(at).to_string()});
            drop(state);
            let bookmark = json!({"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": metadata}});
            chunk(format!("{bookmark}\n").as_bytes())?;
            state = shared.state();
        }
    }
}

fn matches(pod: &Value, selector: &str) -> bool {
    selector.split(',').filter(|t| !t.is_empty()).all(|term| {
        let (key, value) = term.split_once('=').unwrap_or((term, ""));
        pod["metadata"]["labels"][key] == value
    })
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (bytes[i], hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                i += 3;
            }
            (byte, _) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
