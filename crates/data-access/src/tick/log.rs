//! A tickerplant's log: read one message at a time, however large the file.
//!
//! Eight bytes (an empty list as kdb+ writes it), then message bodies back to back. A log that is being written,
//! or whose writer died, may end inside a message: what is whole before it is good. Where a message is damaged the
//! next one is found by its first bytes: those of a call `(upd; table; data)`.

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
    #[error("tickerplant log {}: message {message} is damaged: {why}; the {passed} bytes up to the next message are lost", path.display())]
    Damaged {
        /// the log
        path: PathBuf,
        /// messages before it
        message: u64,
        /// bytes without a message that can be read
        passed: u64,
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
    damaged: u64,
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
        Ok(LogReader {
            path: path.into(),
            file,
            buffer: BytesMut::new(),
            messages: 0,
            damaged: 0,
            at_end: false,
        })
    }

    /// The next whole message; `None` at the end, or where the last message is cut. After [`LogError::Damaged`] the
    /// reader is at the next message that can be read, and has counted one.
    pub fn next_message(&mut self) -> Result<Option<Raw>, LogError> {
        loop {
            if !self.buffer.is_empty() {
                match qipc::object_len(&self.buffer, &Limits::internal()) {
                    Ok(_) if !begins_as_call(&self.buffer) => {
                        let (offset, byte) = (0, self.buffer[0]);
                        let why = DecodeError::BadMessage {
                            offset,
                            byte,
                            expected: "a call: a list that begins with a name",
                        };
                        return Err(self.pass_over(why)?);
                    }
                    Ok(len) => {
                        self.messages += 1;
                        return Ok(Some(Raw(self.buffer.split_to(len).freeze())));
                    }
                    Err(DecodeError::Truncated { .. }) if !self.at_end => {}
                    // A cut message, unless there are others behind it: then its length is what is damaged.
                    Err(DecodeError::Truncated { .. }) if next_batch(&self.buffer, true).is_none() => {
                        return Ok(None);
                    }
                    Err(why) => return Err(self.pass_over(why)?),
                }
            }
            if self.at_end {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Goes on to the next message that can be read, or to the end; gives the error that tells of it.
    fn pass_over(&mut self, why: DecodeError) -> Result<LogError, LogError> {
        let message = self.messages;
        self.messages += 1;
        self.damaged += 1;
        let mut passed = 0;
        loop {
            if let Some(at) = next_batch(&self.buffer, self.at_end) {
                let _ = self.buffer.split_to(at);
                passed += at as u64;
                break;
            }
            let kept = if self.at_end { 0 } else { BATCH_HEAD.min(self.buffer.len()) };
            let dropped = self.buffer.len() - kept;
            let _ = self.buffer.split_to(dropped);
            passed += dropped as u64;
            if self.at_end {
                break;
            }
            self.fill()?;
        }
        Ok(LogError::Damaged { path: self.path.clone(), message, passed, why })
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

    /// Messages given so far, with one for each damaged part.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Damaged parts so far.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }
}

/// True for the first bytes of a list that begins with a name, as every message of a log does: damage may leave other
/// objects whole.
fn begins_as_call(bytes: &[u8]) -> bool {
    match bytes.first() {
        Some(0) => matches!(bytes.get(6), Some(0xf5 | 0x0a)),
        first => first == Some(&0x0b),
    }
}

/// True for the first bytes of a list of three that begins with a publisher's call.
pub(super) fn begins_as_batch(bytes: &[u8]) -> bool {
    let list = bytes.len() > 7 && bytes[0] == 0 && bytes[2..6] == [3, 0, 0, 0] && bytes[6] == 0xf5;
    list && [&b"upd\0"[..], b".u.upd\0"].iter().any(|name| bytes[7..].starts_with(name))
}

/// Bytes that [`begins_as_batch`] looks at.
const BATCH_HEAD: usize = 14;

/// Where, behind its first byte, a batch begins that can be read. `is_all`: nothing follows, so that an incomplete
/// batch is no batch.
fn next_batch(bytes: &[u8], is_all: bool) -> Option<usize> {
    (1..bytes.len()).find(|&at| {
        begins_as_batch(&bytes[at..])
            && match qipc::object_len(&bytes[at..], &Limits::internal()) {
                Err(DecodeError::Truncated { .. }) => !is_all,
                length => length.is_ok(),
            }
    })
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
