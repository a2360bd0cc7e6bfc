//! Enumeration domains of a database on disk, for tables that are read without an evaluation: found by the name in
//! a column's file, read once, read again when their files have grown.

use std::sync::{Arc, Mutex, PoisonError};

use ahash::HashMap;
use bytes::Bytes;

use super::{
    image::{self, Beside},
    path, store,
};
use crate::{
    QError, R, convert,
    host::Files,
    value::{Domain, Sym, Value},
};

/// The domains of one database root.
#[derive(Debug)]
pub(super) struct Domains {
    root: String,
    files: Arc<dyn Files>,
    known: Mutex<HashMap<Sym, (u64, Arc<Domain>)>>,
}

impl Domains {
    /// Those below this root.
    pub(super) fn new(root: &str, files: Arc<dyn Files>) -> Domains {
        Domains { root: root.to_owned(), files, known: Mutex::default() }
    }

    /// The domain of this name. One without a file has no list: its indices show as numbers.
    pub(super) fn get(&self, name: Sym) -> R<Arc<Domain>> {
        let text = name.text();
        let file = path::join(&self.root, path::plain(&text)?);
        let size = match self.files.stat(&file)? {
            Some(stat) if !stat.is_dir => stat.size,
            _ => return Ok(Arc::new(Domain { name, list: Value::Nil })),
        };
        if let Some((known, domain)) = self.lock().get(&name)
            && *known == size
        {
            return Ok(domain.clone());
        }
        let bytes = self.files.map(&file)?;
        let beside = OnDisk { path: &file, shown: &text, files: &*self.files, domains: None };
        let value = match bytes.get(..3) {
            Some([0xff, 0x01, ty]) if *ty != 0x0b => {
                let object = qipc::decode(bytes.slice(2..), &qipc::Limits::internal())
                    .map_err(|e| QError::new(format!("{file}: {e}")))?;
                convert::from_kvalue(&object)?
            }
            _ => image::read(&bytes, &beside)?,
        };
        let domain = Arc::new(Domain { name, list: store::domain_list(Some(value)) });
        self.lock().insert(name, (size, domain.clone()));
        Ok(domain)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Sym, (u64, Arc<Domain>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is beside a file of a database.
pub(super) struct OnDisk<'a> {
    /// where the file is
    pub(super) path: &'a str,
    /// what errors call it
    pub(super) shown: &'a str,
    pub(super) files: &'a dyn Files,
    pub(super) domains: Option<&'a Domains>,
}

impl Beside for OnDisk<'_> {
    fn shown(&self) -> &str {
        self.shown
    }

    fn companion(&self, suffix: &str) -> R<Bytes> {
        self.files.map(&format!("{}{suffix}", self.path))
    }

    fn domain(&self, name: Sym) -> R<Arc<Domain>> {
        match self.domains {
            Some(domains) => domains.get(name),
            None => Ok(Arc::new(Domain { name, list: Value::Nil })),
        }
    }
}
