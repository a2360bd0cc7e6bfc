//! The world of a checked interpreter: files below the current folder of its process, the clock, a console that is
//! kept. No sockets, no shell.

use std::{
    collections::HashMap,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use qlang::{
    QError, R,
    host::{Files, Host, Identity, Stat},
};

use crate::interpreter::Printed;

/// Nanoseconds between 1970 and 2000.
const EPOCH: i64 = 946_684_800_000_000_000;

/// A host that keeps what is printed, and where it keeps it.
pub fn open() -> (Box<dyn Host>, Printed) {
    let printed = Printed::default();
    (Box::new(World { printed: printed.clone(), variables: HashMap::new() }), printed)
}

struct World {
    printed: Printed,
    variables: HashMap<String, String>,
}

fn os(path: &str) -> impl FnOnce(std::io::Error) -> QError {
    move |error| {
        let text = error.to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        QError::new(format!("{path}. OS reports: {text}"))
    }
}

/// Files as they lie.
#[derive(Debug)]
struct OnDisk;

impl Files for OnDisk {
    fn map(&self, path: &str) -> R<Bytes> {
        std::fs::read(path).map(Bytes::from).map_err(os(path))
    }

    fn stat(&self, path: &str) -> R<Option<Stat>> {
        Ok(std::fs::metadata(path).ok().map(|m| Stat { is_dir: m.is_dir(), size: m.len() }))
    }

    fn list(&self, path: &str) -> R<Vec<String>> {
        let entries = std::fs::read_dir(path).map_err(os(path))?;
        let mut names: Vec<String> =
            entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }
}

impl Host for World {
    fn now(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64 - EPOCH)
    }

    fn print(&mut self, _handle: i32, text: &[u8]) -> R<()> {
        self.printed.lock().unwrap_or_else(|p| p.into_inner()).extend_from_slice(text);
        Ok(())
    }

    fn read_line(&mut self) -> R<Option<Vec<u8>>> {
        Ok(None)
    }

    fn env(&self, name: &str) -> R<String> {
        Ok(self.variables.get(name).cloned().or_else(|| std::env::var(name).ok()).unwrap_or_default())
    }

    fn set_env(&mut self, name: &str, value: &str) -> R<()> {
        self.variables.insert(name.into(), value.into());
        Ok(())
    }

    fn read(&mut self, path: &str, offset: u64, length: Option<u64>) -> R<Vec<u8>> {
        let mut file = std::fs::File::open(path).map_err(os(path))?;
        file.seek(SeekFrom::Start(offset)).map_err(os(path))?;
        let mut bytes = Vec::new();
        file.take(length.unwrap_or(u64::MAX)).read_to_end(&mut bytes).map_err(os(path))?;
        Ok(bytes)
    }

    fn write(&mut self, path: &str, bytes: &[u8], append: bool) -> R<()> {
        if let Some(folder) = Path::new(path).parent() {
            std::fs::create_dir_all(folder).map_err(os(path))?;
        }
        let mut options = std::fs::OpenOptions::new();
        let options = options.create(true).append(append).write(true).truncate(!append);
        options.open(path).and_then(|mut file| file.write_all(bytes)).map_err(os(path))
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(OnDisk)
    }

    fn make_dir(&mut self, path: &str) -> R<()> {
        std::fs::create_dir_all(path).map_err(os(path))
    }

    fn remove(&mut self, path: &str) -> R<()> {
        let dir = Path::new(path).is_dir();
        let removed = if dir { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
        removed.map_err(os(path))
    }

    fn rename(&mut self, from: &str, to: &str) -> R<()> {
        std::fs::rename(from, to).map_err(os(from))
    }

    fn current_dir(&self) -> R<String> {
        let dir = std::env::current_dir().map_err(os("."))?;
        Ok(dir.to_string_lossy().into_owned())
    }

    fn change_dir(&mut self, path: &str) -> R<()> {
        std::env::set_current_dir(path).map_err(os(path))
    }

    fn may_exit(&self) -> bool {
        true
    }

    fn identity(&self) -> Identity {
        Identity {
            pid: std::process::id() as i32,
            host: "localhost".into(),
            user: std::env::var("USER").unwrap_or_else(|_| "user".into()),
            address: 0x7f00_0001,
        }
    }

    fn physical_memory(&self) -> i64 {
        16 << 30
    }
}
