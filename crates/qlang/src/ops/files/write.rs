//! A value as the bytes of a kdb+ file.
//!
//! Rules: headers carry the true count, which every kdb+ reads right; attributes that would need an index whose form
//! is not known are not written. A file that is written again loses the companions of what was there before.

use kvalue::Attr;
use zerocopy::IntoBytes;

use super::{heap_write::HeapWriter, image::PAGE, image::PAGE_HEADER, part_index, path};
use crate::{
    QError, R, convert,
    ctx::Ctx,
    host::Packing,
    value::{Data, Sym, Value, Vector, names},
};

/// Writes a value to a file.
pub(super) fn save(ctx: &mut dyn Ctx, file: &str, value: &Value, packing: Option<Packing>) -> R<()> {
    let mut heap = None;
    match value {
        Value::Vector(v) => vector(ctx, file, v, packing)?,
        Value::List(l) if !l.is_empty() => {
            let mut writer = HeapWriter::default();
            match l.iter().map(|item| writer.add(item, 0)).collect::<Option<Vec<u64>>>() {
                Some(references) => heap = Some((writer, references)),
                None => serialised(ctx, file, value, packing)?,
            }
        }
        _ => serialised(ctx, file, value, packing)?,
    }
    let companion = |suffix: &str| format!("{file}{suffix}");
    if let Some((writer, references)) = heap {
        let mut header = page(None, 77, Attr::None, references.len());
        header[PAGE_HEADER + 1] = 1;
        ctx.host().write_parts(file, &[&header, references.as_bytes()], packing)?;
        let header = page(None, 4, Attr::None, 0);
        ctx.host().write_parts(&companion("#"), &[&header, &writer.bytes], packing)?;
        if !writer.symbols.is_empty() {
            ctx.host().write_parts(&companion("##"), &[&symbol_file(&writer.symbols)], packing)?;
            return Ok(());
        }
        return remove_if_there(ctx, &companion("##"));
    }
    remove_if_there(ctx, &companion("#"))?;
    remove_if_there(ctx, &companion("##"))
}

fn remove_if_there(ctx: &mut dyn Ctx, file: &str) -> R<()> {
    match ctx.host().files().stat(file)? {
        Some(_) => ctx.host().remove(file),
        None => Ok(()),
    }
}

fn serialised(ctx: &mut dyn Ctx, file: &str, value: &Value, packing: Option<Packing>) -> R<()> {
    let object = qipc::encode(&convert::to_kvalue(value)?).map_err(|e| QError::new(e.to_string()))?;
    ctx.host().write_parts(file, &[&[0xff, 0x01], &object], packing)
}

fn vector(ctx: &mut dyn Ctx, file: &str, v: &Vector, packing: Option<Packing>) -> R<()> {
    let attr = if v.attr == Attr::Sorted { Attr::Sorted } else { Attr::None };
    match &v.data {
        Data::Sym(symbols) => {
            let mut bytes = symbol_file(symbols);
            bytes[3] = v.attr.number();
            ctx.host().write_parts(file, &[&bytes], packing)
        }
        Data::Enum(domain, codes) => {
            let parts = if v.attr == Attr::Parted { part_index::runs(codes) } else { None };
            let attr = if parts.is_some() { Attr::Parted } else { attr };
            let header = page(Some(domain.name), 20, attr, codes.len());
            let end = PAGE + codes.len() * 8;
            let index = parts.map(|p| part_index::bytes(end, codes.len(), &p)).unwrap_or_default();
            ctx.host().write_parts(file, &[&header, codes.as_bytes(), &index], packing)
        }
        data => {
            let mut header = [0; 16];
            header[..4].copy_from_slice(&[0xfe, 0x20, v.ty.number(), attr.number()]);
            header[8..].copy_from_slice(&(v.len() as u64).to_le_bytes());
            ctx.host().write_parts(file, &[&header, raw(data)], packing)
        }
    }
}

/// The elements as they lie in memory; none for symbols, whose numbers mean nothing outside the process.
pub(super) fn raw(data: &Data) -> &[u8] {
    match data {
        Data::Bool(d) => d.as_bytes(),
        Data::Guid(d) => d.as_bytes(),
        Data::U8(d) => d,
        Data::I16(d) => d.as_bytes(),
        Data::I32(d) => d.as_bytes(),
        Data::I64(d) => d.as_bytes(),
        Data::F32(d) => d.as_bytes(),
        Data::F64(d) => d.as_bytes(),
        Data::Enum(_, codes) => codes.as_bytes(),
        Data::Sym(_) => &[],
    }
}

/// The first page of a page-form file.
fn page(name: Option<Sym>, ty: u8, attr: Attr, count: usize) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    page[..2].copy_from_slice(&[0xfd, 0x20]);
    if let Some(name) = name {
        let name = name.bytes();
        let n = name.len().min(PAGE_HEADER - 17);
        page[16..16 + n].copy_from_slice(&name[..n]);
    }
    page[PAGE_HEADER] = 0xfd;
    page[PAGE_HEADER + 2] = ty;
    page[PAGE_HEADER + 3] = attr.number();
    page[PAGE_HEADER + 8..].copy_from_slice(&(count as u64).to_le_bytes());
    page
}

/// The file of a symbol vector.
pub(super) fn symbol_file(symbols: &[Sym]) -> Vec<u8> {
    let mut out = vec![0xff, 0x01, 0x0b, 0];
    out.extend_from_slice(&i32::try_from(symbols.len()).unwrap_or(0).to_le_bytes());
    for name in names(symbols) {
        out.extend_from_slice(name);
        out.push(0);
    }
    out
}

/// Compression for a file that is written without saying how: `.z.zd`, for names without a dot.
pub(super) fn default_packing(ctx: &mut dyn Ctx, file: &str) -> R<Option<Packing>> {
    if path::leaf(file).contains('.') {
        return Ok(None);
    }
    match ctx.settings().compression {
        Some((bits, algorithm, level)) => packing(bits.into(), algorithm.into(), level.into()),
        None => Ok(None),
    }
}

/// Block size, algorithm and level as q's users give them; `None` for three zeros.
pub(super) fn packing(bits: i64, algorithm: i64, level: i64) -> R<Option<Packing>> {
    if (bits, algorithm, level) == (0, 0, 0) {
        return Ok(None);
    }
    let levels = match algorithm {
        2 => 0..=9,
        4 => 0..=16,
        5 => -7..=22,
        0 | 1 | 3 => 0..=9,
        16..=22 => return Err(QError::new("nyi: encryption of files")),
        _ => return Err(QError::domain()),
    };
    if !(12..=20).contains(&bits) || !levels.contains(&level) {
        return Err(QError::domain());
    }
    Ok(Some(Packing { block_bits: bits as u8, algorithm: algorithm as u8, level: level as i8 }))
}
