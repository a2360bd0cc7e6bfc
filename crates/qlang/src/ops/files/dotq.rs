//! Names of `.Q` about files, databases, the command line and memory.

use super::{bytes, load, path};
use crate::{
    QError, R,
    ctx::{Ctx, Def},
    ops::{table::parted::Parted, text},
    value::{Dict, Sym, Table, Value, interned, live_bytes},
};

/// Rows of this file's primitives.
pub(super) const ROWS: &[Def] = &[
    Def::monad(".Q.cn", cn),
    Def::monad(".Q.qp", |_, x| {
        Ok(match &x {
            Value::Mapped(m) if m.as_any().is::<Parted>() => Value::Bool(true),
            Value::Mapped(_) => Value::Bool(false),
            _ => Value::Long(0),
        })
    }),
    Def::monad(".Q.qt", |_, x| {
        Ok(Value::Bool(matches!(x, Value::Table(_) | Value::Mapped(_)) || x.as_keyed().is_some()))
    }),
    Def::many(".Q.ind", (2, 2), |_, a| ind(&a[0], &a[1])),
    Def::monad(".Q.MAP", |_, _| Ok(Value::Nil)),
    Def::many(".Q.fs", (2, 2), |ctx, a| fsn(ctx, &a[0], &a[1], CHUNK)),
    Def::many(".Q.fsn", (3, 3), |ctx, a| {
        let n = a[2].as_int().and_then(|n| usize::try_from(n).ok()).ok_or_else(QError::type_)?;
        fsn(ctx, &a[0], &a[1], n)
    }),
    Def::many(".Q.fps", (2, 2), |ctx, a| fpn(ctx, &a[0], &a[1], CHUNK)),
    Def::many(".Q.fpn", (3, 3), |ctx, a| {
        let n = a[2].as_int().and_then(|n| usize::try_from(n).ok()).ok_or_else(QError::type_)?;
        fpn(ctx, &a[0], &a[1], n)
    }),
    Def::monad(".Q.w", w),
    Def::monad(".Q.gc", |_, _| Ok(Value::Long(0))),
    Def::monad(".Q.opt", opt),
    Def::many(".Q.def", (2, 2), |ctx, a| def(ctx, &a[0], &a[1])),
];

/// Bytes that `.Q.fs` reads at once.
const CHUNK: usize = 131_000;

/// `.Q.cn t`: rows of each partition; noted in `.Q.pn`.
fn cn(ctx: &mut dyn Ctx, t: Value) -> R {
    let table = load::part_table(&t).ok_or_else(QError::type_)?;
    let n = table.values().count();
    let counts = (0..n).map(|i| Ok(table.rows(i)? as i64)).collect::<R<Vec<i64>>>()?;
    let counts = Value::longs(counts);
    let name = Sym::new(".Q.pn");
    if let Some(Value::Dict(d)) = ctx.global(name) {
        let keys = d.keys.items();
        let entry =
            |(i, key): (usize, Sym)| (key, if key == table.name() { counts.clone() } else { d.values.at(i) });
        let entries: Vec<(Sym, Value)> =
            keys.iter().filter_map(Value::as_sym).enumerate().map(entry).collect();
        ctx.set_global(name, load::counts(&entries))?;
    }
    Ok(counts)
}

/// `.Q.ind[t;rows]`: rows of a partitioned table by their numbers over all partitions.
fn ind(t: &Value, rows: &Value) -> R {
    let Some(table) = load::part_table(t) else {
        let rows: Vec<i64> = rows.items().iter().filter_map(Value::as_int).collect();
        return Ok(t.gather(&rows));
    };
    let wanted =
        rows.items().iter().map(Value::as_int).collect::<Option<Vec<i64>>>().ok_or_else(QError::type_)?;
    let mut ends = Vec::new();
    let mut total = 0i64;
    for i in 0..table.values().count() {
        total += table.rows(i)? as i64;
        ends.push(total);
    }
    let names: Vec<Sym> = std::iter::once(table.field()).chain(table.names()).collect();
    let mut columns = vec![Value::empty_list(); names.len()];
    let mut from = 0;
    while from < wanted.len() {
        // Neighbours in one partition are taken together.
        let at = ends.partition_point(|end| *end <= wanted[from]);
        if at >= ends.len() || wanted[from] < 0 {
            return Err(QError::length());
        }
        let start = if at == 0 { 0 } else { ends[at - 1] };
        let run = wanted[from..].iter().take_while(|w| (start..ends[at]).contains(w)).count();
        let local: Vec<i64> = wanted[from..from + run].iter().map(|w| w - start).collect();
        for (column, name) in columns.iter_mut().zip(&names) {
            let more = match *name == table.field() {
                true => table.values().at(at).repeat(run),
                false => table.column(at, *name)?.gather(&local),
            };
            *column = std::mem::replace(column, Value::Nil).append(&more);
        }
        from += run;
    }
    Ok(Value::table(Table::new(names, columns)?))
}

/// `.Q.fsn[f;file;n]`: `f` on the lines of each chunk of about `n` bytes; the bytes read.
fn fsn(ctx: &mut dyn Ctx, f: &Value, file: &Value, n: usize) -> R {
    let file = path::of(file).ok_or_else(QError::type_)?;
    let whole = ctx.host().files().map(&file)?;
    let mut at = 0;
    while at < whole.len() {
        let most = &whole[at..whole.len().min(at.saturating_add(n.max(1)))];
        let end = match most.len() < n.max(1) || at + most.len() == whole.len() {
            true => most.len(),
            // Whole lines: a line longer than a chunk is read to the end.
            false => match memchr::memrchr(b'\n', most) {
                Some(last) => last + 1,
                None => memchr::memchr(b'\n', &whole[at..]).map_or(whole.len() - at, |e| e + 1),
            },
        };
        let lines = bytes::lines(&whole[at..at + end]).map(Value::string).collect();
        ctx.apply(f, vec![Value::list(lines)])?;
        at += end;
    }
    Ok(Value::Long(whole.len() as i64))
}

/// `.Q.fpn[f;pipe;n]`: as `.Q.fsn` from a named pipe.
fn fpn(ctx: &mut dyn Ctx, f: &Value, file: &Value, n: usize) -> R {
    let file = path::named(file)?;
    let file = file.strip_prefix("fifo://").map_or(file.clone(), str::to_owned);
    let handle = ctx.host().open(&crate::host::Target::Fifo(file))?;
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let more = ctx.host().take(handle, n.max(1))?;
        let last = more.is_empty();
        rest.extend_from_slice(&more);
        let end = if last { rest.len() } else { memchr::memrchr(b'\n', &rest).map_or(0, |e| e + 1) };
        if end > 0 {
            let lines = bytes::lines(&rest[..end]).map(Value::string).collect();
            ctx.apply(f, vec![Value::list(lines)])?;
            rest.drain(..end);
        }
        if last {
            break;
        }
    }
    ctx.host().close(handle)?;
    Ok(Value::Nil)
}

/// `.Q.w[]`: memory.
fn w(ctx: &mut dyn Ctx, _: Value) -> R {
    let live = live_bytes().max(0);
    let (n, bytes) = interned();
    let names = ["used", "heap", "peak", "wmax", "mmap", "mphy", "syms", "symw"];
    let values = vec![live, live, live, 0, 0, ctx.host().physical_memory(), n as i64, bytes as i64];
    let keys = Value::syms(names.iter().map(Sym::new).collect());
    Ok(Value::dict(Dict::new(keys, Value::longs(values))?))
}

/// `.Q.opt args`: options and what follows each; what stands before the first goes to `.Q.x`.
fn opt(ctx: &mut dyn Ctx, x: Value) -> R {
    let args: Vec<Vec<u8>> = match &x {
        Value::List(l) => l.iter().map(|a| a.as_name().ok_or_else(QError::type_)).collect::<R<_>>()?,
        v if v.is_string() => vec![v.as_text().unwrap_or_default()],
        v => v.items().iter().map(|a| a.as_name().ok_or_else(QError::type_)).collect::<R<_>>()?,
    };
    let is_option = |a: &[u8]| a.len() > 1 && a[0] == b'-' && !a[1].is_ascii_digit();
    let first = args.iter().position(|a| is_option(a)).unwrap_or(args.len());
    let strings = |a: &[Vec<u8>]| Value::list(a.iter().map(|t| Value::string(&t[..])).collect());
    ctx.set_global(Sym::new(".Q.x"), strings(&args[..first]))?;
    let (mut keys, mut values): (Vec<Sym>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut at = first;
    while at < args.len() {
        let n = args[at + 1..].iter().take_while(|a| !is_option(a)).count();
        keys.push(Sym::new(&args[at][1..]));
        values.push(strings(&args[at + 1..at + 1 + n]));
        at += n + 1;
    }
    Ok(Value::dict(Dict { keys: Value::syms(keys), values: Value::list(values), sorted: false }))
}

/// `.Q.def[defaults;options]`: options by the types of their defaults.
fn def(ctx: &mut dyn Ctx, defaults: &Value, options: &Value) -> R {
    let (Value::Dict(d), Value::Dict(o)) = (defaults, options) else { return Err(QError::type_()) };
    let day_first = ctx.settings().day_first;
    let mut values = Vec::new();
    for (key, default) in d.keys.items().iter().zip(d.values.items()) {
        let given = key.as_sym().and_then(|k| o.get(k));
        values.push(match given {
            None => default,
            Some(texts) => {
                let texts: Vec<Vec<u8>> = match texts.is_string() {
                    true => vec![texts.as_text().unwrap_or_default()],
                    false => texts.items().iter().filter_map(Value::as_text).collect(),
                };
                of_type(&default, &texts, day_first)?
            }
        });
    }
    let mut keys = d.keys.clone();
    for (key, value) in o.keys.items().iter().zip(o.values.items()) {
        if key.as_sym().is_some_and(|k| d.get(k).is_none()) {
            keys = keys.append(&Value::from_items(vec![key.clone()]));
            values.push(value);
        }
    }
    Ok(Value::dict(Dict::new(keys, Value::from_items(values))?))
}

fn of_type(default: &Value, texts: &[Vec<u8>], day_first: bool) -> R {
    let number = default.number();
    let Some(ty) = kvalue::Type::from_number(number.unsigned_abs()) else {
        return Ok(Value::list(texts.iter().map(|t| Value::string(&t[..])).collect()));
    };
    if ty == kvalue::Type::Char {
        let joined = texts.join(&b' ');
        return Ok(if number < 0 {
            Value::Char(joined.first().copied().unwrap_or(b' '))
        } else {
            Value::string(joined)
        });
    }
    let slices: Vec<&[u8]> = texts.iter().map(|t| &t[..]).collect();
    let letter = ty.letter().to_ascii_uppercase() as u8;
    let column = text::tok_column(letter, &slices, day_first)?;
    Ok(if number < 0 { column.at(0) } else { column })
}

/// `-21!file`: what is known of a compressed file; empty for a plain one.
pub fn packed(ctx: &mut dyn Ctx, x: &Value) -> R {
    let file = path::of(x).ok_or_else(QError::type_)?;
    let Some(p) = ctx.host().packed(&file)? else {
        return Ok(Value::dict(Dict {
            keys: Value::empty_list(),
            values: Value::empty_list(),
            sorted: false,
        }));
    };
    Ok(Value::dict(Dict::of(vec![
        ("compressedLength", Value::Long(p.compressed as i64)),
        ("uncompressedLength", Value::Long(p.plain as i64)),
        ("algorithm", Value::Int(p.packing.algorithm.into())),
        ("logicalBlockSize", Value::Int(p.packing.block_bits.into())),
        ("zipLevel", Value::Int(p.packing.level.into())),
    ])))
}

/// `-19!(source;target;bits;algorithm;level)`: a file compressed into another.
pub fn pack(ctx: &mut dyn Ctx, x: &Value) -> R {
    let parts = x.items();
    let [source, target, rest @ ..] = &parts[..] else { return Err(QError::length()) };
    let (from, to) =
        (path::of(source).ok_or_else(QError::type_)?, path::of(target).ok_or_else(QError::type_)?);
    let numbers = rest.iter().map(Value::as_int).collect::<Option<Vec<i64>>>().ok_or_else(QError::type_)?;
    let [bits, algorithm, level] = numbers[..] else { return Err(QError::length()) };
    let packing = super::write::packing(bits, algorithm, level)?;
    let bytes = ctx.host().files().map(&from)?;
    ctx.host().write_parts(&to, &[&bytes], packing)?;
    Ok(target.clone())
}
