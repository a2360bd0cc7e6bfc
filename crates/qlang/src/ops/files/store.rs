//! `get`, `set` and appends on files and splayed folders.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    image::{self, Beside},
    path, write,
};
use crate::{
    QError, R, convert,
    ctx::{Ctx, Def},
    host::{Files, Packing},
    value::{Data, Dict, Domain, Sym, Table, Value, Vector},
};

/// Rows of this file's primitives.
pub(super) const ROWS: &[Def] = &[Def::dyad("set", set)];

/// What is beside a file that code in an evaluation reads: domains are its globals.
struct Around<'a> {
    ctx: &'a dyn Ctx,
    files: &'a dyn Files,
    path: &'a str,
}

impl Beside for Around<'_> {
    fn shown(&self) -> &str {
        self.path
    }

    fn companion(&self, suffix: &str) -> R<Bytes> {
        self.files.map(&format!("{}{suffix}", self.path))
    }

    fn domain(&self, name: Sym) -> R<Arc<Domain>> {
        Ok(Arc::new(Domain { name, list: domain_list(self.ctx.global(name)) }))
    }
}

/// What indices over a global point into: a list's items, a keyed table's keys, nothing known for a table's rows.
pub(super) fn domain_list(global: Option<Value>) -> Value {
    match global {
        Some(list @ (Value::Vector(_) | Value::List(_))) => list,
        Some(Value::Dict(d)) => match d.as_keyed() {
            Some((keys, _)) => keys.columns.first().cloned().unwrap_or(Value::Nil),
            None => Value::Nil,
        },
        _ => Value::Nil,
    }
}

/// The value in a file, or the table in a splayed folder.
pub fn get(ctx: &mut dyn Ctx, file: &str) -> R {
    let files = ctx.host().files();
    let is_dir = match path::is_folder(file) {
        true => true,
        false => files.stat(file)?.is_some_and(|s| s.is_dir),
    };
    if is_dir { get_splayed(ctx, &files, file) } else { get_file(ctx, &files, file) }
}

fn get_file(ctx: &mut dyn Ctx, files: &Arc<dyn Files>, file: &str) -> R {
    let bytes = files.map(file)?;
    if bytes.starts_with(&[0xff, 0x01]) && bytes.get(2) != Some(&0x0b) {
        let object = qipc::decode(bytes.slice(2..), &qipc::Limits::internal())
            .map_err(|e| QError::new(format!("{file}: {e}")))?;
        return convert::revive(ctx, &object);
    }
    image::read(&bytes, &Around { ctx, files: &**files, path: file })
}

/// The column names of a splayed folder.
pub(super) fn columns_of(files: &dyn Files, folder: &str) -> R<Vec<Sym>> {
    struct Alone<'a>(&'a str);
    impl Beside for Alone<'_> {
        fn shown(&self) -> &str {
            self.0
        }
        fn companion(&self, _: &str) -> R<Bytes> {
            Err(QError::type_())
        }
        fn domain(&self, _: Sym) -> R<Arc<Domain>> {
            Err(QError::type_())
        }
    }
    let file = path::join(folder, ".d");
    let names = image::read(&files.map(&file)?, &Alone(&file))?;
    let names = names.items().iter().map(Value::as_sym).collect::<Option<Vec<Sym>>>();
    let names = names.ok_or_else(|| QError::new(format!("{file}: no list of column names")))?;
    for name in &names {
        path::plain(&name.text())?;
    }
    Ok(names)
}

fn get_splayed(ctx: &mut dyn Ctx, files: &Arc<dyn Files>, folder: &str) -> R {
    let names = columns_of(&**files, folder)?;
    let columns = names
        .iter()
        .map(|name| get_file(ctx, files, &path::join(folder, &name.text())))
        .collect::<R<Vec<Value>>>()?;
    Ok(Value::table(Table::new(names, columns)?))
}

/// `x set y`: a global, a file, a splayed folder.
pub(super) fn set(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    if let Some(file) = path::of(&x) {
        store(ctx, &file, &y, &How::Default)?;
        return Ok(x);
    }
    match &x {
        Value::Sym(name) => {
            ctx.set_global(*name, y)?;
            Ok(x)
        }
        Value::List(l) => {
            let (target, how) = (l.first().cloned().unwrap_or(Value::Nil), How::of(&l[1..])?);
            let file = path::of(&target).ok_or_else(QError::type_)?;
            store(ctx, &file, &y, &how)?;
            Ok(target)
        }
        _ => Err(QError::type_()),
    }
}

/// How what is stored is compressed.
pub(super) enum How {
    /// as `.z.zd` says
    Default,
    /// as asked
    As(Option<Packing>),
    /// by column; the null symbol for the others
    ByColumn(Vec<(Sym, Option<Packing>)>),
}

impl How {
    /// From what follows the file: block size, algorithm, level; or a dictionary of these by column.
    pub(super) fn of(rest: &[Value]) -> R<How> {
        let three = |v: &[Value]| match v.iter().map(Value::as_int).collect::<Option<Vec<i64>>>().as_deref() {
            Some(&[bits, algorithm, level]) => write::packing(bits, algorithm, level),
            _ => Err(QError::type_()),
        };
        match rest {
            [Value::Dict(d)] => {
                let names = d.keys.items().into_iter().map(|k| k.as_sym().ok_or_else(QError::type_));
                let hows = d.values.items().into_iter().map(|v| three(&v.items()));
                names.zip(hows).map(|(n, h)| Ok((n?, h?))).collect::<R<Vec<_>>>().map(How::ByColumn)
            }
            rest => three(rest).map(How::As),
        }
    }

    fn of_column(&self, ctx: &mut dyn Ctx, folder: &str, name: Sym) -> R<Option<Packing>> {
        match self {
            How::Default => write::default_packing(ctx, &name.text()),
            How::As(packing) if !name.bytes().contains(&b'.') => Ok(*packing),
            How::As(_) => Ok(None),
            How::ByColumn(hows) => {
                let of = |n: Sym| hows.iter().find(|(h, _)| *h == n).map(|(_, p)| *p);
                match of(name).or_else(|| of(Sym::NULL)) {
                    Some(packing) => Ok(packing),
                    None => write::default_packing(ctx, &path::join(folder, &name.text())),
                }
            }
        }
    }
}

/// Stores a value in a file, or a table in a splayed folder where the path ends in a slash.
pub(super) fn store(ctx: &mut dyn Ctx, file: &str, value: &Value, how: &How) -> R<()> {
    let loaded;
    let value = match value {
        Value::Mapped(m) => {
            loaded = m.load()?;
            &loaded
        }
        v => v,
    };
    if !path::is_folder(file) {
        let packing = match how {
            How::Default => write::default_packing(ctx, file)?,
            How::As(packing) => *packing,
            How::ByColumn(_) => return Err(QError::type_()),
        };
        return write::save(ctx, file, value, packing);
    }
    let Value::Table(t) = value else { return Err(QError::type_()) };
    t.columns.iter().try_for_each(may_be_column)?;
    ctx.host().make_dir(file)?;
    for (name, column) in t.names.iter().zip(&t.columns) {
        let packing = how.of_column(ctx, file, *name)?;
        write::save(ctx, &path::join(file, path::plain(&name.text())?), column, packing)?;
    }
    write::save(ctx, &path::join(file, ".d"), &Value::syms(t.names.to_vec()), None)
}

/// `'type` for what cannot be a column of a splayed table: symbols that are not enumerated.
fn may_be_column(column: &Value) -> R<()> {
    match column {
        Value::Vector(v) if matches!(v.data, Data::Sym(_)) => Err(QError::type_()),
        Value::Vector(_) | Value::List(_) => Ok(()),
        _ => Err(QError::type_()),
    }
}

/// Appends to a file or splayed folder; makes it where it is not there.
pub fn append(ctx: &mut dyn Ctx, file: &str, value: &Value) -> R<()> {
    let files = ctx.host().files();
    let there = files.stat(if path::is_folder(file) { file.trim_end_matches('/') } else { file })?;
    if path::is_folder(file) || there.is_some_and(|s| s.is_dir) {
        return append_splayed(ctx, &files, file, value);
    }
    if there.is_none() {
        return store(ctx, file, value, &How::Default);
    }
    if let Value::Vector(v) = value
        && append_bytes(ctx, &files, file, v)?
    {
        return Ok(());
    }
    let old = get_file(ctx, &files, file)?;
    let packing = ctx.host().packed(file)?.map(|p| p.packing);
    let joined = join(ctx, old, value)?;
    write::save(ctx, file, &joined, packing)
}

/// `old,new`, for what files hold; rows of a dictionary and keyed tables as `,` does.
fn join(ctx: &mut dyn Ctx, old: Value, new: &Value) -> R {
    let join = crate::registry::registry().find(b",").ok_or_else(QError::nyi)?;
    ctx.apply(&Value::Prim(join), vec![old, new.clone()])
}

/// Appends the elements of a vector to a plain file of the same type; false where that cannot be done in place.
fn append_bytes(ctx: &mut dyn Ctx, files: &Arc<dyn Files>, file: &str, v: &Vector) -> R<bool> {
    let head = ctx.host().read(file, 0, Some(image::PAGE as u64))?;
    let is_page = head.starts_with(&[0xfd, 0x20]) && head.len() == image::PAGE;
    let at = if is_page { image::PAGE_HEADER } else { 0 };
    let plain = match &v.data {
        Data::Sym(symbols) => {
            if !head.starts_with(&[0xff, 0x01, 0x0b, 0]) {
                return Ok(false);
            }
            let names = write::symbol_file(symbols);
            ctx.host().write(file, &names[8..], true)?;
            return Ok(true);
        }
        Data::Enum(domain, _) => {
            let name = domain.name.bytes();
            is_page && head[at + 2] == 20 && head[16..].starts_with(name) && head[16 + name.len()] == 0
        }
        _ => head.starts_with(&[0xfe, 0x20]) && head.get(2) == Some(&v.ty.number()),
    };
    if !plain || head.get(at + 3) != Some(&0) {
        return Ok(false);
    }
    let start = if is_page { image::PAGE } else { 16 } as u64;
    let size = files.stat(file)?.map_or(0, |s| s.size);
    let elements = write::raw(&v.data);
    if !v.is_empty() && (size - start.min(size)) % (elements.len() / v.len()).max(1) as u64 != 0 {
        return Err(QError::new(format!("{file}: a torn write: no whole number of elements")));
    }
    ctx.host().write(file, elements, true)?;
    Ok(true)
}

fn append_splayed(ctx: &mut dyn Ctx, files: &Arc<dyn Files>, folder: &str, value: &Value) -> R<()> {
    let as_folder = if path::is_folder(folder) { folder.to_owned() } else { format!("{folder}/") };
    let table = match value {
        Value::Table(t) => t.clone(),
        Value::Mapped(m) => return append_splayed(ctx, files, folder, &m.load()?),
        Value::Dict(d) if d.as_keyed().is_none() => row_of(d)?,
        Value::List(_) | Value::Vector(_) => {
            let names = columns_of(&**files, &as_folder)?;
            let columns = value.items().into_iter().map(as_column).collect();
            Arc::new(Table::new(names, columns)?)
        }
        _ => return Err(QError::type_()),
    };
    if files.stat(&path::join(&as_folder, ".d"))?.is_none() {
        return store(ctx, &as_folder, &Value::Table(table), &How::Default);
    }
    let names = columns_of(&**files, &as_folder)?;
    if names.len() != table.names.len() {
        return Err(QError::mismatch());
    }
    let mut columns = Vec::with_capacity(names.len());
    for name in &names {
        let column = table.column(*name).ok_or_else(QError::mismatch)?;
        may_be_column(column)?;
        columns.push(column.clone());
    }
    for (name, column) in names.iter().zip(&columns) {
        append(ctx, &path::join(&as_folder, &name.text()), column)?;
    }
    Ok(())
}

fn as_column(v: Value) -> Value {
    if v.is_list() { v } else { Value::from_items(vec![v]) }
}

/// A dictionary of columns, or one row, as a table.
fn row_of(d: &Dict) -> R<Arc<Table>> {
    let names = d.keys.items().iter().map(Value::as_sym).collect::<Option<Vec<Sym>>>();
    let columns = d.values.items().into_iter().map(as_column).collect();
    Ok(Arc::new(Table::new(names.ok_or_else(QError::type_)?, columns)?))
}

/// Changes what a file holds, as `@[`:file;i;f;y]` and `.[`:file;i;f;y]` do: `change` gets the old value.
pub fn amend(ctx: &mut dyn Ctx, file: &str, change: &mut dyn FnMut(&mut dyn Ctx, Value) -> R) -> R<()> {
    let files = ctx.host().files();
    let there = files.stat(file.trim_end_matches('/'))?.is_some();
    let old = if there { get(ctx, file)? } else { Value::empty_list() };
    let new = change(ctx, old)?;
    store(ctx, file, &new, &How::Default)
}

/// Changes columns of a splayed folder: `@[`:folder;`c;f;y]`. Columns that are not there begin as `()`.
pub fn amend_columns(
    ctx: &mut dyn Ctx,
    folder: &str,
    names: &[Sym],
    change: &mut dyn FnMut(&mut dyn Ctx, Value) -> R,
) -> R<()> {
    let files = ctx.host().files();
    for name in names {
        let file = path::join(folder, path::plain(&name.text())?);
        let old = match files.stat(&file)? {
            Some(_) => get(ctx, &file)?,
            None => Value::empty_list(),
        };
        let packing = match files.stat(&file)? {
            Some(_) => ctx.host().packed(&file)?.map(|p| p.packing),
            None => write::default_packing(ctx, &file)?,
        };
        let new = change(ctx, old)?;
        write::save(ctx, &file, &new, packing)?;
    }
    Ok(())
}
