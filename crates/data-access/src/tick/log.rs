//! A tickerplant's log: read one message at a time, however large the file.
//!
//! Eight bytes (an empty list as kdb+ writes it), then message bodies back to back. A log that is being written,
//! or whose writer died, may end inside a message: what is whole before it is good.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use qipc::{DecodeError, Limits, Raw};

/// Bytes before the first message.
const HEAD: [u8; 3] = [0xff, 0x01, 0x00];
const HEAD_LEN: usize = 8;
/// Bytes read at a time.
const READ: usize = 1 << 20;

/// A log that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The system refuses.
    #[error("tickerplant log {}: {source}; this process must see the tickerplant's files to replay", path.display())]
    Io {
        /// the log
        path: PathBuf,
        /// why
        source: std::io::Error,
    },
    /// It does not begin as a log.
    #[error("{} is no tickerplant log: it must begin with ff 01 00", path.display())]
    NotALog {
        /// the file
        path: PathBuf,
    },
    /// A message is damaged.
    #[error("tickerplant log {}: message {message} is damaged: {why}", path.display())]
    Damaged {
        /// the log
        path: PathBuf,
        /// messages before it
        message: u64,
        /// what is wrong
        why: DecodeError,
    },
}

/// Reads a log from its beginning.
pub struct LogReader {
    path: PathBuf,
    file: File,
    buffer: BytesMut,
    messages: u64,
    at_end: bool,
}

impl LogReader {
    /// Opens a log.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let io = |source| LogError::Io { path: path.into(), source };
        let mut file = File::open(path).map_err(io)?;
        let mut head = [0; HEAD_LEN];
        file.read_exact(&mut head).map_err(io)?;
        if head[..3] != HEAD {
            return Err(LogError::NotALog { path: path.into() });
        }
        Ok(LogReader { path: path.into(), file, buffer: BytesMut::new(), messages: 0, at_end: false })
    }

    /// The next whole message; `None` at the end, or where the last message is cut.
    pub fn next_message(&mut self) -> Result<Option<Raw>, LogError> {
        loop {
            if !self.buffer.is_empty() {
                match qipc::object_len(&self.buffer, &Limits::internal()) {
                    Ok(len) => {
                        self.messages += 1;
                        return Ok(Some(Raw(self.buffer.split_to(len).freeze())));
                    }
                    Err(DecodeError::Truncated { .. }) => {}
                    Err(why) => {
                        let message = self.messages;
                        return Err(LogError::Damaged { path: self.path.clone(), message, why });
                    }
                }
            }
            if self.at_end {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Reads as much again as is held, so that a long message is not scanned often.
    fn fill(&mut self) -> Result<(), LogError> {
        let held = self.buffer.len();
        let wanted = held.max(READ);
        self.buffer.resize(held + wanted, 0);
        let mut got = 0;
        while got < wanted {
            let space = &mut self.buffer[held + got..];
            match self.file.read(space) {
                Ok(0) => {
                    self.at_end = true;
                    break;
                }
                Ok(n) => got += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(LogError::Io { path: self.path.clone(), source }),
            }
        }
        self.buffer.truncate(held + got);
        Ok(())
    }

    /// Messages given so far.
    pub fn messages(&self) -> u64 {
        self.messages
    }
}

/// The beginning of a log, for whoever writes one.
pub fn head() -> Bytes {
    Bytes::from_static(&[0xff, 0x01, 0, 0, 0, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvalue::{Value, Vector};

    fn log(messages: &[Value], cut: usize) -> tempfile::NamedTempFile {
        let mut bytes = head().to_vec();
        messages.iter().for_each(|m| bytes.extend_from_slice(&Raw::of(m).0));
        bytes.truncate(bytes.len() - cut);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn read(path: &Path) -> Result<Vec<Value>, LogError> {
        let mut reader = LogReader::open(path)?;
        let mut out = Vec::new();
        while let Some(raw) = reader.next_message()? {
            out.push(raw.decode(&Limits::internal()).unwrap());
        }
        Ok(out)
    }

    fn upd(n: usize) -> Value {
        Value::list([Value::sym("upd"), Value::sym("t"), Vector::longs(vec![1; n]).into()])
    }

    #[test]
    fn messages_of_any_size_come_in_order() {
        let messages = [upd(1), upd(500_000), upd(2)];
        let file = log(&messages, 0);
        assert_eq!(read(file.path()).unwrap(), messages);
    }

    #[test]
    fn a_cut_last_message_is_left_out() {
        let file = log(&[upd(1), upd(2)], 3);
        assert_eq!(read(file.path()).unwrap(), [upd(1)]);
    }

    #[test]
    fn damage_and_other_files_are_named() {
        let file = log(&[upd(1)], 0);
        let mut bytes = std::fs::read(file.path()).unwrap();
        bytes.extend([0x55; 20]);
        std::fs::write(file.path(), bytes).unwrap();
        let err = read(file.path()).unwrap_err().to_string();
        assert!(err.contains("message 1 is damaged"), "{err}");
        std::fs::write(file.path(), b"hello, world").unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("is no tickerplant log"));
    }
}
