//! Memory of another process while it works: resident memory without file pages, as the kernel counts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::error::Error;

/// How often it is looked at. The kernel walks the page tables each time.
const PERIOD: Duration = Duration::from_millis(5);
const LINE: &str = "Anonymous:";

/// Anonymous memory of a process in MiB: heap and stacks, not mapped files.
pub(crate) fn anonymous(process: u32) -> Result<f64, Error> {
    let path = PathBuf::from(format!("/proc/{process}/smaps_rollup"));
    let text = std::fs::read_to_string(&path).map_err(Error::io(path.display().to_string()))?;
    parse(&text).ok_or_else(|| Error::Other(format!("{} has no line `{LINE} N kB`", path.display())))
}

fn parse(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(LINE))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// The most that `process` had while `work` ran, in MiB, and what the work gave.
pub(crate) fn peak<T>(process: u32, work: impl FnOnce() -> T) -> Result<(f64, T), Error> {
    let (most, done) =
        (Arc::new(AtomicU64::new(anonymous(process)?.to_bits())), Arc::new(AtomicBool::new(false)));
    let watcher = {
        let (most, done) = (Arc::clone(&most), Arc::clone(&done));
        std::thread::spawn(move || {
            while !done.load(Relaxed) {
                // A process that has gone is noticed by whoever asks it.
                if let Ok(now) = anonymous(process) {
                    // The bits of floats that are not negative are in the order of the floats.
                    most.fetch_max(now.to_bits(), Relaxed);
                }
                std::thread::sleep(PERIOD);
            }
        })
    };
    let result = work();
    done.store(true, Relaxed);
    watcher.join().map_err(|_| Error::Other("the thread that looks at memory has panicked".into()))?;
    Ok((f64::from_bits(most.load(Relaxed)), result))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_seen_after_it_is_over() {
        let before = anonymous(std::process::id()).unwrap();
        let (peak, ()) = peak(std::process::id(), || {
            let block = std::hint::black_box(vec![1u8; 64 << 20]);
            std::thread::sleep(PERIOD * 10);
            drop(block);
        })
        .unwrap();
        assert!(peak > before + 50.0, "{peak} after {before}");
    }

    #[test]
    fn the_kernels_line_is_read() {
        assert_eq!(parse("Rss:   9 kB\nAnonymous:          2048 kB\n"), Some(2.0));
        assert_eq!(parse("Rss: 9 kB"), None);
    }
}
