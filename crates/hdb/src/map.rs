//! Files mapped into memory, safe against files that shrink. The crate's only unsafe code.
//!
//! Reading a mapped page beyond the end of its file raises SIGBUS, which by default kills the process. Here every
//! mapping is registered, and a SIGBUS handler that finds the faulting address inside one of them maps zero pages over
//! the rest of it and marks it torn; the reader asks [`MappedFile::check`] after use and throws away what it read. Any
//! other SIGBUS goes to the previous handler.
//!
//! # Why this is sound
//! * **The handler is async-signal-safe.** It reads atomics, calls `mmap` (on Linux a plain system call) and
//!   keeps `errno`. It takes no lock and does not allocate. Slots live in leaked chunks and are never freed.
//! * **It never maps over memory that is not ours.** Addresses come from a slot whose start was read equal
//!   before and after its length; a slot is freed by storing start 0 before the length may change, and the
//!   faulting thread keeps its own mapping alive (it is reading it). `MAP_FIXED` then covers only whole pages
//!   inside that mapping, which stays one owned range that `Mmap`'s drop unmaps as a whole.
//! * **The bytes behind `&[u8]` may change** if another process writes into the file in place. The database
//!   contract is that files are replaced by rename or appended to; code on top must not be memory-unsafe for
//!   any content, and is not: it is safe Rust over plain bytes in which every bit pattern is valid, and
//!   values that index something (enumeration codes) are checked where they are used.
//! * A torn page handed to a system call (a socket write) gives `EFAULT` there, no signal.
//!
//! Tests: `map/tests.rs`.
#![allow(unsafe_code)]

use std::{
    fs::File,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;

use crate::HdbError;

/// What a file was when it was looked at: enough to see that it was replaced or written to.
///
/// The time of modification can be set back by whoever writes (`cp -p`, `rsync`), the time of change cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    dev: u64,
    ino: u64,
    len: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

/// Two writes within this time may bear one time stamp: a tick of the kernel, with room.
const TICK: Duration = Duration::from_millis(50);
/// The same where the file system counts whole seconds, some of them even ones only.
const COARSE_TICK: Duration = Duration::from_millis(2_100);
/// A file that changed so far in the future tells that a clock is wrong, not when it changed.
const WRONG_CLOCK: Duration = Duration::from_secs(10);

impl FileId {
    pub(crate) fn of(meta: &std::fs::Metadata) -> Self {
        FileId {
            dev: meta.dev(),
            ino: meta.ino(),
            len: meta.len(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            ctime: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// True where a write after `now` would give the file another id. A file that has just been written to may be
    /// written to again under the same time stamp.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        let changed =
            Duration::new(self.ctime.0.try_into().unwrap_or(0), self.ctime.1.try_into().unwrap_or(0));
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let tick = if self.ctime.1 == 0 && self.mtime.1 == 0 { COARSE_TICK } else { TICK };
        now > changed + tick || changed > now + WRONG_CLOCK
    }

    /// Same file or directory, whatever its size and age.
    pub(crate) fn same_inode(&self, other: &FileId) -> bool {
        self.dev == other.dev && self.ino == other.ino
    }
}

/// A whole file mapped for reading.
#[derive(Debug)]
pub(crate) struct MappedFile {
    path: PathBuf,
    id: FileId,
    settled: bool,
    bytes: Bytes,
    slot: Option<&'static Slot>,
    kept: Option<Kept>,
    /// bytes of its last page were given out
    gave_end: AtomicBool,
    /// where its last byte is that is not zero, in the last page; looked for when it is first needed
    mark: OnceLock<Option<usize>>,
}

/// Pages are of this size at most, and begin at multiples of it.
const LARGEST_PAGE: usize = 64 << 10;

/// A mapped file that stays open: its size is asked for after each use, which by its path takes three times as long.
#[derive(Debug)]
struct Kept(File);

/// Files that stay open, at most: a quarter of what a process may have open where nobody said otherwise.
const MOST_KEPT: usize = 256;
static KEPT: AtomicUsize = AtomicUsize::new(0);

impl Kept {
    /// Keeps the file where not too many are kept.
    fn of(file: File) -> Option<Self> {
        if KEPT.fetch_add(1, Ordering::Relaxed) < MOST_KEPT {
            return Some(Kept(file));
        }
        KEPT.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps the mapping and its slot as long as any `Bytes` looks at it.
struct Owner {
    // Dropped after `drop` below has freed the slot: the mapping outlives its registration.
    map: memmap2::Mmap,
    slot: &'static Slot,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.slot.release();
    }
}

impl MappedFile {
    /// Maps a file as it is now. An empty file is no mapping but an empty buffer.
    pub(crate) fn open(path: &Path) -> Result<Self, HdbError> {
        let file = File::open(path).map_err(HdbError::io("open", path))?;
        let meta = file.metadata().map_err(HdbError::io("examine", path))?;
        if !meta.is_file() {
            return Err(HdbError::corrupt(path, "something that is no regular file", "a file"));
        }
        let id = FileId::of(&meta);
        let settled = id.is_settled(SystemTime::now());
        if meta.len() == 0 {
            return Ok(MappedFile {
                path: path.into(),
                id,
                settled,
                bytes: Bytes::new(),
                slot: None,
                kept: None,
                gave_end: false.into(),
                mark: OnceLock::new(),
            });
        }
        install_handler().map_err(HdbError::io("guard the mapping of", path))?;
        // SAFETY: a read-only shared mapping of a regular file; see the module's argument for changes under it.
        let map = unsafe { memmap2::MmapOptions::new().len(meta.len() as usize).map(&file) }
            .map_err(HdbError::io("map", path))?;
        let slot = Slot::acquire(map.as_ptr() as usize, map.len());
        let bytes = Bytes::from_owner(Owner { map, slot });
        Ok(MappedFile {
            path: path.into(),
            id,
            settled,
            bytes,
            slot: Some(slot),
            kept: Kept::of(file),
            gave_end: false.into(),
            mark: OnceLock::new(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// True while what was mapped is known to be what the file with this id holds.
    pub(crate) fn is_still(&self, now: FileId) -> bool {
        self.settled && self.id == now && !self.is_torn()
    }

    /// The file's bytes, for inspection. [`Self::check`] does not cover bytes read this way.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Bytes of the file, which share the mapping. [`Self::check`] is to be asked after their use.
    pub(crate) fn slice(&self, range: std::ops::Range<usize>) -> Bytes {
        if range.end > self.last_page() {
            self.gave_end.store(true, Ordering::Relaxed);
        }
        self.bytes.slice(range)
    }

    /// Where its last page begins, or somewhat before.
    fn last_page(&self) -> usize {
        self.bytes.len().saturating_sub(1) / LARGEST_PAGE * LARGEST_PAGE
    }

    fn is_torn(&self) -> bool {
        self.slot.is_some_and(|s| s.torn.load(Ordering::Acquire))
    }

    /// An error where the file has shrunk since it was mapped. Deleting or replacing it is fine: the mapping
    /// keeps the old content.
    ///
    /// A page cut in the middle reads as zeros without a signal. If an earlier page is cut, the last page is gone as a
    /// whole, and a read of the last page raises the signal. For the last page, the file's last non-zero byte (the
    /// mark) decides: while the mark is present, all bytes before the mark are present, and all bytes behind are zeros
    /// in any case. The file's size is asked only to find the mark, or where the last page has no mark.
    pub(crate) fn check(&self) -> Result<(), HdbError> {
        let shrank = |now| Err(HdbError::FileShrank { path: self.path.clone(), mapped: self.id.len, now });
        if !self.gave_end.load(Ordering::Relaxed) {
            std::hint::black_box(self.bytes.last().copied());
            if !self.is_torn() {
                return Ok(());
            }
        }
        let known = self.mark.get().copied().flatten();
        let is_marked = known.is_some_and(|mark| self.byte_now(mark) != 0);
        if is_marked && !self.is_torn() {
            return Ok(());
        }
        let found = self.mark.get().copied().unwrap_or_else(|| self.find_mark());
        match self.len_now() {
            Some(now) if now < self.id.len => shrank(now),
            now if self.is_torn() || known.is_some() => shrank(now.unwrap_or(0)),
            now => {
                // It was whole when the mark had been found. Of a file that is gone nobody knows.
                if now.is_some() {
                    self.mark.get_or_init(|| found);
                }
                Ok(())
            }
        }
    }

    /// Offset of the last non-zero byte in the last page.
    fn find_mark(&self) -> Option<usize> {
        let last = self.last_page();
        let at = self.bytes[last..].iter().rposition(|byte| *byte != 0)?;
        Some(last + at)
    }

    /// A byte as it is now, after all that was read before.
    fn byte_now(&self, at: usize) -> u8 {
        fence(Ordering::Acquire);
        // SAFETY: a reference to a byte of the mapping is good for reads of it.
        unsafe { std::ptr::read_volatile(&self.bytes[at]) }
    }

    /// Bytes of the file now; `None` where it cannot be found any more.
    fn len_now(&self) -> Option<u64> {
        match &self.kept {
            Some(Kept(file)) => rustix::fs::fstat(file).ok().and_then(|now| now.st_size.try_into().ok()),
            None => {
                let now = std::fs::metadata(&self.path).ok().map(|m| FileId::of(&m))?;
                now.same_inode(&self.id).then_some(now.len)
            }
        }
    }
}

/// One registered mapping. `start` is 0 while the slot is free.
#[derive(Debug)]
struct Slot {
    start: AtomicUsize,
    len: AtomicUsize,
    torn: AtomicBool,
}

const CHUNK: usize = 1024;

struct Chunk {
    slots: [Slot; CHUNK],
    next: AtomicPtr<Chunk>,
}

static FIRST: AtomicPtr<Chunk> = AtomicPtr::new(std::ptr::null_mut());
/// Free slots, for whoever maps; the handler never looks here.
static FREE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

impl Slot {
    fn acquire(start: usize, len: usize) -> &'static Slot {
        let mut free = FREE.lock().unwrap_or_else(|e| e.into_inner());
        let slot = match free.pop() {
            Some(slot) => slot,
            None => {
                let chunk: &'static Chunk = Box::leak(Box::new(Chunk {
                    slots: [const {
                        Slot {
                            start: AtomicUsize::new(0),
                            len: AtomicUsize::new(0),
                            torn: AtomicBool::new(false),
                        }
                    }; CHUNK],
                    next: AtomicPtr::new(FIRST.load(Ordering::Acquire)),
                }));
                FIRST.store(std::ptr::from_ref(chunk).cast_mut(), Ordering::Release);
                free.extend(chunk.slots[1..].iter());
                &chunk.slots[0]
            }
        };
        slot.torn.store(false, Ordering::Release);
        slot.len.store(len, Ordering::Release);
        slot.start.store(start, Ordering::Release);
        slot
    }

    fn release(&'static self) {
        self.start.store(0, Ordering::SeqCst);
        FREE.lock().unwrap_or_else(|e| e.into_inner()).push(self);
    }

    /// Start and length, where they belong together and hold `address`.
    fn range_of(&self, address: usize) -> Option<(usize, usize)> {
        let start = self.start.load(Ordering::Acquire);
        let len = self.len.load(Ordering::Acquire);
        let again = self.start.load(Ordering::Acquire);
        (start != 0 && start == again && address >= start && address - start < len).then_some((start, len))
    }
}

/// The slot that holds an address, with its range. Async-signal-safe.
fn find(address: usize) -> Option<(&'static Slot, usize, usize)> {
    let mut chunk = FIRST.load(Ordering::Acquire);
    // SAFETY: chunks are leaked, so every non-null pointer in the list stays valid and shared for ever.
    while let Some(c) = unsafe { chunk.as_ref() } {
        for slot in &c.slots {
            if let Some((start, len)) = slot.range_of(address) {
                return Some((slot, start, len));
            }
        }
        chunk = c.next.load(Ordering::Acquire);
    }
    None
}

static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());
static PAGE: AtomicUsize = AtomicUsize::new(0);

fn install_handler() -> Result<(), std::io::Error> {
    static INSTALLED: OnceLock<Option<i32>> = OnceLock::new();
    let failed = INSTALLED.get_or_init(|| {
        // SAFETY: plain system calls on zeroed structures of the right type. The previous action is published
        // before ours is installed, so that the handler always finds it.
        unsafe {
            PAGE.store(libc::sysconf(libc::_SC_PAGESIZE).max(4096) as usize, Ordering::Release);
            let mut previous: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(libc::SIGBUS, std::ptr::null(), &mut previous) != 0 {
                return std::io::Error::last_os_error().raw_os_error();
            }
            PREVIOUS.store(Box::into_raw(Box::new(previous)), Ordering::Release);
            let mut ours: libc::sigaction = std::mem::zeroed();
            ours.sa_sigaction = on_sigbus as *const () as usize;
            ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigemptyset(&mut ours.sa_mask);
            if libc::sigaction(libc::SIGBUS, &ours, std::ptr::null_mut()) != 0 {
                return std::io::Error::last_os_error().raw_os_error();
            }
        }
        None
    });
    failed.map_or(Ok(()), |code| Err(std::io::Error::from_raw_os_error(code)))
}

extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo for SA_SIGINFO handlers; `__errno_location` is this thread's.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        // A signal that somebody sent (code <= 0) carries no address.
        if (*info).si_code > 0 && cover((*info).si_addr() as usize) {
            *errno = saved;
            return;
        }
        *errno = saved;
        chain(signal, info, context);
    }
}

/// Puts zero pages over the mapping that holds `address`, from its page to the end. False where none does.
fn cover(address: usize) -> bool {
    let page = PAGE.load(Ordering::Acquire);
    let Some((slot, start, len)) = find(address) else { return false };
    let from = address & !(page - 1);
    let to = (start + len).next_multiple_of(page);
    slot.torn.store(true, Ordering::Release);
    // SAFETY: `from..to` are whole pages of one registered mapping that the faulting thread keeps alive
    // (mappings start on a page). Replacing them by private zero pages keeps every address readable.
    let covered = unsafe {
        libc::mmap(
            from as *mut libc::c_void,
            to - from,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    covered != libc::MAP_FAILED
}

/// Hands a signal that is not ours to whoever was there before.
///
/// # Safety
/// Only from a SIGBUS handler, with the arguments the kernel gave.
unsafe fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: `PREVIOUS` was filled from `sigaction` before our handler was installed and is never freed; a
    // handler in it has the signature its flags say.
    unsafe {
        let previous = PREVIOUS.load(Ordering::Acquire).as_ref();
        match previous.map(|p| (p.sa_sigaction, p.sa_flags)) {
            Some((handler, flags)) if handler != libc::SIG_DFL && handler != libc::SIG_IGN => {
                if flags & libc::SA_SIGINFO != 0 {
                    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                        std::mem::transmute(handler);
                    handler(signal, info, context);
                } else {
                    let handler: extern "C" fn(libc::c_int) = std::mem::transmute(handler);
                    handler(signal);
                }
            }
            Some((handler, _)) if handler == libc::SIG_IGN && (*info).si_code <= 0 => {}
            _ => {
                // Default: on return the access faults again (or the signal is raised again) and kills.
                let mut default: libc::sigaction = std::mem::zeroed();
                default.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &default, std::ptr::null_mut());
                if (*info).si_code <= 0 {
                    libc::raise(signal);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
