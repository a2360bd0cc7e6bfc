//! `.Q.en` and `.Q.ens`: the symbols of a table enumerated over a file, which grows by the new ones.

use std::sync::Arc;

use ahash::HashSet;

use super::{
    image::{self, Beside},
    path, write,
};
use crate::{
    QError, R,
    ctx::{Ctx, Def},
    ops::text,
    value::{Data, Sym, Table, Value},
};

/// Rows of this file's primitives.
pub(super) const ROWS: &[Def] = &[
    Def::many(".Q.en", (2, 2), |ctx, mut a| {
        let t = a.pop().unwrap_or(Value::Nil);
        ens(ctx, &a[0], t, Sym::new("sym"))
    }),
    Def::many(".Q.ens", (3, 3), |ctx, a| {
        let name = a[2].as_sym().ok_or_else(QError::type_)?;
        ens(ctx, &a[0], a[1].clone(), name)
    }),
    // `` `:folder/sym?x ``: by this name `?` reaches it
    Def::dyad(".extend", extend),
];

/// `` `:folder/name?x ``: the file and the global of its name grown by what they lack, `x` enumerated over them.
fn extend(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let file = path::of(&x).ok_or_else(QError::type_)?;
    let name = Sym::new(path::leaf(&file));
    let mut symbols = Vec::new();
    for item in y.items() {
        symbols.push(item.as_sym().ok_or_else(QError::type_)?);
    }
    grow(ctx, path::parent(&file), name, &symbols)?;
    text::extend(ctx, name, y)
}

/// Enumerates the symbol columns of a table over the file `name` in a folder (`::` for none but memory), and over
/// the global of that name.
pub(super) fn ens(ctx: &mut dyn Ctx, folder: &Value, t: Value, name: Sym) -> R {
    let t = match t {
        Value::Table(t) => t,
        Value::Mapped(m) => match m.load()? {
            Value::Table(t) => t,
            _ => return Err(QError::type_()),
        },
        _ => return Err(QError::type_()),
    };
    let is_symbols = |c: &Value| match c {
        Value::Vector(v) => matches!(v.data, Data::Sym(_)),
        Value::List(l) => {
            !l.is_empty() && l.iter().all(|i| matches!(i, Value::Vector(v) if matches!(v.data, Data::Sym(_))))
        }
        _ => false,
    };
    if !t.columns.iter().any(is_symbols) {
        return Ok(Value::Table(t));
    }
    if let Some(folder) = path::of(folder) {
        let mut seen = Vec::new();
        for column in t.columns.iter().filter(|c| is_symbols(c)) {
            match column {
                Value::List(l) => l.iter().for_each(|i| symbols_of(i, &mut seen)),
                column => symbols_of(column, &mut seen),
            }
        }
        grow(ctx, &folder, name, &seen)?;
    }
    let columns = t
        .columns
        .iter()
        .map(|c| if is_symbols(c) { text::extend(ctx, name, c.clone()) } else { Ok(c.clone()) })
        .collect::<R<Vec<_>>>()?;
    Ok(Value::table(Table { names: t.names.clone(), columns, sorted: t.sorted }))
}

fn symbols_of(v: &Value, out: &mut Vec<Sym>) {
    if let Value::Vector(v) = v
        && let Data::Sym(d) = &v.data
    {
        let mut seen = HashSet::default();
        out.extend(d.iter().copied().filter(|s| seen.insert(*s)));
    }
}

/// Adds to the file the symbols that it lacks, in order of appearance, and sets the global to all of them.
fn grow(ctx: &mut dyn Ctx, folder: &str, name: Sym, symbols: &[Sym]) -> R<()> {
    struct Alone(String);
    impl Beside for Alone {
        fn shown(&self) -> &str {
            &self.0
        }
        fn companion(&self, _: &str) -> R<bytes::Bytes> {
            Err(QError::type_())
        }
        fn domain(&self, _: Sym) -> R<Arc<crate::value::Domain>> {
            Err(QError::type_())
        }
    }
    let text = name.text();
    let file = path::join(folder, path::plain(&text)?);
    ctx.host().make_dir(folder)?;
    let mut all = Vec::new();
    ctx.host().extend_file(&file, &mut |old| {
        all.clear();
        if !old.is_empty() {
            let known = image::symbols(&bytes::Bytes::copy_from_slice(old), &Alone(file.clone()))?;
            symbols_in_order(&known, &mut all);
        }
        let mut seen: HashSet<Sym> = all.iter().copied().collect();
        let new: Vec<Sym> = symbols.iter().copied().filter(|s| seen.insert(*s)).collect();
        all.extend_from_slice(&new);
        Ok(match (old.is_empty(), new.is_empty()) {
            (true, _) => write::symbol_file(&new),
            (false, true) => Vec::new(),
            (false, false) => write::symbol_file(&new)[8..].to_vec(),
        })
    })?;
    ctx.set_global(name, Value::syms(all))
}

fn symbols_in_order(v: &Value, out: &mut Vec<Sym>) {
    if let Value::Vector(v) = v
        && let Data::Sym(d) = &v.data
    {
        out.extend_from_slice(d);
    }
}
