//! `\l folder`: a database's variables, scripts, splayed and partitioned tables; `.Q.bv .Q.view .Q.chk` and what else
//! is about the partitions that are loaded.

use std::sync::Arc;

use super::{
    bytes,
    domains::Domains,
    parts::{Base, Field, PartTable, Place, values},
    path,
    splayed::{Folder, Splayed},
    store::{self, How},
};
use crate::{
    QError, R,
    ctx::{Ctx, Def},
    host::Files,
    ops::table::parted::{Parted, Partitioned},
    value::{Dict, Mapped, Sym, Table, Value},
};

/// Rows of this file's primitives.
pub(super) const ROWS: &[Def] = &[
    // `\l folder`: the evaluator calls it by this name
    Def::monad(".load", |ctx, x| load(ctx, &path::named(&x)?)),
    Def::monad(".Q.l", |ctx, x| load(ctx, &path::named(&x)?)),
    Def::many(".Q.lo", (3, 3), |ctx, a| {
        let here = ctx.host().current_dir()?;
        let run_scripts = a[2].as_int().is_some_and(|n| n != 0);
        load_with(ctx, &path::named(&a[0])?, run_scripts)?;
        match a[1].as_int() {
            Some(0) => ctx.host().change_dir(&here).map(|()| Value::Nil),
            _ => Ok(Value::Nil),
        }
    }),
    Def::monad(".Q.bv", bv),
    Def::monad(".Q.view", view),
    Def::monad(".Q.chk", chk),
    Def::monad(".Q.li", li),
];

/// Loads a folder.
pub fn load(ctx: &mut dyn Ctx, folder: &str) -> R {
    load_with(ctx, folder, true)
}

fn load_with(ctx: &mut dyn Ctx, folder: &str, run_scripts: bool) -> R {
    let files = ctx.host().files();
    let folder = if folder.len() > 1 { folder.trim_end_matches('/') } else { folder };
    if files.stat(&path::join(folder, ".d"))?.is_some() {
        let name = Sym::new(path::leaf(folder));
        let root = absolute(ctx, path::parent(folder))?;
        let domains = Arc::new(Domains::new(&root, files.clone()));
        let at =
            Folder { path: absolute(ctx, folder)?, shown: folder.to_owned(), files: files.clone(), domains };
        let names = store::columns_of(&*files, folder)?;
        ctx.set_global(name, Value::Mapped(Arc::new(Splayed { folder: at, names })))?;
        return Ok(Value::Sym(name));
    }
    ctx.host().change_dir(folder)?;
    let root = absolute(ctx, ".")?;
    root_of(ctx, &files, &root, run_scripts)?;
    Ok(Value::Nil)
}

fn absolute(ctx: &mut dyn Ctx, folder: &str) -> R<String> {
    if folder.starts_with('/') {
        return Ok(folder.to_owned());
    }
    let here = ctx.host().current_dir()?;
    Ok(if folder == "." { here } else { path::join(&here, folder.strip_prefix("./").unwrap_or(folder)) })
}

/// What is in a database root.
#[derive(Default)]
struct Found {
    partitions: Vec<(Field, Place)>,
    segments: Vec<String>,
    splayed: Vec<String>,
    variables: Vec<String>,
    scripts: Vec<String>,
}

fn scan(files: &dyn Files, root: &str) -> R<Found> {
    let mut found = Found::default();
    for name in files.list(root)? {
        if name.starts_with('.') || name.ends_with('$') || name.ends_with('#') {
            continue;
        }
        let at = path::join(root, &name);
        let is_dir = files.stat(&at)?.is_some_and(|s| s.is_dir);
        let is_script = [".q", ".k", ".s", ".q_", ".k_"].iter().any(|end| name.ends_with(end));
        match (is_dir, Field::parse(&name)) {
            (true, Some((field, value))) => {
                let place = Place { value, segment: ".".into(), leaf: name, path: at };
                found.partitions.push((field, place));
            }
            (true, None) if files.stat(&path::join(&at, ".d"))?.is_some() => found.splayed.push(name),
            (true, None) => {}
            (false, _) if name == "par.txt" => {
                let text = files.map(&at)?;
                found.segments = bytes::lines(&text)
                    .filter(|l| !l.trim_ascii().is_empty())
                    .map(|l| String::from_utf8_lossy(l.trim_ascii()).into_owned())
                    .map(|l| l.strip_prefix(':').map_or(l.clone(), str::to_owned))
                    .collect();
            }
            (false, _) if is_script => found.scripts.push(name),
            (false, _) => found.variables.push(name),
        }
    }
    for segment in &found.segments {
        let below = if segment.starts_with('/') { segment.clone() } else { path::join(root, segment) };
        for name in files.list(&below)? {
            if let Some((field, value)) = Field::parse(&name) {
                let path = path::join(&below, &name);
                let place = Place { value, segment: segment.clone(), leaf: name, path };
                found.partitions.push((field, place));
            }
        }
    }
    // Stable: segments keep their order within a value.
    found.partitions.sort_by_key(|(_, p)| p.value);
    Ok(found)
}

/// The field of all partitions; names of four digits are years only where all are.
fn one_field(root: &str, partitions: &[(Field, Place)]) -> R<Option<Field>> {
    let Some((first, _)) = partitions.first() else { return Ok(None) };
    if partitions.iter().all(|(f, _)| matches!(f, Field::Year | Field::Int)) {
        let years = partitions.iter().all(|(f, _)| *f == Field::Year);
        return Ok(Some(if years { Field::Year } else { Field::Int }));
    }
    match partitions.iter().all(|(f, _)| f == first) {
        true => Ok(Some(*first)),
        false => Err(QError::new(format!("{root}: partitions of two kinds"))),
    }
}

fn root_of(ctx: &mut dyn Ctx, files: &Arc<dyn Files>, root: &str, run_scripts: bool) -> R<()> {
    let found = scan(&**files, root)?;
    let domains = Arc::new(Domains::new(root, files.clone()));
    for name in &found.variables {
        match store::get(ctx, name) {
            Ok(value) => ctx.set_global(Sym::new(name), value)?,
            Err(e) if e.is_trappable() => {
                // q stops here; a stray file next to a database is no reason not to see the database.
                ctx.host().print(2, format!("not loaded: {}\n", e.text()).as_bytes())?;
            }
            Err(e) => return Err(e),
        }
    }
    for name in &found.splayed {
        let folder = Folder {
            path: path::join(root, name),
            shown: format!("./{name}"),
            files: files.clone(),
            domains: domains.clone(),
        };
        let names = store::columns_of(&**files, &folder.path)?;
        ctx.set_global(Sym::new(name), Value::Mapped(Arc::new(Splayed { folder, names })))?;
    }
    if let Some(field) = one_field(root, &found.partitions)? {
        let all: Vec<Place> = found.partitions.into_iter().map(|(_, p)| p).collect();
        let base = Arc::new(Base {
            field,
            places: all.clone(),
            all,
            segments: found.segments,
            files: files.clone(),
            domains,
        });
        publish(ctx, &base, None)?;
    }
    for name in found.scripts.iter().filter(|_| run_scripts) {
        let load = ctx.lookup(Sym::new("system")).ok_or_else(QError::nyi)?;
        ctx.apply(&load, vec![Value::string(format!("l {name}"))])?;
    }
    Ok(())
}

/// The tables of a partition.
fn tables_in(files: &dyn Files, place: &Place) -> R<Vec<String>> {
    if files.stat(&place.path)?.is_none() {
        return Ok(Vec::new());
    }
    let mut tables = Vec::new();
    for name in files.list(&place.path)? {
        let is_table = !name.starts_with('.') && !name.ends_with('$');
        if is_table && files.stat(&path::join(&place.path, &name))?.is_some_and(|s| s.is_dir) {
            tables.push(name);
        }
    }
    Ok(tables)
}

/// Sets the variables that tell of a database's partitions, and its tables. `templates` gives the partition to take a
/// table's columns from where that is not the last one.
fn publish(ctx: &mut dyn Ctx, base: &Arc<Base>, filled: Option<Vec<PartTable>>) -> R<()> {
    let tables = match filled {
        Some(tables) => tables,
        None => {
            let mut tables = Vec::new();
            if let Some(last) = base.places.len().checked_sub(1) {
                for name in tables_in(&*base.files, &base.places[last])? {
                    let folder = base.folder(last, Sym::new(&name))?;
                    let names = store::columns_of(&*base.files, &folder.path)?;
                    tables.push(PartTable::new(base.clone(), Sym::new(&name), names, None));
                }
            }
            tables
        }
    };
    let names: Vec<Sym> = tables.iter().map(|t| t.name).collect();
    for table in tables {
        let name = table.name;
        ctx.set_global(name, Value::Mapped(Arc::new(Parted(Arc::new(table)))))?;
    }
    let segments =
        |places: &[Place]| Value::syms(places.iter().map(|p| Sym::new(format!(":{}", p.segment))).collect());
    let field = base.field.name();
    let mut set = |name: &str, value: Value| ctx.set_global(Sym::new(name), value);
    set(".Q.pf", Value::Sym(field))?;
    set(".Q.pt", Value::syms(names.clone()))?;
    set(".Q.pv", base.values())?;
    set(".Q.PV", values(base.field, &base.all))?;
    set(".Q.pd", segments(&base.places))?;
    set(".Q.PD", segments(&base.all))?;
    set(".Q.pn", counts(&names.iter().map(|n| (*n, Value::empty_list())).collect::<Vec<_>>()))?;
    if !base.segments.is_empty() {
        set(".Q.P", Value::syms(base.segments.iter().map(|s| Sym::new(format!(":{s}"))).collect()))?;
        let of = |s: &String| {
            let places: Vec<Place> = base.all.iter().filter(|p| p.segment == *s).cloned().collect();
            values(base.field, &places)
        };
        set(".Q.D", Value::list(base.segments.iter().map(of).collect()))?;
    }
    ctx.set_global(field, base.values())
}

pub(super) fn counts(of: &[(Sym, Value)]) -> Value {
    let names = Value::syms(of.iter().map(|p| p.0).collect());
    Value::dict(Dict {
        keys: names,
        values: Value::list(of.iter().map(|p| p.1.clone()).collect()),
        sorted: false,
    })
}

/// The source of a partitioned table; `None` for anything else.
pub(super) fn part_table(v: &Value) -> Option<Arc<dyn Partitioned>> {
    let Value::Mapped(m) = v else { return None };
    m.as_any().downcast_ref::<Parted>().map(|p| p.0.clone())
}

/// The tables of the database that is loaded.
type Tables = Vec<Arc<dyn Partitioned>>;

/// The database that is loaded, by its tables.
fn loaded(ctx: &mut dyn Ctx) -> R<(Arc<Base>, Tables)> {
    let names = ctx.global(Sym::new(".Q.pt")).map(|v| v.items()).unwrap_or_default();
    let mut tables = Vec::new();
    for name in names.iter().filter_map(Value::as_sym) {
        tables.extend(ctx.global(name).as_ref().and_then(part_table));
    }
    let of = |t: &Arc<dyn Partitioned>| Some(t.source()?.downcast_ref::<PartTable>()?.base.clone());
    match tables.iter().find_map(of) {
        Some(base) => Ok((base, tables)),
        None => Err(QError::new("pt")),
    }
}

/// The same database with other partitions in view, and its tables.
fn with_places(
    base: &Base,
    tables: &[Arc<dyn Partitioned>],
    places: Vec<Place>,
) -> (Arc<Base>, Vec<PartTable>) {
    let new = Arc::new(Base {
        field: base.field,
        places,
        all: base.all.clone(),
        segments: base.segments.clone(),
        files: base.files.clone(),
        domains: base.domains.clone(),
    });
    let again = |t: &Arc<dyn Partitioned>| {
        let t = t.source()?.downcast_ref::<PartTable>()?;
        Some(PartTable::new(new.clone(), t.name, t.names.clone(), t.fill.clone()))
    };
    let tables = tables.iter().filter_map(again).collect();
    (new, tables)
}

/// `.Q.view partitions` restricts queries to these; `.Q.view[]` takes the restriction back.
fn view(ctx: &mut dyn Ctx, x: Value) -> R {
    let (base, tables) = loaded(ctx)?;
    let places = match &x {
        Value::Nil => base.all.clone(),
        x => {
            let wanted: Vec<i64> = x.items().iter().filter_map(Value::as_int).collect();
            base.all.iter().filter(|p| wanted.contains(&p.value)).cloned().collect()
        }
    };
    let (base, tables) = with_places(&base, &tables, places);
    publish(ctx, &base, Some(tables))?;
    Ok(Value::Nil)
}

/// `.Q.bv[]`: partitions that lack a table count as empty; ``.Q.bv[`]`` takes schemas from the first partition that
/// has the table rather than the last.
fn bv(ctx: &mut dyn Ctx, x: Value) -> R {
    let (base, _) = loaded(ctx)?;
    let from_first = matches!(&x, Value::Sym(s) if s.is_null());
    let mut order: Vec<usize> = (0..base.places.len()).collect();
    if !from_first {
        order.reverse();
    }
    let mut tables: Vec<(String, usize, usize)> = Vec::new();
    for &at in &order {
        for name in tables_in(&*base.files, &base.places[at])? {
            match tables.iter_mut().find(|t| t.0 == name) {
                Some(t) => t.2 += 1,
                None => tables.push((name, at, 1)),
            }
        }
    }
    tables.sort();
    let (mut made, mut partly) = (Vec::new(), Vec::new());
    for (name, at, n) in tables {
        let name = Sym::new(name);
        let folder = base.folder(at, name)?;
        let names = store::columns_of(&*base.files, &folder.path)?;
        let empty = names.iter().map(|c| Ok(folder.column(*c)?.slice(0, 0))).collect::<R<Vec<Value>>>()?;
        if n < base.places.len() {
            let field = base.values().slice(0, 0);
            let all = std::iter::once(base.field.name()).chain(names.iter().copied()).collect::<Vec<_>>();
            let columns = std::iter::once(field).chain(empty.iter().cloned()).collect();
            partly.push((name, Value::table(Table::new(all, columns)?)));
        }
        made.push(PartTable::new(base.clone(), name, names, Some(empty)));
    }
    publish(ctx, &base, Some(made))?;
    ctx.set_global(Sym::new(".Q.vp"), counts(&partly))?;
    Ok(Value::Nil)
}

/// `.Q.chk folder`: writes empty tables into partitions that lack them, as the latest partition that has each shows.
fn chk(ctx: &mut dyn Ctx, x: Value) -> R {
    let folder = path::of(&x).ok_or_else(QError::type_)?;
    let root = absolute(ctx, folder.trim_end_matches('/'))?;
    let files = ctx.host().files();
    let found = scan(&*files, &root)?;
    let domains = Arc::new(Domains::new(&root, files.clone()));
    let places: Vec<Place> = found.partitions.into_iter().map(|(_, p)| p).collect();
    let mut templates: Vec<(String, Folder)> = Vec::new();
    for place in places.iter().rev() {
        for name in tables_in(&*files, place)? {
            if !templates.iter().any(|t| t.0 == name) {
                let path = path::join(&place.path, &name);
                let (files, domains) = (files.clone(), domains.clone());
                templates.push((name, Folder { shown: path.clone(), path, files, domains }));
            }
        }
    }
    let mut done = Vec::new();
    for place in &places {
        let has = tables_in(&*files, place)?;
        let mut filled = Vec::new();
        for (name, template) in templates.iter().filter(|t| !has.contains(&t.0)) {
            let names = store::columns_of(&*files, &template.path)?;
            let empty = names.iter().map(|c| Ok(template.column(*c)?.slice(0, 0))).collect::<R<Vec<_>>>()?;
            let to = format!("{}/", path::join(&place.path, name));
            store::store(ctx, &to, &Value::table(Table::new(names, empty)?), &How::Default)?;
            filled.push(path::symbol(&place.path));
        }
        done.push(if filled.is_empty() { Value::empty_list() } else { Value::from_items(filled) });
    }
    Ok(Value::list(done))
}

/// `.Q.li partitions`: takes partitions into view that were written after the database was loaded.
fn li(ctx: &mut dyn Ctx, x: Value) -> R {
    let (base, tables) = loaded(ctx)?;
    let root = absolute(ctx, ".")?;
    let found = scan(&*base.files, &root)?;
    let wanted: Vec<i64> = x.items().iter().filter_map(Value::as_int).collect();
    let mut places = base.all.clone();
    for (_, place) in found.partitions {
        if wanted.contains(&place.value) && !places.iter().any(|p| p.path == place.path) {
            places.push(place);
        }
    }
    places.sort_by_key(|p| p.value);
    let base = Base {
        field: base.field,
        places: places.clone(),
        all: places.clone(),
        segments: base.segments.clone(),
        files: base.files.clone(),
        domains: base.domains.clone(),
    };
    let (base, tables) = with_places(&base, &tables, places);
    publish(ctx, &base, Some(tables))?;
    Ok(Value::Nil)
}

/// `flip names!symbol`: the splayed table in a folder, or the partitioned table of a name.
pub fn mapped(ctx: &mut dyn Ctx, names: Vec<Sym>, of: Sym) -> R {
    let value = Value::Sym(of);
    if let Some(folder) = path::of(&value) {
        let shown = folder.trim_end_matches('/').to_owned();
        let root = absolute(ctx, path::parent(&folder))?;
        let files = ctx.host().files();
        let domains = Arc::new(Domains::new(&root, files.clone()));
        let folder = Folder { path: absolute(ctx, &shown)?, shown, files, domains };
        return Ok(Value::Mapped(Arc::new(Splayed { folder, names })));
    }
    let (base, _) = loaded(ctx).map_err(|_| QError::new(of.text()))?;
    let table: Arc<dyn Mapped> = Arc::new(Parted(Arc::new(PartTable::new(base, of, names, None))));
    Ok(Value::Mapped(table))
}
