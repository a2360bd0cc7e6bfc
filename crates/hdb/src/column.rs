//! One column file, opened: rows, type, and the values of a range of rows.
//!
//! Rule: only the rows asked for are touched; what is uncompressed shares the mapping. Tests:
//! `tests/vectors.rs`, `tests/real.rs`.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use kvalue::{Attr, Buf, Codes, Domain, Sym, Symbols, Type, Value, Vector};

use crate::{
    BlockCache, HdbError, Landmarks, PartIndex,
    domain::{Enumeration, Pinned, Target},
    format::{
        anymap::{self, Heap, Names},
        header::{self, Header, Shape},
        image::Image,
        nested, part, symbols,
    },
    landmarks::KnownRuns,
    map::FileId,
    schema::ColumnType,
};

/// Longest serialised object that is read as a column or table.
pub(crate) const MAX_SERIALISED: u64 = 1 << 30;

/// A column file with its companions.
#[derive(Debug)]
pub(crate) struct Column {
    image: Image,
    header: Header,
    /// `name#` of a nested column
    heap: Option<Image>,
    /// the object of a serialised column
    object: Option<Value>,
    /// `name##`, read when a symbol is met, and its file as it was when the column was opened
    heap_symbols: OnceLock<Arc<Domain>>,
    symbols_file: Option<FileId>,
    /// the index in the file, where there is one
    index: Option<(part::Layout, u64)>,
    /// by the generation of the domain it was found in
    parted: Mutex<Option<(u64, Option<Arc<PartIndex>>)>>,
    /// which runs of rows ascend, as far as somebody asked
    ascending: Mutex<KnownRuns>,
    cache: Arc<BlockCache>,
}

/// The file at a path now.
fn id_now(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|meta| FileId::of(&meta))
}

fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl Column {
    pub(crate) fn open(path: &Path, cache: &Arc<BlockCache>) -> Result<Self, HdbError> {
        let image = Image::open(path, cache)?;
        let mut header = header::read(&image)?;
        let (mut heap, mut symbols_file, mut object, mut index) = (None, None, None, None);
        match header.shape {
            Shape::Nested(_) | Shape::AnyMap => {
                heap = Some(Image::open(&companion(path, "#"), cache)?);
                symbols_file = id_now(&companion(path, "##"));
            }
            Shape::Serialised => {
                let value = serialised(&image)?;
                if !matches!(value, Value::Vector(_) | Value::List(_)) {
                    return Err(HdbError::corrupt(path, format!("a {}", value.type_name()), "a list"));
                }
                header.rows = value.count() as u64;
                object = Some(value);
            }
            Shape::Fixed(_) | Shape::Enum { .. } => {}
        }
        if part::has_index(&header) {
            index = Some(part::check(&image, &header)?);
        }
        Ok(Column {
            image,
            header,
            heap,
            object,
            heap_symbols: OnceLock::new(),
            symbols_file,
            index,
            parted: Mutex::default(),
            ascending: Mutex::default(),
            cache: cache.clone(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.image.path()
    }

    /// True while none of the column's files is another one than when it was opened; `now` is that of the main one.
    pub(crate) fn is_still(&self, now: FileId) -> bool {
        let heap =
            |heap: &Image| heap.is_current() && self.symbols_file == id_now(&companion(self.path(), "##"));
        self.image.is_still(now) && self.heap.as_ref().is_none_or(heap)
    }

    /// True where both were opened of one state of one file.
    pub(crate) fn is_same_file(&self, other: &Column) -> bool {
        self.image.id() == other.image.id()
    }

    pub(crate) fn rows(&self) -> usize {
        self.header.rows as usize
    }

    /// True for `()`, which is an empty column of whatever type.
    pub(crate) fn is_untyped(&self) -> bool {
        self.object.as_ref().is_some_and(|o| matches!(o, Value::List(l) if l.is_empty()))
    }

    pub(crate) fn attr(&self) -> Attr {
        match &self.object {
            Some(Value::Vector(v)) => v.attr(),
            _ => self.header.attr,
        }
    }

    /// The domain an enumerated column names.
    pub(crate) fn domain(&self) -> Option<&str> {
        match &self.header.shape {
            Shape::Enum { domain, .. } => Some(domain),
            _ => None,
        }
    }

    /// Type of the rows; of any-typed columns as the first row has it.
    pub(crate) fn ty(&self, domains: &Pinned<'_>) -> Result<ColumnType, HdbError> {
        Ok(match &self.header.shape {
            Shape::Fixed(ty) => ColumnType::Basic(*ty),
            Shape::Nested(ty) => ColumnType::Nested(*ty),
            Shape::Enum { domain, width } => match domains.get(domain, self.path())? {
                Target::Symbols(_) => ColumnType::Basic(Type::Symbol),
                Target::Table => ColumnType::Basic(link_type(*width)),
            },
            Shape::AnyMap => ColumnType::of(&self.read(0..self.rows().min(1), domains)?),
            Shape::Serialised => self.object.as_ref().map_or(ColumnType::Any, ColumnType::of),
        })
    }

    /// The values of `rows`, which must lie within [`Self::rows`].
    pub(crate) fn read(&self, rows: Range<usize>, domains: &Pinned<'_>) -> Result<Value, HdbError> {
        let bytes = |header: &Header| self.image.read(header.bytes_of(&rows));
        let shape = |e: kvalue::ShapeError| HdbError::corrupt(self.path(), e.to_string(), "whole elements");
        let whole = rows.len() == self.rows();
        match (&self.header.shape, &self.heap, &self.object) {
            (Shape::Fixed(ty), ..) => {
                let vector = Vector::fixed(*ty, bytes(&self.header)?).map_err(shape)?;
                Ok(Value::Vector(vector.with_attr(claimed(self.header.attr, whole))))
            }
            (Shape::Enum { domain, width }, ..) => match domains.get(domain, self.path())? {
                Target::Symbols(domain) => {
                    let codes = self.codes(&rows)?;
                    let symbols = domains.symbols(&domain, codes, self.path(), rows.start)?;
                    Ok(Value::Vector(Vector::symbols(symbols).with_attr(claimed(self.header.attr, whole))))
                }
                Target::Table => {
                    let vector = Vector::fixed(link_type(*width), bytes(&self.header)?).map_err(shape)?;
                    Ok(Value::Vector(vector))
                }
            },
            (Shape::Nested(ty), Some(data), _) => nested::read(&self.image, &self.header, data, *ty, rows),
            (Shape::AnyMap, Some(data), _) => {
                let references = self.image.read(anymap::reference_bytes(self.header.start, &rows))?;
                if references.is_empty() {
                    return Ok(Value::list([]));
                }
                let names = ColumnNames { column: self, domains };
                Heap::new(data, &names)?.list(&references)
            }
            (Shape::Serialised, _, Some(object)) => Ok(object.slice(rows)),
            (Shape::Nested(_) | Shape::AnyMap | Shape::Serialised, ..) => {
                Err(HdbError::corrupt(self.path(), "a column without its companion", "both files"))
            }
        }
    }

    fn codes(&self, rows: &Range<usize>) -> Result<Codes, HdbError> {
        let bytes = self.image.read(self.header.bytes_of(rows))?;
        let shape = |e: kvalue::ShapeError| HdbError::corrupt(self.path(), e.to_string(), "whole codes");
        Ok(match self.header.width {
            4 => Codes::I32(Buf::new(bytes).map_err(shape)?),
            _ => Codes::I64(Buf::new(bytes).map_err(shape)?),
        })
    }

    /// Rows of each symbol, where the column is enumerated and marked parted or sorted, and truly is.
    pub(crate) fn parted(&self, domains: &Pinned<'_>) -> Result<Option<Arc<PartIndex>>, HdbError> {
        let Shape::Enum { domain, .. } = &self.header.shape else { return Ok(None) };
        if !matches!(self.header.attr, Attr::Parted | Attr::Sorted) {
            return Ok(None);
        }
        let Target::Symbols(found) = domains.get(domain, self.path())? else { return Ok(None) };
        let Enumeration { generation, .. } = found;
        let lock = || self.parted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, known)) = &*lock()
            && *of == generation
        {
            return Ok(known.clone());
        }
        let codes = self.codes(&(0..self.rows()))?;
        let symbols = domains.symbols(&found, codes.clone(), self.path(), 0)?;
        let domain = symbols.as_enumerated().map_or(found.domain, |(d, _)| d.clone());
        let found = PartIndex::scan(domain, &codes);
        if found.is_none() {
            tracing::warn!(
                column = %self.path().display(),
                attribute = self.header.attr.letter(),
                "equal symbols are not neighbours though the attribute says so; it is not used"
            );
        }
        self.compare_stored(found.as_ref())?;
        self.check()?;
        let found = found.map(Arc::new);
        *lock() = Some((generation, found.clone()));
        Ok(found)
    }

    /// Landmarks of `rows` where their values ascend, `None` where not: looked at once, then known. Only of whole
    /// numbers.
    ///
    /// Within one symbol of a parted column a database's times ascend, though nothing in its files says so.
    pub(crate) fn ascending(
        &self,
        rows: &Range<usize>,
        domains: &Pinned<'_>,
    ) -> Result<Option<Landmarks>, HdbError> {
        if !matches!(self.header.shape, Shape::Fixed(_)) {
            return Ok(None);
        }
        let lock = || self.ascending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().runs.get(rows) {
            return Ok(known.clone());
        }
        let value = self.read(rows.clone(), domains)?;
        let found = value.as_vector().and_then(Landmarks::of);
        self.check()?;
        lock().insert(rows.clone(), found.clone());
        Ok(found)
    }

    /// Says so where the index in the file is not that of the data: q would give wrong rows for it.
    fn compare_stored(&self, found: Option<&PartIndex>) -> Result<(), HdbError> {
        let (Some(index), Some(found)) = (self.index, found) else { return Ok(()) };
        let stored = part::stored(&self.image, &self.header, index)?;
        let normal = |code: i64| if code < 0 { -1 } else { code };
        let same = stored.is_some_and(|s| {
            s.len() == found.len()
                && s.iter().zip(found.parts()).all(|(a, b)| (normal(a.0), &a.1) == (b.0, &b.1))
        });
        if !same {
            tracing::warn!(
                column = %self.path().display(),
                "the parted index in the file contradicts the data; one built from the data is used"
            );
        }
        Ok(())
    }

    /// An error where one of the column's files shrank while it was open.
    pub(crate) fn check(&self) -> Result<(), HdbError> {
        self.image.check()?;
        self.heap.as_ref().map_or(Ok(()), Image::check)
    }
}

/// An attribute that surely holds for a part of the column too. Sorted and parted do; the others are about
/// an index that is not carried.
fn claimed(attr: Attr, whole: bool) -> Attr {
    match attr {
        Attr::Sorted | Attr::Parted => attr,
        Attr::Unique if whole => attr,
        _ => Attr::None,
    }
}

fn link_type(width: u64) -> Type {
    if width == 4 { Type::Int } else { Type::Long }
}

/// Decodes the object of a serialised file (`ff 01`).
pub(crate) fn serialised(image: &Image) -> Result<Value, HdbError> {
    if image.len() > MAX_SERIALISED {
        return Err(HdbError::TooLarge {
            path: image.path().into(),
            what: "a serialised object",
            found: image.len(),
            limit: "MAX_SERIALISED",
            value: MAX_SERIALISED,
        });
    }
    let bytes = image.read(0..image.len())?;
    // On the heap: the object lives on in values that are checked once, here.
    let object = bytes::Bytes::copy_from_slice(bytes.get(2..).unwrap_or_default());
    image.check()?;
    qipc::decode(object, &qipc::Limits::default())
        .map_err(|e| HdbError::corrupt(image.path(), e.to_string(), "one serialised q object"))
}

struct ColumnNames<'a> {
    column: &'a Column,
    domains: &'a Pinned<'a>,
}

impl Names for ColumnNames<'_> {
    fn symbols(&self) -> Result<Arc<Domain>, HdbError> {
        if let Some(known) = self.column.heap_symbols.get() {
            return Ok(known.clone());
        }
        let path = companion(self.column.path(), "##");
        let image = Image::open(&path, &self.column.cache)?;
        let bytes = bytes::Bytes::copy_from_slice(&image.read(0..image.len())?);
        image.check()?;
        let names = symbols::parse(&path, &bytes)?;
        let domain = Arc::new(Domain::new(Sym::new("##"), &names));
        Ok(self.column.heap_symbols.get_or_init(|| domain).clone())
    }

    fn enumerated(&self, domain: &[u8], codes: Codes) -> Result<Symbols, HdbError> {
        let path = self.column.path();
        match self.domains.get(symbols::leaf(path, domain)?, path)? {
            Target::Symbols(domain) => self.domains.symbols(&domain, codes, path, 0),
            Target::Table => Err(HdbError::Unsupported {
                path: path.into(),
                what: "links to a table inside nested values".into(),
                next: "save the column without the links",
            }),
        }
    }
}
