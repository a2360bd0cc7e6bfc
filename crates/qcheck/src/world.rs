//! The world of a checked interpreter: the real one, without network, and with a root of its own: an absolute path is
//! one below the page's folder. So a page finds `/tmp/db` empty, whatever other pages wrote.

use std::sync::Arc;

use bytes::Bytes;
use qhost::World;
use qlang::{
    QError, R, Value,
    host::{
        Access, Capabilities, Connection, Files, HandleKind, Host, Identity, Kind, Message, Packed, Packing,
        Stat, Target,
    },
};

/// The real world, for code that is trusted: no network.
pub fn open() -> Box<dyn Host> {
    Box::new(real())
}

/// The real world below the current folder.
pub fn rooted() -> Box<dyn Host> {
    let root = std::env::current_dir().map(|d| d.to_string_lossy().into_owned()).unwrap_or_default();
    Box::new(Rooted { inner: Box::new(real()), root: root.into() })
}

fn real() -> World {
    World::new(Capabilities { network: Access::Off, listen: false, ..Capabilities::all() })
}

/// Maps paths and what errors say of them.
struct Rooted {
    inner: Box<dyn Host>,
    root: Arc<str>,
}

#[derive(Debug)]
struct RootedFiles {
    inner: Arc<dyn Files>,
    root: Arc<str>,
}

/// The path below the root.
fn below(root: &str, path: &str) -> String {
    match path.starts_with('/') && !path.starts_with(root) {
        true => format!("{root}{path}"),
        false => path.to_string(),
    }
}

/// An error in the page's own paths.
fn own(root: &str, error: QError) -> QError {
    match error.text().contains(root) {
        true => QError::of(error.kind(), error.text().replace(root, "")),
        false => error,
    }
}

impl Files for RootedFiles {
    fn map(&self, path: &str) -> R<Bytes> {
        self.inner.map(&below(&self.root, path)).map_err(|e| own(&self.root, e))
    }

    fn head(&self, path: &str, n: usize) -> R<(Bytes, u64)> {
        self.inner.head(&below(&self.root, path), n).map_err(|e| own(&self.root, e))
    }

    fn stat(&self, path: &str) -> R<Option<Stat>> {
        self.inner.stat(&below(&self.root, path)).map_err(|e| own(&self.root, e))
    }

    fn list(&self, path: &str) -> R<Vec<String>> {
        self.inner.list(&below(&self.root, path)).map_err(|e| own(&self.root, e))
    }
}

impl Rooted {
    fn path(&self, path: &str) -> String {
        below(&self.root, path)
    }

    fn said<T>(&self, result: R<T>) -> R<T> {
        result.map_err(|e| own(&self.root, e))
    }
}

impl Host for Rooted {
    fn read_line(&mut self) -> R<Option<Vec<u8>>> {
        Ok(None)
    }

    fn read(&mut self, path: &str, offset: u64, length: Option<u64>) -> R<Vec<u8>> {
        let got = self.inner.read(&self.path(path), offset, length);
        self.said(got)
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(RootedFiles { inner: self.inner.files(), root: self.root.clone() })
    }

    fn write(&mut self, path: &str, bytes: &[u8], append: bool) -> R<()> {
        let got = self.inner.write(&self.path(path), bytes, append);
        self.said(got)
    }

    fn write_parts(&mut self, path: &str, parts: &[&[u8]], packing: Option<Packing>) -> R<()> {
        let got = self.inner.write_parts(&self.path(path), parts, packing);
        self.said(got)
    }

    fn packed(&mut self, path: &str) -> R<Option<Packed>> {
        let got = self.inner.packed(&self.path(path));
        self.said(got)
    }

    fn make_dir(&mut self, path: &str) -> R<()> {
        let got = self.inner.make_dir(&self.path(path));
        self.said(got)
    }

    fn remove(&mut self, path: &str) -> R<()> {
        let got = self.inner.remove(&self.path(path));
        self.said(got)
    }

    fn rename(&mut self, from: &str, to: &str) -> R<()> {
        let got = self.inner.rename(&self.path(from), &self.path(to));
        self.said(got)
    }

    fn extend_file(&mut self, path: &str, extend: &mut dyn FnMut(&[u8]) -> R<Vec<u8>>) -> R<()> {
        let got = self.inner.extend_file(&self.path(path), extend);
        self.said(got)
    }

    fn current_dir(&self) -> R<String> {
        let dir = self.inner.current_dir()?;
        Ok(match dir.strip_prefix(&*self.root) {
            Some("") => "/".into(),
            Some(rest) => rest.into(),
            None => dir,
        })
    }

    fn change_dir(&mut self, path: &str) -> R<()> {
        let got = self.inner.change_dir(&self.path(path));
        self.said(got)
    }

    fn open(&mut self, target: &Target) -> R<i32> {
        let target = match target {
            Target::File(path) => Target::File(self.path(path)),
            Target::Fifo(path) => Target::Fifo(self.path(path)),
            other => other.clone(),
        };
        let got = self.inner.open(&target);
        self.said(got)
    }

    // The rest has no paths.

    fn now(&self) -> i64 {
        self.inner.now()
    }

    fn zone(&self, utc: i64) -> i64 {
        self.inner.zone(utc)
    }

    fn print(&mut self, handle: i32, text: &[u8]) -> R<()> {
        self.inner.print(handle, text)
    }

    fn env(&self, name: &str) -> R<String> {
        self.inner.env(name)
    }

    fn set_env(&mut self, name: &str, value: &str) -> R<()> {
        self.inner.set_env(name, value)
    }

    fn close(&mut self, handle: i32) -> R<()> {
        self.inner.close(handle)
    }

    fn handle(&self, handle: i32) -> Option<HandleKind> {
        self.inner.handle(handle)
    }

    fn send(&mut self, handle: i32, kind: Kind, body: &[u8]) -> R<()> {
        self.inner.send(handle, kind, body)
    }

    fn receive(&mut self, handle: i32) -> R<Message> {
        self.inner.receive(handle)
    }

    fn flush(&mut self, handle: i32) -> R<()> {
        self.inner.flush(handle)
    }

    fn put(&mut self, handle: i32, bytes: &[u8]) -> R<()> {
        self.inner.put(handle, bytes)
    }

    fn take(&mut self, handle: i32, length: usize) -> R<Vec<u8>> {
        self.inner.take(handle, length)
    }

    fn connections(&self) -> Vec<Connection> {
        self.inner.connections()
    }

    fn listen(&mut self, address: &str) -> R<i32> {
        self.inner.listen(address)
    }

    fn port(&self) -> i32 {
        self.inner.port()
    }

    fn timer(&mut self, milliseconds: Option<i64>) -> R<i64> {
        self.inner.timer(milliseconds)
    }

    fn shell(&mut self, command: &str) -> R<(Vec<u8>, i32)> {
        self.inner.shell(command)
    }

    fn may_exit(&self) -> bool {
        self.inner.may_exit()
    }

    fn identity(&self) -> Identity {
        self.inner.identity()
    }

    fn arguments(&self) -> Vec<String> {
        self.inner.arguments()
    }

    fn physical_memory(&self) -> i64 {
        self.inner.physical_memory()
    }

    fn fork(&self) -> Option<Box<dyn Host>> {
        let inner = self.inner.fork()?;
        Some(Box::new(Rooted { inner, root: self.root.clone() }))
    }

    fn other(&mut self, name: &str, args: Vec<Value>) -> R {
        self.inner.other(name, args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_are_below_the_root() {
        assert_eq!(below("/w/p", "/tmp/db"), "/w/p/tmp/db");
        assert_eq!(below("/w/p", "/w/p/tmp/db"), "/w/p/tmp/db");
        assert_eq!(below("/w/p", "db/t"), "db/t");
        assert_eq!(own("/w/p", QError::new("/w/p/x. OS reports: no")).text(), "/x. OS reports: no");
    }
}
