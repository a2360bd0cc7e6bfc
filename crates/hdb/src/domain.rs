//! Enumeration domains: found by the name in a column's file, read once, read again when they have grown.
//!
//! Rule: a domain only ever grows at its end, so codes read under a shorter one stay right under a longer
//! one. Domains are held on the heap, one copy per database. Tests: `tests/layouts.rs`, `tests/hostile.rs`.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use ahash::HashMap;
use bytes::Bytes;
use kvalue::{Codes, Domain, ShapeError, Sym, Symbols};

use crate::{
    BlockCache, HdbError,
    format::{image::Image, symbols},
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
    Symbols(Arc<Domain>),
    /// a table: the column holds its row numbers
    Table,
}

/// The domains of one database.
#[derive(Debug)]
pub(crate) struct Domains {
    root: PathBuf,
    cache: Arc<BlockCache>,
    known: Mutex<HashMap<String, (u64, Target)>>,
}

impl Domains {
    pub(crate) fn new(root: &Path, cache: Arc<BlockCache>) -> Self {
        Domains { root: root.into(), cache, known: Mutex::default() }
    }

    /// The domain that `column` names.
    pub(crate) fn get(&self, name: &str, column: &Path) -> Result<Target, HdbError> {
        if let Some((_, target)) = self.lock().get(name) {
            return Ok(target.clone());
        }
        let (len, target) = self.load(name, column)?;
        self.lock().insert(name.into(), (len, target.clone()));
        Ok(target)
    }

    /// The codes as symbols. Codes beyond the domain make it be read again: it may have grown.
    pub(crate) fn symbols(
        &self,
        domain: &Arc<Domain>,
        codes: Codes,
        column: &Path,
        first_row: usize,
    ) -> Result<Symbols, HdbError> {
        let name = domain.name().text().into_owned();
        let result = match Symbols::enumerated(domain.clone(), codes.clone()) {
            Err(ShapeError::Enumeration { .. }) => match self.refreshed(&name, column)? {
                Target::Symbols(longer) => Symbols::enumerated(longer, codes),
                Target::Table => Symbols::enumerated(domain.clone(), codes),
            },
            other => other,
        };
        result.map_err(|e| match e {
            ShapeError::Enumeration { index, row, domain, len } => {
                HdbError::Enumeration { column: column.into(), index, row: first_row + row, domain, len }
            }
            other => HdbError::corrupt(column, other.to_string(), "codes of the domain"),
        })
    }

    /// Reads domains again whose files have changed in size.
    pub(crate) fn refresh(&self) {
        let names: Vec<String> = self.lock().keys().cloned().collect();
        for name in names {
            if let Err(error) = self.refreshed(&name, &self.root) {
                tracing::warn!(domain = name, %error, "enumeration not reloaded; the one in memory stays");
            }
        }
    }

    fn refreshed(&self, name: &str, column: &Path) -> Result<Target, HdbError> {
        let now = std::fs::metadata(self.root.join(name)).map(|m| m.len()).ok();
        if let Some((len, target)) = self.lock().get(name)
            && now.is_none_or(|now| now == *len)
        {
            return Ok(target.clone());
        }
        let (len, target) = self.load(name, column)?;
        self.lock().insert(name.into(), (len, target.clone()));
        Ok(target)
    }

    fn load(&self, name: &str, column: &Path) -> Result<(u64, Target), HdbError> {
        const TRIES: usize = 3;
        let path = self.root.join(symbols::leaf(column, name.as_bytes())?);
        let meta = match std::fs::metadata(&path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(HdbError::DomainMissing {
                    column: column.into(),
                    domain: name.into(),
                    file: path,
                });
            }
            Err(e) => return Err(HdbError::io("examine", &path)(e)),
        };
        if meta.is_dir() {
            return Ok((0, Target::Table));
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.read(&path) {
                Ok((len, names)) => {
                    let domain = Domain::new(Sym::new(name), &names);
                    return Ok((len, Target::Symbols(Arc::new(domain))));
                }
                // Somebody may be appending right now: the last name is there in a moment.
                Err(HdbError::Corrupt { .. }) if tries < TRIES => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn read(&self, path: &Path) -> Result<(u64, Symbols), HdbError> {
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
        Ok((image.id().len(), symbols::parse(path, &bytes)?))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (u64, Target)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
