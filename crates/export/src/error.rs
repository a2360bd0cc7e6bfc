//! Why a value could not be written in a format.

/// A failed export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The payload has no columns.
    #[error("the answer is a {0}, not a table: ask for JSON instead")]
    NotATable(&'static str),
    /// One value has no counterpart in the format.
    #[error(
        "column {column}, row {row}: {value} {why}; leave it out by a filter, ask for CSV or JSON, or allow loss (such values become nulls)"
    )]
    Unrepresentable {
        /// Name of the column.
        column: String,
        /// Row, from 0.
        row: usize,
        /// The value as q shows it.
        value: String,
        /// What the format lacks.
        why: &'static str,
    },
    /// Items of a general list have no type in common.
    #[error(
        "column {column}, row {row}: {found} where the rows before hold {expected}; a column of mixed values has no type in this format: leave the column out, or ask for CSV or JSON"
    )]
    Mixed {
        /// Name of the column.
        column: String,
        /// Row, from 0.
        row: usize,
        /// What the row holds.
        found: String,
        /// What was there before.
        expected: String,
    },
    /// Writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The format's library refused.
    #[error("{0}")]
    Library(String),
}

impl ExportError {
    /// True where another format or a filter would do: the request is at fault, not the work.
    pub fn is_of_the_request(&self) -> bool {
        !matches!(self, ExportError::Io(_) | ExportError::Library(_))
    }
}

impl From<arrow_schema::ArrowError> for ExportError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        match error {
            // Kept as it is: a closed pipe is told from other failures by its kind.
            arrow_schema::ArrowError::IoError(_, source) => ExportError::Io(source),
            other => ExportError::Library(other.to_string()),
        }
    }
}
