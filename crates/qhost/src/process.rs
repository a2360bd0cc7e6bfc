//! The loop of a process: console input, timer, connections. One thread evaluates; nothing else touches the session.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    sync::{
        Arc, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use qlang::{
    Kind as ErrorKind, QError, R, Value,
    ctx::Caller,
    host::{Kind, Message},
    ops::files::ipc,
    session::{Budget, Session},
    value::Sym,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    client,
    connection::{Connection, Protocol},
    console::Console,
    http, password, websocket,
    world::Shared,
};

/// Longest hello of a client, and the time it may take.
const HELLO: usize = 64 << 10;
const HELLO_TIME: Duration = Duration::from_secs(10);

/// How callers over handles are treated.
pub(crate) struct Policy {
    /// file of users and passwords
    pub(crate) users: Option<String>,
    /// callers see the start folder only
    pub(crate) confined: bool,
    /// callers may change nothing
    pub(crate) blocked: bool,
    /// time of a call
    pub(crate) timeout: Option<Duration>,
}

/// A process.
pub(crate) struct Process {
    pub(crate) session: Session,
    pub(crate) net: Shared,
    pub(crate) console: Option<Arc<Console>>,
    pub(crate) policy: Policy,
    /// what the console and scripts may use up
    pub(crate) budget: Budget,
    /// confines the host while a caller is served
    pub(crate) confine: Arc<AtomicBool>,
    pub(crate) prompt: &'static str,
    /// frames of WebSockets in parts, by handle
    pub(crate) parts: std::collections::HashMap<i32, websocket::Parts>,
}

/// Why the loop ends.
pub(crate) type Exit = i32;

impl Process {
    pub(crate) fn net(&self) -> MutexGuard<'_, crate::net::Net> {
        self.net.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints an error as the console does; gives the exit code where it is one.
    pub(crate) fn fail(&mut self, e: &QError) -> Option<Exit> {
        if let ErrorKind::Exit(code) = e.kind() {
            return Some(self.exit(code));
        }
        let text = self.session.report(e);
        self.print(2, text.as_bytes());
        None
    }

    /// Prints, as far as anybody reads it.
    pub(crate) fn print(&mut self, handle: i32, text: &[u8]) {
        // A closed standard output is no reason for a server to end.
        let _ = self.session.ctx().host().print(handle, text);
    }

    /// Calls `.z.exit`; gives the code.
    pub(crate) fn exit(&mut self, code: i32) -> Exit {
        let _ = self.handler(".z.exit", vec![Value::Int(code)]);
        code
    }

    /// Calls a handler of `.z`; `None` where there is none.
    pub(crate) fn handler(&mut self, name: &str, args: Vec<Value>) -> Option<R> {
        let f = self.session.get(name)?;
        Some(self.session.call(&f, args))
    }

    /// Runs until the process is to end: by `exit`, or at the end of input where nothing else goes on.
    pub(crate) fn run(&mut self) -> Exit {
        let mut asked = false;
        let mut input_ended = self.console.is_none();
        loop {
            if let Some(code) = self.tell_of_ended() {
                return code;
            }
            let goes_on = self.net().port() != 0 || self.net().timer.milliseconds > 0;
            if input_ended && !goes_on {
                return self.exit(0);
            }
            if !asked && !input_ended {
                self.ask();
                asked = true;
            }
            let (input, ready, waiting) = self.poll(asked);
            if self.net().timer.is_due()
                && let Some(code) = self.tick()
            {
                return code;
            }
            if input {
                asked = false;
                match self.console.as_ref().and_then(|c| c.answer()) {
                    None => input_ended = true,
                    Some(line) => {
                        if let Some(code) = self.input(&line) {
                            return code;
                        }
                    }
                }
            }
            if waiting {
                self.accept();
            }
            for handle in ready {
                if let Some(code) = self.serve(handle) {
                    return code;
                }
            }
        }
    }

    /// Asks the console for a line.
    fn ask(&mut self) {
        let Some(console) = self.console.clone() else { return };
        if console.is_terminal {
            let mut names: Vec<String> =
                qlang::registry::registry().all().iter().map(|p| p.word.to_owned()).collect();
            if let Ok(own) = self.session.run("key `.") {
                names.extend(own.items().iter().filter_map(Value::as_sym).map(|s| s.text().into_owned()));
            }
            names.sort();
            names.dedup();
            *console.words.lock().unwrap_or_else(PoisonError::into_inner) = names;
        }
        let context = self.session.ctx().context();
        let prompt = match (self.prompt, context.is_null()) {
            ("", _) => String::new(),
            (prompt, true) => prompt.to_owned(),
            (_, false) => format!("q.{})", context.text()),
        };
        console.ask(&prompt);
    }

    /// Waits: whether input is there, which handles are ready, whether somebody wants to connect.
    fn poll(&mut self, asked: bool) -> (bool, Vec<i32>, bool) {
        let console = self.console.clone();
        let mut net = self.net();
        let timeout = {
            let timer = net.timer.next.map(|n| n.saturating_duration_since(Instant::now()));
            let has_hello = net.connections_mut().any(|(_, c)| c.protocol == Protocol::Hello);
            match (timer, has_hello) {
                (Some(t), true) => Some(t.min(HELLO_TIME)),
                (None, true) => Some(HELLO_TIME),
                (t, false) => t,
            }
        };
        let timeout =
            timeout.map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: t.subsec_nanos().into() });
        let mut handles = Vec::new();
        let mut wants = Vec::new();
        for (handle, c) in net.connections_mut() {
            handles.push(handle);
            wants.push(if c.has_output() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN });
        }
        let net = &mut *net;
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(handles.len() + 4);
        let mut at = wants.iter();
        // Borrowed shared now: nothing changes while the system waits.
        let sockets: Vec<BorrowedFd<'_>> = net.sockets();
        for fd in &sockets {
            fds.push(PollFd::from_borrowed_fd(*fd, at.next().copied().unwrap_or(PollFlags::IN)));
        }
        for l in &net.listeners {
            fds.push(PollFd::from_borrowed_fd(l.as_fd(), PollFlags::IN));
        }
        let bell = console.as_ref().filter(|_| asked);
        if let Some(c) = bell {
            fds.push(PollFd::from_borrowed_fd(c.bell(), PollFlags::IN));
        }
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return (false, Vec::new(), false);
        }
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let n = handles.len();
        let mut ready: Vec<i32> =
            handles.iter().zip(&fds).filter(|(_, fd)| is_ready(fd)).map(|(h, _)| *h).collect();
        let waiting = fds[n..n + net.listeners.len()].iter().any(is_ready);
        let input = bell.is_some() && fds.last().is_some_and(is_ready);
        // Those whose time for a hello is over are looked at too.
        drop(fds);
        drop(sockets);
        for (handle, c) in net.connections_mut() {
            if c.protocol == Protocol::Hello && c.since.elapsed() > HELLO_TIME && !ready.contains(&handle) {
                ready.push(handle);
            }
        }
        (input, ready, waiting)
    }

    /// A line of console input.
    fn input(&mut self, line: &[u8]) -> Option<Exit> {
        let text = String::from_utf8_lossy(line).into_owned();
        let trimmed = text.trim();
        if trimmed == "\\\\" {
            return Some(self.exit(0));
        }
        if trimmed.is_empty() {
            return None;
        }
        self.session.budget(self.budget.clone());
        if let Some(answer) = self.handler(".z.pi", vec![Value::string(format!("{text}\n"))]) {
            return match answer {
                Ok(v) => {
                    if let Some(text) = v.as_text() {
                        self.print(1, &text);
                    }
                    None
                }
                Err(e) => self.fail(&e),
            };
        }
        if let Some(word) = trimmed.strip_prefix("help ")
            && let Some(text) = crate::help::of(word.trim())
        {
            self.print(1, text.as_bytes());
            return None;
        }
        match self.session.console(&text) {
            Ok(shown) => {
                self.print(1, shown.as_bytes());
                None
            }
            Err(e) => self.fail(&e),
        }
    }

    fn tick(&mut self) -> Option<Exit> {
        self.session.budget(self.budget.clone());
        let now = Value::Timestamp(self.session.ctx().host().now());
        match self.handler(".z.ts", vec![now])? {
            Ok(_) => None,
            Err(e) => self.fail(&e),
        }
    }

    fn accept(&mut self) {
        let mut net = self.net();
        let mut streams = Vec::new();
        for l in &net.listeners {
            while let Ok(Some(stream)) = l.accept() {
                streams.push(stream);
            }
        }
        for stream in streams {
            if let Ok(connection) = Connection::new(stream) {
                // One too many is closed at once.
                net.add_connection(connection);
            }
        }
    }

    /// Tells q code of connections that ended.
    fn tell_of_ended(&mut self) -> Option<Exit> {
        loop {
            let handle = self.net().ended.pop()?;
            let was_web = self.parts.remove(&handle).is_some();
            let name = if was_web { ".z.wc" } else { ".z.pc" };
            self.session.settings().caller = Caller::default();
            if let Some(Err(e)) = self.handler(name, vec![Value::Int(handle)])
                && let Some(code) = self.fail(&e)
            {
                return Some(code);
            }
        }
    }

    /// Whether somebody may come in, by the file of users and `.z.pw`.
    pub(crate) fn is_welcome(&mut self, user: &str, password: &str) -> bool {
        if let Some(file) = self.policy.users.clone().filter(|f| f != "1") {
            let mut hex = |word: &str| {
                let f = self.session.get(word).or_else(|| self.session.run(word).ok());
                let bytes = f.and_then(|f| self.session.call(&f, vec![Value::string(password)]).ok());
                let items = bytes.map(|b| b.items()).unwrap_or_default();
                items.iter().filter_map(Value::as_int).map(|b| format!("{b:02x}")).collect::<String>()
            };
            let hashes = [hex("md5"), hex(".Q.sha1")];
            if !password::is_right(&file, user, password, &hashes) {
                return false;
            }
        }
        match self.handler(".z.pw", vec![Value::sym(user), Value::string(password)]) {
            None => true,
            Some(Ok(Value::Bool(welcome))) => welcome,
            Some(Ok(v)) => v.as_int().is_some_and(|n| n != 0),
            Some(Err(_)) => false,
        }
    }

    /// Runs what a caller asked for, as that caller may; whether the caller waits says if the answer can be kept back.
    pub(crate) fn as_caller<T>(
        &mut self,
        handle: i32,
        waits: bool,
        run: impl FnOnce(&mut Session) -> T,
    ) -> (T, bool) {
        let (user, address) = match self.net().connection(handle) {
            Some(c) => (c.user.clone(), c.address),
            None => (String::new(), 0),
        };
        let mut budget = self.budget.clone();
        budget.read_only |= self.policy.blocked;
        budget.time = self.policy.timeout.or(budget.time);
        self.session.budget(budget);
        self.session.settings().caller =
            Caller { handle, user: Some(Sym::new(user)), address: Some(address) };
        self.net().serving = waits.then_some((handle, false));
        self.confine.store(self.policy.confined, Ordering::Relaxed);
        let got = run(&mut self.session);
        self.confine.store(false, Ordering::Relaxed);
        self.session.settings().caller = Caller::default();
        self.session.budget(self.budget.clone());
        let deferred = self.net().serving.take().is_some_and(|s| s.1);
        (got, deferred)
    }

    /// Reads what a connection has and serves it.
    fn serve(&mut self, handle: i32) -> Option<Exit> {
        let protocol = {
            let mut net = self.net();
            let c = net.connection(handle)?;
            if c.drain().and_then(|()| c.fill()).is_err() {
                net.lost(handle);
                return None;
            }
            if c.closing && !c.has_output() {
                net.drop_connection(handle);
                return None;
            }
            c.protocol
        };
        let exit = match protocol {
            Protocol::Hello => self.greet(handle),
            Protocol::Q => self.serve_q(handle),
            Protocol::Http => http::serve(self, handle),
            Protocol::WebSocket => http::serve_socket(self, handle),
        };
        if exit.is_some() {
            return exit;
        }
        let mut net = self.net();
        if net.connection(handle).is_some_and(|c| c.ended && !c.has_output()) {
            net.lost(handle);
        }
        None
    }

    /// The first words of a client.
    fn greet(&mut self, handle: i32) -> Option<Exit> {
        let (hello, address) = {
            let mut net = self.net();
            let c = net.connection(handle)?;
            if http::is_request(c.input()) {
                c.protocol = Protocol::Http;
                drop(net);
                return http::serve(self, handle);
            }
            match client::hello(c.input()) {
                Some(hello) => {
                    c.consume(hello.len);
                    (hello, c.address)
                }
                None => {
                    if c.input().len() > HELLO || c.ended || c.since.elapsed() > HELLO_TIME {
                        net.drop_connection(handle);
                    }
                    return None;
                }
            }
        };
        self.session.settings().caller =
            Caller { handle, user: Some(Sym::new(&hello.user)), address: Some(address) };
        let welcome = self.is_welcome(&hello.user, &hello.password);
        if !welcome {
            self.session.settings().caller = Caller::default();
            self.net().drop_connection(handle);
            return None;
        }
        {
            let mut net = self.net();
            let c = net.connection(handle)?;
            c.protocol = Protocol::Q;
            c.capability = hello.capability;
            c.user = hello.user;
            if c.queue(vec![hello.capability].into()).is_err() {
                net.lost(handle);
                return None;
            }
        }
        let opened = self.handler(".z.po", vec![Value::Int(handle)]);
        self.session.settings().caller = Caller::default();
        if let Some(Err(e)) = opened
            && let Some(code) = self.fail(&e)
        {
            return Some(code);
        }
        self.serve_q(handle)
    }

    /// Messages that are whole.
    fn serve_q(&mut self, handle: i32) -> Option<Exit> {
        loop {
            let next = match self.net().connection(handle) {
                Some(c) => c.next_message(),
                None => return None,
            };
            match next {
                Ok(None) => return None,
                Ok(Some(message)) => {
                    if let Some(code) = self.message(handle, message) {
                        return Some(code);
                    }
                }
                Err(_) => {
                    self.net().lost(handle);
                    return None;
                }
            }
        }
    }

    fn message(&mut self, handle: i32, message: Message) -> Option<Exit> {
        if message.kind == Kind::Response {
            // Nobody waits for it.
            return None;
        }
        let (got, deferred) = self.as_caller(handle, message.kind == Kind::Sync, |session| {
            session.serve(message.kind, &message.body)
        });
        if let Err(e) = &got
            && let ErrorKind::Exit(code) = e.kind()
        {
            return Some(self.exit(code));
        }
        if message.kind == Kind::Async {
            if let Err(e) = &got {
                self.fail(e);
            }
            return None;
        }
        if deferred || self.net().is_deferred(handle) {
            return None;
        }
        let body = match got.and_then(|v| ipc::encode(&v)) {
            Ok(body) => body.to_vec(),
            Err(e) => ipc::error_body(e.text()),
        };
        // A caller that has gone is told of by the loop.
        if let Err(e) = self.net().send(handle, Kind::Response, &body)
            && e.text() == "limit"
        {
            let _ = self.net().send(handle, Kind::Response, &ipc::error_body("limit"));
        }
        None
    }
}
