//! Enumeration domains: found by the name in a column's file, read once, read again when the file is replaced.
//!
//! Rules: a domain grown at the end keeps its generation, since codes of the shorter domain stay right; a replaced
//! domain gets a new generation. Readers of several columns pin the domains, so that one enumeration serves all
//! columns. Domains are held on the heap, one copy per database. Tests: `tests/layouts.rs`, `tests/hostile.rs`,
//! `tests/changes.rs`.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use ahash::HashMap;
use bytes::Bytes;
use kvalue::{Codes, Domain, ShapeError, Sym, Symbols};

use crate::{
    BlockCache, HdbError,
    format::{image::Image, symbols},
    map::FileId,
};

/// Closing any descriptor of a file drops this process's POSIX locks on it: readers of domain files keep out
/// while a save in the same process holds the lock.
pub(crate) static DOMAIN_FILES: RwLock<()> = RwLock::new(());

/// Longest enumeration file that is read.
pub(crate) const MAX_DOMAIN_BYTES: u64 = 4 << 30;

/// What the domain name of a column leads to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// an enumeration
    Symbols(Enumeration),
    /// a table: the column holds its row numbers
    Table,
}

/// An enumeration as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Enumeration {
    pub(crate) domain: Arc<Domain>,
    /// grows where the file was replaced by one that does not begin with the same names
    pub(crate) generation: u64,
}

/// The domains of one database.
#[derive(Debug)]
pub(crate) struct Domains {
    root: PathBuf,
    cache: Arc<BlockCache>,
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Debug)]
struct Known {
    target: Target,
    /// the file that was read, and whether a later change of it would show; `None` of a table
    file: Option<(FileId, bool)>,
    /// bytes of the names, to tell growth from replacement
    names: Bytes,
}

/// The domains that one reader of a table uses.
#[derive(Debug)]
pub(crate) struct Pinned<'a> {
    domains: &'a Domains,
    targets: &'a PinnedTargets,
}

/// Domains by name, as a reader met them first.
#[derive(Debug, Default)]
pub(crate) struct PinnedTargets(Mutex<HashMap<String, Target>>);

impl Domains {
    pub(crate) fn new(root: &Path, cache: Arc<BlockCache>) -> Self {
        Domains { root: root.into(), cache, known: Mutex::default() }
    }

    /// A reader's view, kept in `targets`.
    pub(crate) fn pinned<'a>(&'a self, targets: &'a PinnedTargets) -> Pinned<'a> {
        Pinned { domains: self, targets }
    }

    /// The domain that `column` names, as it is on disk now. One whose file is gone stays as it was.
    fn now(&self, name: &str, column: &Path) -> Result<Target, HdbError> {
        let path = self.root.join(symbols::leaf(column, name.as_bytes())?);
        let now = std::fs::metadata(&path);
        if let Some(known) = self.lock().get(name) {
            let same = match (&now, known.file) {
                (Ok(now), Some((id, settled))) => settled && id == FileId::of(now),
                (Ok(now), None) => now.is_dir(),
                (Err(e), _) => e.kind() == std::io::ErrorKind::NotFound,
            };
            if same {
                return Ok(known.target.clone());
            }
        }
        let is_dir = match now {
            Ok(meta) => meta.is_dir(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(HdbError::DomainMissing {
                    column: column.into(),
                    domain: name.into(),
                    file: path,
                });
            }
            Err(e) => return Err(HdbError::io("examine", &path)(e)),
        };
        self.load(name, &path, is_dir)
    }

    fn load(&self, name: &str, path: &Path, is_dir: bool) -> Result<Target, HdbError> {
        const TRIES: usize = 3;
        if is_dir {
            let known = Known { target: Target::Table, file: None, names: Bytes::new() };
            self.lock().insert(name.into(), known);
            return Ok(Target::Table);
        }
        let mut tries = 0;
        let (file, names) = loop {
            tries += 1;
            match self.read(path) {
                Ok(found) => break found,
                // Somebody may be appending right now: the last name is there in a moment.
                Err(HdbError::Corrupt { .. }) if tries < TRIES => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(e) => return Err(e),
            }
        };
        let bytes = names.to_wire();
        let mut known = self.lock();
        let generation = match known.get(name) {
            Some(Known { target: Target::Symbols(old), names: before, .. }) => {
                if bytes == *before {
                    // Written anew with the same names: what hangs on the domain stays good.
                    let target = Target::Symbols(old.clone());
                    known.insert(
                        name.into(),
                        Known { target: target.clone(), file: Some(file), names: bytes },
                    );
                    return Ok(target);
                }
                old.generation + u64::from(!bytes.starts_with(before))
            }
            Some(_) => 1,
            None => 0,
        };
        let domain = Arc::new(Domain::new(Sym::new(name), &names));
        let target = Target::Symbols(Enumeration { domain, generation });
        known.insert(name.into(), Known { target: target.clone(), file: Some(file), names: bytes });
        Ok(target)
    }

    fn read(&self, path: &Path) -> Result<((FileId, bool), Symbols), HdbError> {
        let _guard = DOMAIN_FILES.read().unwrap_or_else(PoisonError::into_inner);
        let image = Image::open(path, &self.cache)?;
        if image.len() > MAX_DOMAIN_BYTES {
            return Err(HdbError::TooLarge {
                path: path.into(),
                what: "an enumeration",
                found: image.len(),
                limit: "MAX_DOMAIN_BYTES",
                value: MAX_DOMAIN_BYTES,
            });
        }
        let bytes = Bytes::copy_from_slice(&image.read(0..image.len())?);
        image.check()?;
        Ok(((image.id(), image.is_still(image.id())), symbols::parse(path, &bytes)?))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pinned<'_> {
    /// The domain that `column` names: as this reader met it first.
    pub(crate) fn get(&self, name: &str, column: &Path) -> Result<Target, HdbError> {
        if let Some(target) = self.lock().get(name) {
            return Ok(target.clone());
        }
        let target = self.domains.now(name, column)?;
        Ok(self.lock().entry(name.into()).or_insert(target).clone())
    }

    /// An error where the domain on disk is no longer the one this reader uses, nor one that begins with it.
    pub(crate) fn confirm(&self, name: &str, column: &Path) -> Result<(), HdbError> {
        match (self.get(name, column)?, self.domains.now(name, column)?) {
            (Target::Symbols(pinned), Target::Symbols(now)) if pinned.generation == now.generation => Ok(()),
            (Target::Table, Target::Table) => Ok(()),
            _ => Err(HdbError::Replaced { path: self.domains.root.join(name) }),
        }
    }

    /// The codes as symbols. Codes beyond the domain make it be read again: it may have grown.
    pub(crate) fn symbols(
        &self,
        enumeration: &Enumeration,
        codes: Codes,
        column: &Path,
        first_row: usize,
    ) -> Result<Symbols, HdbError> {
        let domain = &enumeration.domain;
        let name = domain.name().text().into_owned();
        let result = match Symbols::enumerated(domain.clone(), codes.clone()) {
            Err(ShapeError::Enumeration { .. }) => {
                self.confirm(&name, column)?;
                match self.domains.now(&name, column)? {
                    Target::Symbols(longer) => {
                        let found = Symbols::enumerated(longer.domain.clone(), codes);
                        self.lock().insert(name, Target::Symbols(longer));
                        found
                    }
                    Target::Table => Symbols::enumerated(domain.clone(), codes),
                }
            }
            other => other,
        };
        result.map_err(|e| match e {
            ShapeError::Enumeration { index, row, domain, len } => {
                HdbError::Enumeration { column: column.into(), index, row: first_row + row, domain, len }
            }
            other => HdbError::corrupt(column, other.to_string(), "codes of the domain"),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Target>> {
        self.targets.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
