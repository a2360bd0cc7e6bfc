//! [`World`]: the host of a console or a process, with files, sockets, clock, timer and shell.

use std::{
    io::{BufRead as _, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use hdb::{Algorithm, file, save::Compression};
use qlang::{
    QError, R,
    host::{
        Capabilities, Connection, Files, HandleKind, Host, Identity, Kind, Message, Packed, Packing, Target,
    },
};

use crate::{
    console::Console,
    files::{Disk, failed, reported},
    net::Net,
};

/// Nanoseconds from 1970 to 2000.
const EPOCH: i64 = 946_684_800_000_000_000;

/// What the loop of a process and the interpreter inside it share.
pub(crate) type Shared = Arc<Mutex<Net>>;

/// The world of a process.
pub struct World {
    disk: Arc<Disk>,
    net: Shared,
    console: Option<Arc<Console>>,
    arguments: Vec<String>,
    /// where what is printed is kept, instead of being printed
    kept: Option<Arc<Mutex<Vec<u8>>>>,
    identity: OnceLock<Identity>,
    zone: OnceLock<jiff::tz::TimeZone>,
}

impl World {
    /// A world without listening socket and console: for scripts and tests.
    pub fn new(capabilities: Capabilities) -> World {
        World::with(capabilities, Arc::new(Mutex::new(Net::default())), None, Vec::new())
    }

    /// As [`World::new`], with all that is printed put at the end of `kept`, and no input.
    pub fn kept(capabilities: Capabilities, kept: Arc<Mutex<Vec<u8>>>) -> World {
        World { kept: Some(kept), ..World::new(capabilities) }
    }

    pub(crate) fn with(
        capabilities: Capabilities,
        net: Shared,
        console: Option<Arc<Console>>,
        arguments: Vec<String>,
    ) -> World {
        let disk = Disk {
            capabilities: Arc::new(capabilities),
            confined: Arc::default(),
            start: std::env::current_dir().unwrap_or_else(|_| "/".into()),
            cache: Arc::default(),
        };
        World {
            disk: Arc::new(disk),
            net,
            console,
            arguments,
            kept: None,
            identity: OnceLock::new(),
            zone: OnceLock::new(),
        }
    }

    /// The flag that confines remote callers to the start folder while it is set.
    pub(crate) fn confined(&self) -> Arc<AtomicBool> {
        self.disk.confined.clone()
    }

    fn net(&self) -> MutexGuard<'_, Net> {
        self.net.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_confined(&self) -> bool {
        self.disk.confined.load(Ordering::Relaxed)
    }
}

fn compression(p: Packing) -> R<Option<Compression>> {
    let algorithm = Algorithm::from_number(p.algorithm.into()).ok_or_else(QError::domain)?;
    let is_none = algorithm == Algorithm::None;
    Ok((!is_none).then_some(Compression { block_bits: p.block_bits, algorithm, level: p.level }))
}

impl Host for World {
    fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64);
        now - EPOCH
    }

    fn zone(&self, utc: i64) -> i64 {
        let zone = self.zone.get_or_init(jiff::tz::TimeZone::system);
        match jiff::Timestamp::from_nanosecond(i128::from(utc) + i128::from(EPOCH)) {
            Ok(at) => i64::from(zone.to_offset(at).seconds()) * 1_000_000_000,
            Err(_) => 0,
        }
    }

    fn print(&mut self, handle: i32, text: &[u8]) -> R<()> {
        if let Some(kept) = &self.kept {
            kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(text);
            return Ok(());
        }
        let done = match handle {
            1 => {
                let mut out = std::io::stdout().lock();
                out.write_all(text).and_then(|()| out.flush())
            }
            _ => std::io::stderr().lock().write_all(text),
        };
        done.map_err(|e| reported("stdout", &e))
    }

    fn read_line(&mut self) -> R<Option<Vec<u8>>> {
        if self.kept.is_some() {
            return Ok(None);
        }
        if let Some(console) = &self.console {
            return Ok(console.line());
        }
        let mut line = Vec::new();
        let n = std::io::stdin().lock().read_until(b'\n', &mut line).map_err(|e| reported("stdin", &e))?;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok((n > 0).then_some(line))
    }

    fn env(&self, name: &str) -> R<String> {
        if let Some(set) = self.net().environment.get(name) {
            return Ok(set.clone());
        }
        Ok(std::env::var_os(name).map(|v| v.to_string_lossy().into_owned()).unwrap_or_default())
    }

    fn set_env(&mut self, name: &str, value: &str) -> R<()> {
        self.net().environment.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn read(&mut self, path: &str, offset: u64, length: Option<u64>) -> R<Vec<u8>> {
        let at = self.disk.readable(path)?;
        let failed = |e: std::io::Error| reported(path, &e);
        if offset == 0 && length.is_none() {
            return std::fs::read(at).map_err(failed);
        }
        let file = std::fs::File::open(at).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let left = size.saturating_sub(offset);
        let mut out = vec![0; length.map_or(left, |n| n.min(left)) as usize];
        file.read_exact_at(&mut out, offset).map_err(failed)?;
        Ok(out)
    }

    fn files(&self) -> Arc<dyn Files> {
        self.disk.clone()
    }

    fn write(&mut self, path: &str, bytes: &[u8], append: bool) -> R<()> {
        if !append {
            return self.write_parts(path, &[bytes], None);
        }
        let at = self.disk.writable(path)?;
        make_parent(&at)?;
        let file = std::fs::File::options().create(true).append(true).open(at);
        file.and_then(|mut f| f.write_all(bytes)).map_err(|e| reported(path, &e))
    }

    fn write_parts(&mut self, path: &str, parts: &[&[u8]], packing: Option<Packing>) -> R<()> {
        let at = self.disk.writable(path)?;
        make_parent(&at)?;
        let packing = match packing {
            Some(p) => compression(p)?,
            None => None,
        };
        file::write(&at, parts, packing).map_err(|e| failed(path, e)).map(|_| ())
    }

    fn packed(&mut self, path: &str) -> R<Option<Packed>> {
        let info = file::container(&self.disk.readable(path)?).map_err(|e| failed(path, e))?;
        Ok(info.map(|i| Packed {
            compressed: i.compressed,
            plain: i.plain,
            packing: Packing {
                block_bits: i.compression.block_bits,
                algorithm: i.compression.algorithm.number(),
                level: i.compression.level,
            },
        }))
    }

    fn make_dir(&mut self, path: &str) -> R<()> {
        std::fs::create_dir_all(self.disk.writable(path)?).map_err(|e| reported(path, &e))
    }

    fn remove(&mut self, path: &str) -> R<()> {
        let at = self.disk.writable(path)?;
        let is_dir = std::fs::symlink_metadata(&at).is_ok_and(|m| m.is_dir());
        let done = if is_dir { std::fs::remove_dir(at) } else { std::fs::remove_file(at) };
        done.map_err(|e| reported(path, &e))
    }

    fn rename(&mut self, from: &str, to: &str) -> R<()> {
        let (a, b) = (self.disk.writable(from)?, self.disk.writable(to)?);
        std::fs::rename(a, b).map_err(|e| reported(from, &e))
    }

    fn extend_file(&mut self, path: &str, extend: &mut dyn FnMut(&[u8]) -> R<Vec<u8>>) -> R<()> {
        let at = self.disk.writable(path)?;
        let mut q_error = None;
        let done = file::extend(&at, |old| {
            extend(old).map_err(|e| {
                q_error = Some(e);
                std::io::Error::other("refused").into()
            })
        });
        match q_error {
            Some(e) => Err(e),
            None => done.map_err(|e: Extend| failed(path, e.0)),
        }
    }

    fn current_dir(&self) -> R<String> {
        let here = std::env::current_dir().map_err(|e| reported(".", &e))?;
        Ok(here.to_string_lossy().into_owned())
    }

    fn change_dir(&mut self, path: &str) -> R<()> {
        let at = self.disk.readable(path)?;
        std::env::set_current_dir(at).map_err(|e| reported(path, &e))
    }

    fn open(&mut self, target: &Target) -> R<i32> {
        match target {
            Target::File(path) => {
                let at = self.disk.writable(path)?;
                make_parent(&at)?;
                let opened = std::fs::File::options().create(true).append(true).read(true).open(at);
                Ok(self.net().add_file(opened.map_err(|e| reported(path, &e))?))
            }
            Target::Fifo(path) => {
                let at = self.disk.readable(path)?;
                let opened = std::fs::File::open(at).map_err(|e| reported(path, &e))?;
                Ok(self.net().add_pipe(opened))
            }
            Target::Process { host, port, .. } => {
                let name = host.as_deref().filter(|h| !h.is_empty()).unwrap_or("localhost");
                if !self.disk.capabilities.allows_host(name, *port) {
                    return Err(QError::access());
                }
                crate::client::open(&self.net, target)
            }
        }
    }

    fn close(&mut self, handle: i32) -> R<()> {
        self.net().close(handle)
    }

    fn handle(&self, handle: i32) -> Option<HandleKind> {
        match handle {
            0..=2 => Some(HandleKind::Console),
            h => self.net().kind(h),
        }
    }

    fn send(&mut self, handle: i32, kind: Kind, body: &[u8]) -> R<()> {
        self.net().send(handle, kind, body)
    }

    fn receive(&mut self, handle: i32) -> R<Message> {
        self.net().receive(handle)
    }

    fn flush(&mut self, handle: i32) -> R<()> {
        self.net().flush(handle)
    }

    fn put(&mut self, handle: i32, bytes: &[u8]) -> R<()> {
        self.net().put(handle, bytes)
    }

    fn take(&mut self, handle: i32, length: usize) -> R<Vec<u8>> {
        self.net().take(handle, length)
    }

    fn connections(&self) -> Vec<Connection> {
        self.net().connections()
    }

    fn listen(&mut self, address: &str) -> R<i32> {
        if !self.disk.capabilities.listen || self.is_confined() {
            return Err(QError::access());
        }
        self.net().listen(address)
    }

    fn port(&self) -> i32 {
        self.net().port()
    }

    fn defer(&mut self) -> R<()> {
        self.net().defer()
    }

    fn answer(&mut self, handle: i32, body: Result<&[u8], &str>) -> R<()> {
        self.net().answer(handle, body)
    }

    fn timer(&mut self, milliseconds: Option<i64>) -> R<i64> {
        let mut net = self.net();
        let before = net.timer.milliseconds;
        if let Some(n) = milliseconds {
            net.timer.set(n);
        }
        Ok(before)
    }

    fn shell(&mut self, command: &str) -> R<(Vec<u8>, i32)> {
        if !self.disk.capabilities.system || self.is_confined() {
            return Err(QError::access());
        }
        let environment = self.net().environment.clone();
        let done = std::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(command)
            .envs(environment)
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|_| QError::new("os"))?;
        Ok((done.stdout, done.status.code().unwrap_or(1)))
    }

    fn may_exit(&self) -> bool {
        self.disk.capabilities.exit
    }

    fn identity(&self) -> Identity {
        self.identity.get_or_init(crate::identity::identity).clone()
    }

    fn arguments(&self) -> Vec<String> {
        self.arguments.clone()
    }

    fn physical_memory(&self) -> i64 {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"));
        let kib = line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse::<i64>().ok());
        kib.unwrap_or(0) * 1024
    }

    fn fork(&self) -> Option<Box<dyn Host>> {
        let capabilities = Capabilities {
            write: false,
            listen: false,
            system: false,
            exit: false,
            ..(*self.disk.capabilities).clone()
        };
        Some(Box::new(World {
            disk: Arc::new(Disk { capabilities: Arc::new(capabilities), ..(*self.disk).clone() }),
            net: Arc::new(Mutex::new(Net::default())),
            console: None,
            arguments: self.arguments.clone(),
            kept: self.kept.clone(),
            identity: self.identity.clone(),
            zone: self.zone.clone(),
        }))
    }
}

/// Makes the folder that a file is to lie in.
fn make_parent(path: &Path) -> R<()> {
    match path.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists()) {
        Some(parent) => std::fs::create_dir_all(parent).map_err(|e| reported(&parent.to_string_lossy(), &e)),
        None => Ok(()),
    }
}

/// An error on the way through [`file::extend`].
struct Extend(hdb::HdbError);

impl From<hdb::HdbError> for Extend {
    fn from(e: hdb::HdbError) -> Self {
        Extend(e)
    }
}

impl From<std::io::Error> for Extend {
    fn from(source: std::io::Error) -> Self {
        Extend(hdb::HdbError::Io { doing: "extend", path: "enumeration".into(), source })
    }
}
