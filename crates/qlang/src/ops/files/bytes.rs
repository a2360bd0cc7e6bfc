//! Files as lines and bytes: `read0 read1 1: hcount hdel`, and what `key` says of a path.

use std::sync::Arc;

use kvalue::{Attr, Type};

use super::{path, store::How, write};
use crate::{
    QError, R,
    ctx::{Ctx, Def},
    host::HandleKind,
    value::{Data, Sym, Value, Vector},
};

/// Rows of this file's primitives.
pub(super) const ROWS: &[Def] = &[
    Def::monad("read0", read0),
    Def::monad("read1", read1),
    Def::monad("hcount", hcount),
    Def::monad("hdel", hdel),
];

/// Most bytes taken from a pipe at once where no length is given.
const CHUNK: usize = 1 << 20;

/// What is to be read.
enum Part {
    File { path: String, from: u64, length: Option<u64> },
    Handle { handle: i32, length: Option<usize> },
}

fn part(x: &Value) -> R<Part> {
    let natural = |v: Option<&Value>| match v {
        None => Ok(None),
        Some(v) => match v.as_int() {
            Some(n) => Ok(Some(u64::try_from(n).unwrap_or(0))),
            None => Err(QError::type_()),
        },
    };
    if let Value::List(l) = x
        && let Some(path) = l.first().and_then(path::of)
    {
        let (from, length) = (natural(l.get(1))?.unwrap_or(0), natural(l.get(2))?);
        return Ok(Part::File { path, from, length });
    }
    if let Some(path) = path::of(x) {
        return Ok(Part::File { path, from: 0, length: None });
    }
    let items = x.items();
    let handle = items.first().and_then(Value::as_int).and_then(|h| i32::try_from(h).ok());
    let length = natural(items.get(1))?.map(|n| n as usize);
    Ok(Part::Handle { handle: handle.ok_or_else(QError::type_)?, length })
}

fn read(ctx: &mut dyn Ctx, part: &Part) -> R<Vec<u8>> {
    match part {
        Part::File { path, from, length } => {
            let bytes = ctx.host().files().map(path)?;
            let from = usize::try_from(*from).unwrap_or(usize::MAX).min(bytes.len());
            let left = bytes.len() - from;
            let n = length.map_or(left, |n| usize::try_from(n).unwrap_or(usize::MAX).min(left));
            ctx.reserve(n)?;
            Ok(bytes[from..from + n].to_vec())
        }
        Part::Handle { handle, length } => {
            if ctx.host().handle(*handle) == Some(HandleKind::Console) {
                return Ok(ctx.host().read_line()?.unwrap_or_default());
            }
            let Some(n) = length else { return ctx.host().take(*handle, CHUNK) };
            let mut out = Vec::new();
            while out.len() < *n {
                let more = ctx.host().take(*handle, *n - out.len())?;
                if more.is_empty() {
                    break;
                }
                out.extend_from_slice(&more);
            }
            Ok(out)
        }
    }
}

/// `read0`: the lines of a file or of a part of it; a line of the console; characters of a pipe.
fn read0(ctx: &mut dyn Ctx, x: Value) -> R {
    let part = part(&x)?;
    let bytes = read(ctx, &part)?;
    match part {
        Part::Handle { .. } => Ok(Value::string(bytes)),
        Part::File { .. } => Ok(Value::list(lines(&bytes).map(Value::string).collect())),
    }
}

/// Lines without their ends, LF or CR LF.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let some = !bytes.is_empty();
    body.split(|b| *b == b'\n').filter(move |_| some).map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// `read1`: bytes of a file, of a part of it, or of a pipe.
fn read1(ctx: &mut dyn Ctx, x: Value) -> R {
    let part = part(&x)?;
    let bytes = read(ctx, &part)?;
    Ok(Value::vector(Type::Byte, Data::U8(bytes.into())))
}

/// `hcount`: bytes of a file, unpacked.
fn hcount(ctx: &mut dyn Ctx, x: Value) -> R {
    let file = path::of(&x).ok_or_else(QError::type_)?;
    let stat = ctx.host().files().stat(&file)?;
    let stat = stat.ok_or_else(|| QError::new(format!("{file}. OS reports: No such file or directory")))?;
    let plain = if stat.is_dir { None } else { ctx.host().packed(&file)?.map(|p| p.plain) };
    Ok(Value::Long(plain.unwrap_or(stat.size) as i64))
}

/// `hdel`: removes a file or an empty folder.
fn hdel(ctx: &mut dyn Ctx, x: Value) -> R {
    let file = path::of(&x).ok_or_else(QError::type_)?;
    match ctx.host().remove(&file) {
        Ok(()) => Ok(x),
        Err(e) if e.is_trappable() => Err(QError::new(e.text().replacen(". OS reports: ", ": ", 1))),
        Err(e) => Err(e),
    }
}

/// `key` of a path: the names in a folder, the path of a file, `()` where there is nothing.
pub fn key(ctx: &mut dyn Ctx, x: &Value) -> R {
    let file = path::of(x).ok_or_else(QError::type_)?;
    let files = ctx.host().files();
    match files.stat(&file)? {
        None => Ok(Value::empty_list()),
        Some(stat) if stat.is_dir => {
            let names: Vec<Sym> = files.list(&file)?.iter().map(Sym::new).collect();
            let names = Vector::new(Type::Symbol, Data::Sym(names.into())).with_attr(Attr::Sorted);
            Ok(Value::Vector(Arc::new(names)))
        }
        Some(_) => Ok(x.clone()),
    }
}

/// `x 1: y`: writes bytes to a file, compressed where asked; reads records of fixed width.
pub(super) fn binary(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    if let Some(file) = path::of(&x) {
        save(ctx, &file, &y, &How::Default)?;
        return Ok(x);
    }
    let Value::List(l) = &x else { return Err(QError::type_()) };
    let Some(target) = l.first() else { return Err(QError::type_()) };
    match path::of(target) {
        Some(file) => {
            save(ctx, &file, &y, &How::of(&l[1..])?)?;
            Ok(target.clone())
        }
        None => super::records::read(ctx, l, y),
    }
}

fn save(ctx: &mut dyn Ctx, file: &str, y: &Value, how: &How) -> R<()> {
    let packing = match how {
        How::Default => write::default_packing(ctx, file)?,
        How::As(packing) => *packing,
        How::ByColumn(_) => return Err(QError::type_()),
    };
    let of_vector = |v: &Vector| match &v.data {
        Data::Sym(_) => None,
        data => Some(write::raw(data).to_vec()),
    };
    let raw = match y {
        Value::Vector(v) => of_vector(v),
        atom if atom.as_scalar().is_some() => match Value::from_items(vec![atom.clone()]) {
            Value::Vector(v) => of_vector(&v),
            _ => None,
        },
        _ => None,
    };
    match raw {
        Some(bytes) => ctx.host().write_parts(file, &[&bytes], packing),
        None => write::save(ctx, file, y, packing),
    }
}
