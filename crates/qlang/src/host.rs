//! What q takes from the world: clock, console, files, handles, timer, process. An embedding fills what it allows;
//! each method's default refuses with `'access`, so that a host which implements nothing is a closed box.
//!
//! Paths are as q has them without the leading colon. Handles are small integers as in q: 0 is the console, 1 and 2
//! standard output and error, files and connections have numbers from 3 on.

use std::sync::Arc;

use bytes::Bytes;

use crate::{QError, R, value::Value};

/// The world around an interpreter.
pub trait Host: Send {
    /// Nanoseconds since 2000.01.01, UTC.
    fn now(&self) -> i64;

    /// Nanoseconds that local time is ahead of UTC at this UTC instant.
    fn zone(&self, _utc: i64) -> i64 {
        0
    }

    /// Writes to standard output (1) or standard error (2).
    fn print(&mut self, handle: i32, text: &[u8]) -> R<()>;

    /// A line of standard input without its newline (`read0 0`); `None` at its end.
    fn read_line(&mut self) -> R<Option<Vec<u8>>> {
        Err(QError::access())
    }

    /// The value of an environment variable; empty where there is none.
    fn env(&self, _name: &str) -> R<String> {
        Err(QError::access())
    }

    /// Sets an environment variable for this interpreter and the commands it starts.
    fn set_env(&mut self, _name: &str, _value: &str) -> R<()> {
        Err(QError::access())
    }

    // ---- files ----

    /// Reads a range of a file as it lies on disk, from `offset`, at most `length` bytes where given.
    fn read(&mut self, _path: &str, _offset: u64, _length: Option<u64>) -> R<Vec<u8>> {
        Err(QError::access())
    }

    /// Reading of files, for tables that are mapped: they keep it.
    fn files(&self) -> Arc<dyn Files> {
        Arc::new(NoFiles)
    }

    /// Writes a file, in whole (`append` false) or at its end; makes missing folders.
    fn write(&mut self, _path: &str, _bytes: &[u8], _append: bool) -> R<()> {
        Err(QError::access())
    }

    /// Writes a file in whole from these parts, in compressed blocks where asked.
    fn write_parts(&mut self, path: &str, parts: &[&[u8]], packing: Option<Packing>) -> R<()> {
        match packing {
            None => self.write(path, &parts.concat(), false),
            Some(_) => Err(QError::new("nyi: this host does not compress files")),
        }
    }

    /// What a compressed file's trailer says; `None` for a plain file.
    fn packed(&mut self, _path: &str) -> R<Option<Packed>> {
        Ok(None)
    }

    /// Makes a folder and those above it.
    fn make_dir(&mut self, _path: &str) -> R<()> {
        Err(QError::access())
    }

    /// Removes a file or an empty folder.
    fn remove(&mut self, _path: &str) -> R<()> {
        Err(QError::access())
    }

    /// Gives a file another name, over an existing one.
    fn rename(&mut self, _from: &str, _to: &str) -> R<()> {
        Err(QError::access())
    }

    /// Appends names to an enumeration file under the lock that kdb+ takes: `extend` gets the file's bytes and gives
    /// what is to be appended.
    fn extend_file(&mut self, path: &str, extend: &mut dyn FnMut(&[u8]) -> R<Vec<u8>>) -> R<()> {
        let old = match self.files().stat(path)? {
            Some(_) => self.read(path, 0, None)?,
            None => Vec::new(),
        };
        let more = extend(&old)?;
        if more.is_empty() { Ok(()) } else { self.write(path, &more, true) }
    }

    /// The current folder.
    fn current_dir(&self) -> R<String> {
        Err(QError::access())
    }

    /// Changes the current folder.
    fn change_dir(&mut self, _path: &str) -> R<()> {
        Err(QError::access())
    }

    // ---- handles ----

    /// Opens a connection, a file for appending, or a pipe.
    fn open(&mut self, _target: &Target) -> R<i32> {
        Err(QError::access())
    }

    /// Closes a handle.
    fn close(&mut self, _handle: i32) -> R<()> {
        Err(QError::access())
    }

    /// What a handle leads to; `None` where it is not open.
    fn handle(&self, _handle: i32) -> Option<HandleKind> {
        None
    }

    /// Sends a message on a connection. Asynchronous ones may be queued.
    fn send(&mut self, _handle: i32, _kind: Kind, _body: &[u8]) -> R<()> {
        Err(QError::access())
    }

    /// Waits for the next message on a connection.
    fn receive(&mut self, _handle: i32) -> R<Message> {
        Err(QError::access())
    }

    /// Writes out what is queued on a connection.
    fn flush(&mut self, _handle: i32) -> R<()> {
        Err(QError::access())
    }

    /// Writes bytes to a file or pipe handle.
    fn put(&mut self, _handle: i32, _bytes: &[u8]) -> R<()> {
        Err(QError::access())
    }

    /// Reads from a pipe handle or socket, at most `length` bytes; empty at its end.
    fn take(&mut self, _handle: i32, _length: usize) -> R<Vec<u8>> {
        Err(QError::access())
    }

    /// Open connections with the sizes of what waits to be sent on each, and the protocol (`q`, `w`, ` `).
    fn connections(&self) -> Vec<Connection> {
        Vec::new()
    }

    /// Listens for connections, on all or one address; port 0 stops. The value is the port.
    fn listen(&mut self, _address: &str) -> R<i32> {
        Err(QError::access())
    }

    /// The port that is listened on; 0 where none is.
    fn port(&self) -> i32 {
        0
    }

    /// Keeps the answer to the request that is being evaluated back (`-30!(::)`); `answer` gives it later.
    fn defer(&mut self) -> R<()> {
        Err(QError::access())
    }

    /// Gives the answer that was kept back for a handle: a whole object, or an error text.
    fn answer(&mut self, _handle: i32, _body: Result<&[u8], &str>) -> R<()> {
        Err(QError::access())
    }

    // ---- process ----

    /// Milliseconds between two calls of `.z.ts`; 0 for none. The value is what it was.
    fn timer(&mut self, milliseconds: Option<i64>) -> R<i64> {
        match milliseconds {
            None | Some(0) => Ok(0),
            Some(_) => Err(QError::access()),
        }
    }

    /// Runs a command in a shell: what it printed, and its exit code.
    fn shell(&mut self, _command: &str) -> R<(Vec<u8>, i32)> {
        Err(QError::access())
    }

    /// Whether `exit` may end the process.
    fn may_exit(&self) -> bool {
        false
    }

    /// Process number, host name, user, address: what `.z.i .z.h .z.u .z.a` give.
    fn identity(&self) -> Identity {
        Identity::default()
    }

    /// The command line: program, script, arguments after it.
    fn arguments(&self) -> Vec<String> {
        Vec::new()
    }

    /// Bytes of physical memory.
    fn physical_memory(&self) -> i64 {
        0
    }

    /// A host for another thread of the same evaluation; `None` where there may be none.
    fn fork(&self) -> Option<Box<dyn Host>> {
        None
    }

    /// Everything else by name, so that the trait stays small: a message to an embedding that knows it.
    fn other(&mut self, name: &str, _args: Vec<Value>) -> R {
        Err(QError::new(format!("access {name}")))
    }
}

/// Reading of files, from any thread.
pub trait Files: std::fmt::Debug + Send + Sync {
    /// The plain bytes of a file: mapped where that can be, unpacked where the file is a compressed container.
    fn map(&self, path: &str) -> R<Bytes>;

    /// The first plain bytes of a file, at most `n`, and how many plain bytes it has.
    fn head(&self, path: &str, n: usize) -> R<(Bytes, u64)> {
        let whole = self.map(path)?;
        Ok((whole.slice(..n.min(whole.len())), whole.len() as u64))
    }

    /// What is at a path; `None` where there is nothing.
    fn stat(&self, path: &str) -> R<Option<Stat>>;

    /// The names in a folder, in ascending order.
    fn list(&self, path: &str) -> R<Vec<String>>;
}

/// No file.
#[derive(Debug)]
struct NoFiles;

impl Files for NoFiles {
    fn map(&self, _path: &str) -> R<Bytes> {
        Err(QError::access())
    }

    fn stat(&self, _path: &str) -> R<Option<Stat>> {
        Err(QError::access())
    }

    fn list(&self, _path: &str) -> R<Vec<String>> {
        Err(QError::access())
    }
}

/// How a file is compressed: q's `.z.zd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// blocks of 2 to this power bytes, 12 to 20
    pub block_bits: u8,
    /// 0 none, 1 q's own, 2 gzip, 3 snappy, 4 lz4, 5 zstd
    pub algorithm: u8,
    /// level of the algorithm
    pub level: i8,
}

/// What `-21!` tells of a compressed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// bytes on disk
    pub compressed: u64,
    /// bytes unpacked
    pub plain: u64,
    /// how
    pub packing: Packing,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// a folder
    pub is_dir: bool,
    /// bytes of a file on disk
    pub size: u64,
}

/// What `hopen` opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// a file, for appending
    File(String),
    /// a named pipe, for reading
    Fifo(String),
    /// a q process
    Process {
        /// name or address; empty for this host; `None` for a Unix socket
        host: Option<String>,
        /// the port
        port: u16,
        /// over TLS
        tls: bool,
        /// `user:password`
        credentials: String,
        /// milliseconds to wait for the connection; 0 for ever
        timeout: u64,
    },
}

/// What a handle leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandleKind {
    /// the console, standard output, standard error
    Console,
    /// a file for appending
    File,
    /// a pipe for reading
    Pipe,
    /// a q process
    Process,
    /// a browser
    WebSocket,
}

/// Kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// no answer
    Async,
    /// one answer
    Sync,
    /// the answer
    Response,
}

/// A message that came in.
#[derive(Debug, Clone)]
pub struct Message {
    /// what it wants
    pub kind: Kind,
    /// the serialised object, little-endian, unpacked
    pub body: Bytes,
}

/// An open connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// its handle
    pub handle: i32,
    /// sizes of the messages that wait to be sent
    pub queued: Vec<u64>,
    /// `q` for q processes, `w` for WebSockets
    pub protocol: u8,
}

/// Who and where this process is.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// number of the process
    pub pid: i32,
    /// name of the host
    pub host: String,
    /// the user it runs as
    pub user: String,
    /// IPv4 address as q's number
    pub address: i32,
}

/// How far a door to the world is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Access {
    /// closed
    #[default]
    Off,
    /// for paths below these folders, or for these hosts (`host` or `host:port`)
    Within(Vec<String>),
    /// open
    On,
}

/// What q code may do to the world.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// files: off, below folders, all
    pub files: Access,
    /// whether files may be changed
    pub write: bool,
    /// connections to others: off, to hosts, to all
    pub network: Access,
    /// whether the process may listen
    pub listen: bool,
    /// whether `exit` ends the process
    pub exit: bool,
    /// whether commands may be run
    pub system: bool,
}

impl Capabilities {
    /// Everything, as a console has it.
    pub fn all() -> Capabilities {
        Capabilities {
            files: Access::On,
            write: true,
            network: Access::On,
            listen: true,
            exit: true,
            system: true,
        }
    }

    /// Whether a connection to this host and port may be made.
    pub fn allows_host(&self, host: &str, port: u16) -> bool {
        match &self.network {
            Access::Off => false,
            Access::On => true,
            Access::Within(hosts) => {
                let with_port = format!("{host}:{port}");
                hosts.iter().any(|h| *h == host || *h == with_port)
            }
        }
    }
}

/// A host that gives nothing: the clock stands still and what is printed is kept.
#[derive(Debug, Default)]
pub struct Closed {
    /// what was printed
    pub printed: Vec<u8>,
}

impl Host for Closed {
    fn now(&self) -> i64 {
        0
    }

    fn print(&mut self, _handle: i32, text: &[u8]) -> R<()> {
        self.printed.extend_from_slice(text);
        Ok(())
    }
}
