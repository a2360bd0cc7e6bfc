//! Splayed tables that are read column by column when they are asked for.

use std::{any::Any, sync::Arc};

use super::{
    domains::{Domains, OnDisk},
    image, path,
};
use crate::{
    QError, R,
    host::Files,
    value::{Mapped, Sym, Table, Value},
};

/// A folder of columns.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    /// where it is
    pub(super) path: String,
    /// what q shows: `./t`
    pub(super) shown: String,
    pub(super) files: Arc<dyn Files>,
    pub(super) domains: Arc<Domains>,
}

impl Folder {
    /// A column's value.
    pub(super) fn column(&self, name: Sym) -> R {
        self.with(name, |bytes, beside| image::read(&bytes.map()?, beside))
    }

    /// Rows of a column.
    pub(super) fn rows(&self, name: Sym) -> R<usize> {
        self.with(name, |bytes, beside| match image::rows_of(&bytes.head()?, bytes.len()?)? {
            Some(n) => Ok(n),
            None => Ok(image::read(&bytes.map()?, beside)?.count()),
        })
    }

    fn with<T>(&self, name: Sym, read: impl FnOnce(&File<'_>, &OnDisk<'_>) -> R<T>) -> R<T> {
        let text = name.text();
        let leaf = path::plain(&text)?;
        let file = path::join(&self.path, leaf);
        let shown = path::join(&self.shown, leaf);
        let beside = OnDisk { path: &file, shown: &shown, files: &*self.files, domains: Some(&self.domains) };
        read(&File { path: &file, files: &*self.files }, &beside).map_err(|e| {
            // q names files as it was told of them.
            if e.is_trappable() { QError::new(e.text().replacen(&file, &shown, 1)) } else { e }
        })
    }
}

struct File<'a> {
    path: &'a str,
    files: &'a dyn Files,
}

impl File<'_> {
    fn map(&self) -> R<bytes::Bytes> {
        self.files.map(self.path)
    }

    fn head(&self) -> R<bytes::Bytes> {
        Ok(self.files.head(self.path, image::PAGE)?.0)
    }

    fn len(&self) -> R<u64> {
        Ok(self.files.head(self.path, 0)?.1)
    }
}

/// A splayed table.
#[derive(Debug)]
pub(super) struct Splayed {
    pub(super) folder: Folder,
    pub(super) names: Vec<Sym>,
}

impl Mapped for Splayed {
    fn name(&self) -> Sym {
        Sym::new(format!(":{}/", self.folder.shown))
    }

    fn names(&self) -> Vec<Sym> {
        self.names.clone()
    }

    fn len(&self) -> R<usize> {
        self.names.first().map_or(Ok(0), |first| self.folder.rows(*first))
    }

    fn column(&self, name: Sym) -> R {
        if !self.names.contains(&name) {
            return Err(QError::new(name.text()));
        }
        self.folder.column(name)
    }

    fn load(&self) -> R {
        let columns = self.names.iter().map(|n| self.folder.column(*n)).collect::<R<Vec<_>>>()?;
        Ok(Value::table(Table::new(self.names.clone(), columns)?))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
