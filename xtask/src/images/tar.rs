//! Tar archives (ustar) that come out the same, byte for byte, wherever and whenever they are written.

use std::io::{self, Write};

const BLOCK: usize = 512;

/// Writes entries one after the other; every one is root's and of the year 1970.
pub(super) struct Tar<W: Write> {
    out: W,
}

/// What an entry is.
enum Kind {
    File,
    Directory,
}

impl<W: Write> Tar<W> {
    pub(super) fn new(out: W) -> Self {
        Tar { out }
    }

    /// A directory; its path has no slash at the end.
    pub(super) fn directory(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.header(&format!("{path}/"), mode, 0, &Kind::Directory)
    }

    /// A file with its content.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.header(path, mode, content.len() as u64, &Kind::File)?;
        self.out.write_all(content)?;
        let rest = content.len() % BLOCK;
        if rest > 0 { self.out.write_all(&[0; BLOCK][rest..]) } else { Ok(()) }
    }

    /// The end of the archive; gives back where it was written to.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }

    fn header(&mut self, path: &str, mode: u32, size: u64, kind: &Kind) -> io::Result<()> {
        let mut block = [0u8; BLOCK];
        put(&mut block[..100], path)?;
        put(&mut block[100..108], &format!("{mode:07o}"))?;
        put(&mut block[108..116], "0000000")?;
        put(&mut block[116..124], "0000000")?;
        put(&mut block[124..136], &format!("{size:011o}"))?;
        put(&mut block[136..148], "00000000000")?;
        // The sum is taken with blanks in its own place.
        block[148..156].fill(b' ');
        block[156] = match kind {
            Kind::File => b'0',
            Kind::Directory => b'5',
        };
        block[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        put(&mut block[148..155], &format!("{sum:06o}"))?;
        self.out.write_all(&block)
    }
}

fn put(field: &mut [u8], text: &str) -> io::Result<()> {
    if text.len() > field.len() {
        let long = format!("`{text}` is longer than the {} bytes that a tar header has for it", field.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, long));
    }
    field[..text.len()].copy_from_slice(text.as_bytes());
    // The sum's field ends with a zero, then the blank that is there.
    if let Some(end) = field.get_mut(text.len()) {
        *end = 0;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn sample() -> Vec<u8> {
        let mut tar = Tar::new(Vec::new());
        tar.directory("data", 0o755).unwrap();
        tar.file("data/a", 0o644, b"hello").unwrap();
        tar.finish().unwrap()
    }

    #[test]
    fn the_system_tar_reads_what_was_written() {
        let mut child = Command::new("tar")
            .args(["-tvf", "-"])
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&sample()).unwrap();
        let output = child.wait_with_output().unwrap();
        let listing = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = listing.lines().collect();
        assert!(output.status.success(), "{listing}");
        assert_eq!(lines.len(), 2, "{listing}");
        assert!(lines[0].starts_with("drwxr-xr-x") && lines[0].contains("1970-01-01"), "{listing}");
        assert!(lines[1].contains(" 5 ") && lines[1].contains("data/a"), "{listing}");
    }

    #[test]
    fn bytes_are_the_same_each_time_and_long_names_are_refused() {
        assert_eq!(sample(), sample());
        let error = Tar::new(Vec::new()).file(&"x".repeat(101), 0o644, b"").unwrap_err().to_string();
        assert!(error.contains("100 bytes"), "{error}");
    }
}
