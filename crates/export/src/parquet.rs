//! Tables as Parquet files, snappy-compressed, with the Arrow schema beside Parquet's own.
//!
//! Parquet has no type for durations: durations are written as INT64, with the unit in the Arrow schema and `q.type`.

use std::io::Write;

use ::parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
use kvalue::Value;

use crate::{ExportError, Loss, arrow::batches};

/// Writes a Parquet file. Every value is looked at before the first byte is written.
pub fn write(payload: &Value, loss: Loss, out: &mut dyn Write) -> Result<(), ExportError> {
    let batches = batches(payload, loss)?;
    let library = |e: ::parquet::errors::ParquetError| ExportError::Library(e.to_string());
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    // The writer needs an owned sink that may move to another thread; the bytes are few enough to hold.
    let mut file = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut file, batches[0].schema(), Some(properties)).map_err(library)?;
    for batch in &batches {
        writer.write(batch).map_err(library)?;
    }
    writer.close().map_err(library)?;
    Ok(out.write_all(&file)?)
}
