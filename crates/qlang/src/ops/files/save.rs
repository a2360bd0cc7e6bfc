//! Tables to disk: `.Q.dpft .Q.dpfts .Q.dpt .Q.dpts dsave save load rsave rload`, and `.Q.par`.

use std::sync::Arc;

use kvalue::Attr;

use super::{
    bytes, enumerate, path,
    store::{self, How},
};
use crate::{
    QError, R,
    ctx::{Ctx, Def},
    value::{Data, Dict, Sym, Table, Value, sort_rows},
};

/// Rows of this file's primitives.
pub(super) const ROWS: &[Def] = &[
    Def::many(".Q.dpft", (4, 4), |ctx, a| dpfts(ctx, &a[0], &a[1], Some(&a[2]), &a[3], Sym::new("sym"))),
    Def::many(".Q.dpfts", (5, 5), |ctx, a| {
        let domain = a[4].as_sym().ok_or_else(QError::type_)?;
        dpfts(ctx, &a[0], &a[1], Some(&a[2]), &a[3], domain)
    }),
    Def::many(".Q.dpt", (3, 3), |ctx, a| dpfts(ctx, &a[0], &a[1], None, &a[2], Sym::new("sym"))),
    Def::many(".Q.dpts", (4, 4), |ctx, a| {
        let domain = a[3].as_sym().ok_or_else(QError::type_)?;
        dpfts(ctx, &a[0], &a[1], None, &a[2], domain)
    }),
    Def::many(".Q.par", (3, 3), |ctx, a| {
        let folder = path::of(&a[0]).ok_or_else(QError::type_)?;
        Ok(path::symbol(&par(ctx, &folder, &a[1], &a[2])?))
    }),
    Def::dyad("dsave", dsave),
    Def::monad("save", |ctx, x| each_name(ctx, x, save)),
    Def::monad("rsave", |ctx, x| each_name(ctx, x, rsave)),
    Def::monad("load", |ctx, x| each_name(ctx, x, load)),
    Def::monad("rload", |ctx, x| each_name(ctx, x, load)),
];

/// The folder of a table in a partition: below the segment that `par.txt` gives, else below the root.
pub(super) fn par(ctx: &mut dyn Ctx, root: &str, partition: &Value, table: &Value) -> R<String> {
    let table = table.as_sym().ok_or_else(QError::type_)?;
    let number = partition.as_int().ok_or_else(QError::type_)?;
    let leaf = leaf_of(partition)?;
    let list = path::join(root, "par.txt");
    let files = ctx.host().files();
    let mut folder = root.to_owned();
    if files.stat(&list)?.is_some() {
        let text = files.map(&list)?;
        let segments: Vec<&[u8]> = bytes::lines(&text).filter(|l| !l.is_empty()).collect();
        if !segments.is_empty() {
            let at = number.rem_euclid(segments.len() as i64) as usize;
            let segment = String::from_utf8_lossy(segments[at]).into_owned();
            folder = if segment.starts_with('/') { segment } else { path::join(root, &segment) };
        }
    }
    Ok(path::join(&path::join(&folder, &leaf), &table.text()))
}

/// Name of a partition's folder.
fn leaf_of(partition: &Value) -> R<String> {
    let text = match partition {
        Value::Date(d) => {
            let (y, m, d) = kvalue::time::civil_from_days(i64::from(*d));
            format!("{y:04}.{m:02}.{d:02}")
        }
        Value::Month(m) => format!("{:04}.{:02}", 2000 + m.div_euclid(12), m.rem_euclid(12) + 1),
        other => other.as_int().ok_or_else(QError::type_)?.to_string(),
    };
    Ok(text)
}

/// Saves the table that a global names into a partition: symbols enumerated, sorted by `field` and parted by it.
fn dpfts(
    ctx: &mut dyn Ctx,
    root: &Value,
    partition: &Value,
    field: Option<&Value>,
    table: &Value,
    domain: Sym,
) -> R {
    let folder = path::of(root).ok_or_else(QError::type_)?;
    let name = table.as_sym().ok_or_else(QError::type_)?;
    let data = ctx.global(name).ok_or_else(|| QError::new(name.text()))?;
    if data.as_keyed().is_some() {
        return Err(QError::type_());
    }
    let Value::Table(t) = enumerate::ens(ctx, root, data, domain)? else { return Err(QError::type_()) };
    t.columns.iter().try_for_each(mappable)?;
    let t = match field {
        Some(f) => parted(&t, f.as_sym().ok_or_else(QError::type_)?)?,
        None => Table::clone(&t),
    };
    let to = format!("{}/", par(ctx, &folder, partition, table)?);
    store::store(ctx, &to, &Value::table(t), &How::Default)?;
    Ok(table.clone())
}

/// `'unmappable` for a column that mixes lists with other things.
fn mappable(column: &Value) -> R<()> {
    match column {
        Value::List(l) if !l.is_empty() => {
            let ty = l[0].number();
            let good = l.iter().all(|i| i.number() == ty) && (ty > 0 || l[0].is_list());
            if good { Ok(()) } else { Err(QError::new("unmappable")) }
        }
        _ => Ok(()),
    }
}

/// The rows sorted by a column, which comes first and is marked parted.
fn parted(t: &Table, field: Sym) -> R<Table> {
    let at = t.position(field).ok_or_else(|| QError::new(field.text()))?;
    let rows = sort_rows(&[(&t.columns[at], false)], t.len());
    let sorted = rows.windows(2).all(|w| w[0] < w[1]);
    let mut names = vec![field];
    let mut columns = Vec::with_capacity(t.columns.len());
    let take = |c: &Value| if sorted { c.clone() } else { c.gather(&rows) };
    columns.push(with_attr(take(&t.columns[at]), Attr::Parted));
    for (i, name) in t.names.iter().enumerate().filter(|(i, _)| *i != at) {
        names.push(*name);
        columns.push(take(&t.columns[i]));
    }
    Table::new(names, columns)
}

/// The same elements with an attribute; sorted numbers keep theirs as sorted, since files say parted only of symbols.
fn with_attr(v: Value, attr: Attr) -> Value {
    match v {
        Value::Vector(mut v) => {
            let is_enum = matches!(v.data, Data::Enum(..));
            Arc::make_mut(&mut v).attr = if is_enum { attr } else { Attr::Sorted };
            Value::Vector(v)
        }
        v => v,
    }
}

/// `` `:root dsave tables ``, `` `:root`part dsave tables ``: the first column is parted.
fn dsave(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let parts: Vec<String> = x.items().iter().map(path::named).collect::<R<Vec<_>>>()?;
    let Some((root, below)) = parts.split_first() else { return Err(QError::type_()) };
    let mut folder = root.clone();
    for part in below {
        folder = path::join(&folder, part);
    }
    for name in y.items() {
        let name = name.as_sym().ok_or_else(QError::type_)?;
        let data = ctx.global(name).ok_or_else(|| QError::new(name.text()))?;
        let data = enumerate::ens(ctx, &path::symbol(root), data, Sym::new("sym"))?;
        let Value::Table(t) = data else { return Err(QError::type_()) };
        let mut t = Table::clone(&t);
        let ascending = t
            .columns
            .first()
            .is_some_and(|c| sort_rows(&[(c, false)], t.len()).windows(2).all(|w| w[0] < w[1]));
        if let Some(first) = t.columns.first_mut()
            && ascending
        {
            *first = with_attr(first.clone(), Attr::Parted);
        }
        let to = format!("{}/", path::join(&folder, &name.text()));
        store::store(ctx, &to, &Value::table(t), &How::Default)?;
    }
    Ok(y)
}

fn each_name(ctx: &mut dyn Ctx, x: Value, f: fn(&mut dyn Ctx, &Value) -> R) -> R {
    match &x {
        Value::Vector(_) | Value::List(_) if !x.is_string() => {
            let done = x.items().iter().map(|name| f(ctx, name)).collect::<R<Vec<_>>>()?;
            Ok(Value::from_items(done))
        }
        x => f(ctx, x),
    }
}

/// The variable that a path names: its last part without extension.
fn variable(path: &str) -> (Sym, Option<&str>) {
    let leaf = path::leaf(path);
    match leaf.rsplit_once('.') {
        Some((name, extension)) if !name.is_empty() => (Sym::new(name), Some(extension)),
        _ => (Sym::new(leaf), None),
    }
}

/// `save`: a global to a file of its name, in the form of the extension.
fn save(ctx: &mut dyn Ctx, x: &Value) -> R {
    let file = path::named(x)?;
    let (name, extension) = variable(&file);
    let value = ctx.lookup(name).ok_or_else(|| QError::new(name.text()))?;
    match extension {
        None => store::store(ctx, &file, &value, &How::Default)?,
        Some(kind @ ("csv" | "txt" | "xml" | "xls" | "json")) => {
            let lines = lines_of(ctx, kind, value)?;
            super::text::zero(ctx, path::symbol(&file), lines)?;
        }
        Some(_) => return Err(QError::type_()),
    }
    Ok(path::symbol(&file))
}

/// A table as the lines of a file of this kind.
fn lines_of(ctx: &mut dyn Ctx, kind: &str, value: Value) -> R {
    let unkeyed = match &value {
        Value::Dict(d) => match d.as_keyed() {
            Some((k, v)) => {
                let names = [&k.names[..], &v.names[..]].concat();
                let columns = [&k.columns[..], &v.columns[..]].concat();
                Value::table(Table::new(names, columns)?)
            }
            None => value.clone(),
        },
        v => v.clone(),
    };
    match kind {
        "csv" => super::text::zero(ctx, Value::Char(b','), unkeyed),
        "txt" => super::text::zero(ctx, Value::Char(b'\t'), unkeyed),
        "json" => {
            let json = ctx.lookup(Sym::new(".j.j")).ok_or_else(QError::nyi)?;
            let text = ctx.apply(&json, vec![unkeyed])?;
            Ok(Value::list(vec![text]))
        }
        _ => {
            let Value::Table(t) = &unkeyed else { return Err(QError::type_()) };
            Ok(Value::list(super::markup::lines(ctx, kind, t)?.into_iter().map(Value::string).collect()))
        }
    }
}

/// `rsave`: a table to a splayed folder of its name.
fn rsave(ctx: &mut dyn Ctx, x: &Value) -> R {
    let file = path::named(x)?;
    let (name, _) = variable(&file);
    let value = ctx.lookup(name).ok_or_else(|| QError::new(name.text()))?;
    let folder = format!("{}/", file.trim_end_matches('/'));
    let Value::Table(_) = value else { return Err(QError::type_()) };
    store::store(ctx, &folder, &value, &How::Default)?;
    Ok(path::symbol(&folder))
}

/// `load`: a file, a splayed folder or a folder of files to the global of its name.
fn load(ctx: &mut dyn Ctx, x: &Value) -> R {
    let file = path::named(x)?;
    let (name, _) = variable(&file);
    let files = ctx.host().files();
    let is_dir = files.stat(file.trim_end_matches('/'))?.is_some_and(|s| s.is_dir);
    let value = if is_dir && files.stat(&path::join(&file, ".d"))?.is_none() {
        let mut names = Vec::new();
        let mut values = Vec::new();
        for leaf in files.list(&file)?.iter().filter(|l| !l.starts_with('.') && !l.ends_with('#')) {
            names.push(Sym::new(leaf));
            values.push(store::get(ctx, &path::join(&file, leaf))?);
        }
        Value::dict(Dict::new(Value::syms(names), Value::list(values))?)
    } else {
        store::get(ctx, &file)?
    };
    ctx.set_global(name, value)?;
    Ok(Value::Sym(name))
}
