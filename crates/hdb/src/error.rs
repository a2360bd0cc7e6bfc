//! What can be wrong with a database on disk, each with the file, what was found, what was expected and the
//! next step.
//!
//! Rule: a bad file costs the query that touches it an error, never the process. Tests: `tests/hostile.rs`.

use std::path::{Path, PathBuf};

/// An error of reading or writing a database.
#[derive(Debug, thiserror::Error)]
pub enum HdbError {
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}; check that it exists and that this process may {doing} it", path.display())]
    Io {
        /// What was being done, as a verb: `open`, `map`, `write`.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The root is no directory.
    #[error("{} is no database: {found}; {next}", path.display())]
    NotADatabase {
        /// What was to be opened.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What to do.
        next: String,
    },
    /// The root is a part of a database.
    #[error("{} is {what}, not a database: {why}; give {}", path.display(), whole.display())]
    PartOfADatabase {
        /// What was to be opened.
        path: PathBuf,
        /// Which part.
        what: &'static str,
        /// What would be wrong in the answers.
        why: &'static str,
        /// The directory of the database.
        whole: PathBuf,
    },
    /// A file's content contradicts its format.
    #[error("{} is corrupt: found {found}, expected {expected}; restore the file from a good copy", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// A form of file that is not read here.
    #[error("{} holds {what}, which is not supported; {next}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The form.
        what: String,
        /// What to do about it.
        next: &'static str,
    },
    /// An encrypted container.
    #[error("{} is encrypted: its key and block layout are known to kdb+ only; write an unencrypted copy with kdb+ and serve that", path.display())]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// A name read from a file that would lead out of its directory.
    #[error("{} names {name:?}, which is no plain file name; expected a name without path separators", path.display())]
    UnsafeName {
        /// The file that holds the name.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// A column that `.d` lists has no file.
    #[error("column {column} of {} has no file though .d lists it; restore the file or remove the name from .d", table.display())]
    ColumnFileMissing {
        /// Directory of the table.
        table: PathBuf,
        /// The column.
        column: String,
    },
    /// The domain of an enumerated column has no file.
    #[error("{} is enumerated over {domain}, but {} does not exist; restore the enumeration file into the database root", column.display(), file.display())]
    DomainMissing {
        /// The column's file.
        column: PathBuf,
        /// Name of the domain.
        domain: String,
        /// Where its file should be.
        file: PathBuf,
    },
    /// An index beyond its domain.
    #[error("{} holds index {index} at row {row}, outside the enumeration {domain} of {len} names; the enumeration file is older than the column, restore a matching one", column.display())]
    Enumeration {
        /// The column's file.
        column: PathBuf,
        /// The index found.
        index: i64,
        /// Its row.
        row: usize,
        /// Name of the domain.
        domain: String,
        /// Names in the domain.
        len: usize,
    },
    /// Columns of one table differ in length.
    #[error("length: {} has {rows} rows where column {other} of the same table has {expected}; a write was torn, restore the table or cut its columns to one length", column.display())]
    Length {
        /// The column's file.
        column: PathBuf,
        /// Its rows.
        rows: usize,
        /// The column it was compared with.
        other: String,
        /// That column's rows.
        expected: usize,
    },
    /// A file became shorter while it was mapped.
    #[error("{} shrank from {mapped} to {now} bytes while it was read; replace files by writing new ones and renaming them, then reload", path.display())]
    FileShrank {
        /// The file.
        path: PathBuf,
        /// Bytes when it was mapped.
        mapped: u64,
        /// Bytes now.
        now: u64,
    },
    /// A table's directory vanished after the snapshot was taken.
    #[error("{} was removed while in use; reload the database and ask again", path.display())]
    PartitionGone {
        /// The directory.
        path: PathBuf,
    },
    /// A table's directory was replaced while a query read it.
    #[error("{} was replaced by another directory while in use; ask again to read the new one", path.display())]
    Replaced {
        /// The directory.
        path: PathBuf,
    },
    /// Directories of two kinds of partition in one database.
    #[error("{} holds partitions of two kinds, {first} and {second}; a database has one kind, move the others out", path.display())]
    MixedPartitions {
        /// The database root.
        path: PathBuf,
        /// Name of one partition.
        first: String,
        /// Name of one of another kind.
        second: String,
    },
    /// A table that the database does not have.
    #[error("no table {table} in {}; it has {known}", path.display())]
    UnknownTable {
        /// The database root.
        path: PathBuf,
        /// The name asked for.
        table: String,
        /// The tables there are.
        known: String,
    },
    /// A partitioned table asked for without a partition, or the other way round.
    #[error("table {table} is {kind}; {next}")]
    WrongKind {
        /// The table.
        table: String,
        /// Its kind.
        kind: &'static str,
        /// What to do.
        next: &'static str,
    },
    /// A column that the table does not have.
    #[error("no column {column} in table {table}; it has {known}")]
    UnknownColumn {
        /// The table.
        table: String,
        /// The name asked for.
        column: String,
        /// The columns there are.
        known: String,
    },
    /// Rows beyond the end of a column.
    #[error("rows {start}..{end} were asked of {}, which has {rows}", column.display())]
    RowRange {
        /// The column's file.
        column: PathBuf,
        /// First row asked for.
        start: usize,
        /// Row after the last.
        end: usize,
        /// Rows there are.
        rows: usize,
    },
    /// A limit that keeps hostile files from exhausting memory.
    #[error("{} holds {what} of {found}, more than the limit {limit} ({value}); raise the limit if the file is good", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is too large.
        what: &'static str,
        /// Its size.
        found: u64,
        /// Name of the limit.
        limit: &'static str,
        /// Its value.
        value: u64,
    },
    /// A table or partition that is there already.
    #[error("{} exists already; remove it or save with overwrite", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// A table that cannot be saved as asked.
    #[error("cannot save column {column} of table {table}: {reason}")]
    Unsavable {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Why, and what would do.
        reason: String,
    },
}

impl HdbError {
    pub(crate) fn io<'a>(
        doing: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(std::io::Error) -> HdbError + use<'a> {
        move |source| HdbError::Io { doing, path: path.into(), source }
    }

    pub(crate) fn corrupt(path: &Path, found: impl Into<String>, expected: impl Into<String>) -> Self {
        HdbError::Corrupt { path: path.into(), found: found.into(), expected: expected.into() }
    }

    /// True where the cause is a file or directory that is not there.
    pub fn is_not_found(&self) -> bool {
        match self {
            HdbError::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            HdbError::ColumnFileMissing { .. } | HdbError::PartitionGone { .. } => true,
            _ => false,
        }
    }
}
