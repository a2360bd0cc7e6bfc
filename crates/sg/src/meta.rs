//! `.kxi.getMeta`: what the mesh knows of itself, as the dictionary of tables that clients expect.
//!
//! Keys `rc dap api agg assembly schema`; versions 1 to 3 differ as kdb Insights' do: 1 has a column per label
//! in `assembly`, 2 has `labels` there, 3 lifts an API's metadata into columns of its own and adds `uda`.

use std::collections::{BTreeMap, BTreeSet};

use kvalue::{Dict, Sym, Table, Type, Value, Vector};

use crate::{
    Ac, Api, Failure, LabelSet, Purview, Rc, TimeRange,
    api::Param,
    purview::{TableKind, TablePurview},
};

/// The versions there are; the last is the one to prefer.
pub const VERSIONS: [i64; 3] = [1, 2, 3];

/// What metadata is made of.
#[derive(Debug, Clone, Default)]
pub struct Mesh<'a> {
    /// coordinators: name and start, nanoseconds since 2000.01.01
    pub rcs: Vec<(Sym, i64)>,
    /// connected DAPs
    pub daps: Vec<&'a Purview>,
    /// connected Aggs: name and functions
    pub aggs: Vec<(Sym, &'a [Api])>,
}

/// The version asked for, checked.
pub fn version(asked: Option<i64>) -> Result<i64, Failure> {
    match asked {
        None => Ok(VERSIONS[0]),
        Some(n) if VERSIONS.contains(&n) => Ok(n),
        Some(n) => {
            let ai = format!("version {n} of .kxi.getMeta is not supported: use 1, 2 or 3");
            Err(Failure::new(Rc::VERSION, Ac::NOT_SUPPORTED, ai))
        }
    }
}

impl Mesh<'_> {
    /// The dictionary of tables.
    pub fn build(&self, version: i64) -> Value {
        Dict::of([
            ("rc", self.rc()),
            ("dap", self.dap()),
            ("api", self.api(version)),
            ("agg", self.agg()),
            ("assembly", self.assembly(version)),
            ("schema", self.schema()),
        ])
        .into()
    }

    fn apis(&self) -> BTreeMap<&Sym, (&Api, BTreeSet<Sym>, BTreeSet<Sym>)> {
        let mut apis: BTreeMap<&Sym, (&Api, BTreeSet<Sym>, BTreeSet<Sym>)> = BTreeMap::new();
        for dap in &self.daps {
            for api in &dap.apis {
                let entry = apis.entry(&api.name).or_insert_with(|| (api, BTreeSet::new(), BTreeSet::new()));
                entry.1.insert(dap.assembly.clone());
                entry.2.insert(dap.tier.clone());
            }
        }
        apis
    }

    fn agg_fns(&self) -> BTreeMap<&Sym, (&Api, BTreeSet<Sym>)> {
        let mut fns: BTreeMap<&Sym, (&Api, BTreeSet<Sym>)> = BTreeMap::new();
        for (name, list) in &self.aggs {
            for f in *list {
                fns.entry(&f.name).or_insert_with(|| (f, BTreeSet::new())).1.insert(name.clone());
            }
        }
        fns
    }

    fn assemblies(&self) -> BTreeMap<(&Sym, &LabelSet), BTreeSet<Sym>> {
        let mut all: BTreeMap<(&Sym, &LabelSet), BTreeSet<Sym>> = BTreeMap::new();
        for dap in &self.daps {
            let tables = all.entry((&dap.assembly, &dap.labels)).or_default();
            tables.extend(dap.tables.iter().map(|t| t.name.clone()));
        }
        all
    }

    fn rc(&self) -> Value {
        let labels: BTreeSet<&LabelSet> = self.daps.iter().map(|d| &d.labels).collect();
        let labels = Value::list(labels.into_iter().map(LabelSet::to_value).collect::<Vec<_>>());
        let n = self.rcs.len();
        let counts = |count: usize| longs(std::iter::repeat_n(count as i64, n));
        table([
            ("rc", syms(self.rcs.iter().map(|(name, _)| name))),
            ("labels", Value::list(vec![labels; n])),
            ("started", Vector::timestamps(self.rcs.iter().map(|(_, t)| *t).collect()).into()),
            ("api", counts(self.apis().len())),
            ("agg", counts(self.agg_fns().len())),
            ("assembly", counts(self.assemblies().len())),
            ("schema", counts(self.schemas().len())),
        ])
    }

    fn dap(&self) -> Value {
        let ranges: Vec<TimeRange> = self.daps.iter().map(|d| extent(d)).collect();
        table([
            ("dap", syms(self.daps.iter().map(|d| &d.name))),
            ("assembly", syms(self.daps.iter().map(|d| &d.assembly))),
            ("instance", syms(self.daps.iter().map(|d| &d.tier))),
            ("startTS", Vector::timestamps(ranges.iter().map(|r| r.start()).collect()).into()),
            ("endTS", Vector::timestamps(ranges.iter().map(|r| r.end()).collect()).into()),
            ("labels", list(self.daps.iter().map(|d| d.labels.to_value()))),
        ])
    }

    fn api(&self, version: i64) -> Value {
        let apis = self.apis();
        let each = |f: &dyn Fn(&Api) -> Value| list(apis.values().map(|(a, _, _)| f(a)));
        let mut columns = vec![
            ("api", syms(apis.keys().copied())),
            ("kxname", list(apis.values().map(|(_, assemblies, _)| syms(assemblies)))),
            ("aggFn", syms(apis.values().map(|(a, _, _)| &a.agg_fn))),
            ("custom", booleans(apis.values().map(|(a, _, _)| a.custom))),
            ("full", booleans(apis.values().map(|(a, _, _)| is_full(a)))),
        ];
        if version < 3 {
            columns.push(("metadata", each(&metadata)));
        } else {
            columns.push(("uda", booleans(apis.values().map(|(a, _, _)| a.custom))));
            columns.push(("description", each(&|a| Value::str(&a.description))));
            columns.push(("params", each(&|a| params(&a.params))));
            columns.push(("return", each(&returns)));
            columns.push(("aggReturn", each(&returns)));
            columns.push(("misc", each(&misc)));
        }
        columns.push(("procs", list(apis.values().map(|(_, _, tiers)| syms(tiers)))));
        table(columns)
    }

    fn agg(&self) -> Value {
        let fns = self.agg_fns();
        table([
            ("aggFn", syms(fns.keys().copied())),
            ("custom", booleans(fns.values().map(|(f, _)| f.custom))),
            ("full", booleans(fns.values().map(|(f, _)| is_full(f)))),
            ("metadata", list(fns.values().map(|(f, _)| metadata(f)))),
            ("procs", list(fns.values().map(|(_, procs)| syms(procs)))),
        ])
    }

    fn assembly(&self, version: i64) -> Value {
        let all = self.assemblies();
        let names = || syms(all.keys().map(|(assembly, _)| *assembly));
        let mut columns = vec![
            (Sym::new("assembly"), names()),
            (Sym::new("kxname"), names()),
            (Sym::new("tbls"), list(all.values().map(syms))),
        ];
        if version < 2 {
            let keys: BTreeSet<&Sym> = all.keys().flat_map(|(_, l)| l.iter().map(|(k, _)| k)).collect();
            for key in keys {
                let values = all.keys().map(|(_, labels)| labels.get(key).cloned().unwrap_or_default());
                columns
                    .push((key.clone(), Value::syms(values.collect::<Vec<_>>().iter().map(Sym::as_bytes))));
            }
        } else {
            columns.push((Sym::new("labels"), list(all.keys().map(|(_, labels)| labels.to_value()))));
        }
        let columns = columns.into_iter().map(|(name, column)| (name.as_bytes().to_vec(), column));
        Table::of(columns).map_or(Value::Null, Value::from)
    }

    fn schemas(&self) -> BTreeMap<&Sym, (&TablePurview, BTreeSet<Sym>)> {
        let mut all: BTreeMap<&Sym, (&TablePurview, BTreeSet<Sym>)> = BTreeMap::new();
        for dap in &self.daps {
            for t in &dap.tables {
                all.entry(&t.name).or_insert_with(|| (t, BTreeSet::new())).1.insert(dap.assembly.clone());
            }
        }
        all
    }

    fn schema(&self) -> Value {
        let all = self.schemas();
        table([
            ("table", syms(all.keys().copied())),
            ("assembly", list(all.values().map(|(_, assemblies)| syms(assemblies)))),
            ("type", Value::syms(all.values().map(|(t, _)| t.kind.name()))),
            ("columns", list(all.values().map(|(t, _)| columns(t)))),
        ])
    }
}

/// From the first to the last instant of the partitioned tables; all times where there is none.
fn extent(dap: &Purview) -> TimeRange {
    let held = || dap.tables.iter().filter(|t| t.kind == TableKind::Partitioned).map(|t| t.range);
    let start = held().map(TimeRange::start).min();
    let end = held().map(TimeRange::end).max();
    start.zip(end).and_then(|(s, e)| TimeRange::new(s, e)).unwrap_or(TimeRange::ALL)
}

fn is_full(api: &Api) -> bool {
    !api.description.is_empty()
}

fn metadata(api: &Api) -> Value {
    Dict::of([
        ("description", Value::str(&api.description)),
        ("params", params(&api.params)),
        ("return", returns(api)),
        ("aggReturn", returns(api)),
        ("misc", misc(api)),
    ])
    .into()
}

fn returns(api: &Api) -> Value {
    Dict::of([("type", Value::from(api.returns)), ("description", Value::str(""))]).into()
}

fn misc(api: &Api) -> Value {
    Dict::of([("safe", Value::from(api.safe))]).into()
}

fn params(params: &[Param]) -> Value {
    table([
        ("name", syms(params.iter().map(|p| &p.name))),
        ("type", list(params.iter().map(|p| Vector::new(Type::Short, p.types.clone()).into()))),
        ("isReq", booleans(params.iter().map(|p| p.required))),
        ("description", list(params.iter().map(|p| Value::str(&p.description)))),
    ])
}

fn columns(t: &TablePurview) -> Value {
    let n = t.columns.len();
    let no = || booleans(std::iter::repeat_n(false, n));
    table([
        ("column", syms(t.columns.iter().map(|c| &c.name))),
        ("typ", Vector::new(Type::Short, t.columns.iter().map(|c| c.ty).collect()).into()),
        ("attrMem", Value::syms(std::iter::repeat_n("", n))),
        ("attrOrd", Value::syms(std::iter::repeat_n("", n))),
        ("attrDisk", syms(t.columns.iter().map(|c| &c.attr))),
        ("isSerialized", no()),
        ("foreign", Value::syms(std::iter::repeat_n("", n))),
        ("anymap", no()),
    ])
}

fn syms<'a>(names: impl IntoIterator<Item = &'a Sym>) -> Value {
    Value::syms(names.into_iter().map(Sym::as_bytes))
}

fn longs(items: impl Iterator<Item = i64>) -> Value {
    Vector::longs(items.collect()).into()
}

fn booleans(items: impl Iterator<Item = bool>) -> Value {
    Vector::booleans(items.collect()).into()
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    Value::list(items.collect::<Vec<_>>())
}

fn table<'a>(columns: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    // Columns of equal length by construction.
    Table::of(columns).map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstanceId;

    fn purview(name: &str, labels: &str) -> Purview {
        Purview {
            name: name.into(),
            instance: InstanceId([0; 16]),
            epoch: 1,
            source: name.into(),
            assembly: "fin".into(),
            labels: LabelSet::parse(labels).unwrap(),
            tier: "hdb".into(),
            version: 1,
            tables: vec![TablePurview {
                name: "trade".into(),
                kind: TableKind::Partitioned,
                range: TimeRange::new(0, 10).unwrap(),
                cuts: vec![],
                time_column: "time".into(),
                columns: vec![crate::purview::ColumnMeta { name: "sym".into(), ty: 11, attr: "p".into() }],
            }],
            apis: crate::api::builtin(),
            capacity: 1,
        }
    }

    fn built(version: i64) -> Dict {
        let (a, b) = (purview("hdb-0", "region=amer"), purview("hdb-1", "region=emea,desk=x"));
        let fns = crate::api::builtin();
        let mesh =
            Mesh { rcs: vec![("rc-0".into(), 7)], daps: vec![&a, &b], aggs: vec![("agg-0".into(), &fns)] };
        mesh.build(version).as_dict().unwrap().clone()
    }

    fn column(dict: &Dict, table: &str, column: &str) -> Value {
        let value = dict.get(table).unwrap();
        value.as_table().unwrap().column(column).unwrap_or_else(|| panic!("{table}.{column}")).clone()
    }

    #[test]
    fn every_table_is_there_in_every_version() {
        for version in VERSIONS {
            let meta = built(version);
            let keys = meta.keys().as_names().unwrap();
            assert_eq!(keys, ["rc", "dap", "api", "agg", "assembly", "schema"].map(Sym::new));
            assert_eq!(column(&meta, "dap", "dap").as_names().unwrap(), ["hdb-0", "hdb-1"].map(Sym::new));
            assert_eq!(column(&meta, "rc", "assembly"), Vector::longs(vec![2]).into());
            assert_eq!(column(&meta, "schema", "table").as_names().unwrap(), [Sym::new("trade")]);
            qipc::encode(&Value::from(meta)).expect("travels");
        }
    }

    #[test]
    fn versions_differ_in_labels_and_metadata() {
        let v1 = built(1);
        assert_eq!(column(&v1, "assembly", "desk").as_names().unwrap().len(), 2);
        assert_eq!(column(&v1, "api", "metadata").count(), crate::api::builtin().len());
        let v3 = built(3);
        assert_eq!(column(&v3, "assembly", "labels").count(), 2);
        assert_eq!(column(&v3, "api", "params").count(), crate::api::builtin().len());
        assert!(version(Some(4)).unwrap_err().ai.contains("version 4"));
        assert_eq!(version(None), Ok(1));
    }

    #[test]
    fn an_empty_mesh_has_empty_tables() {
        let meta = Mesh::default().build(3);
        assert_eq!(column(meta.as_dict().unwrap(), "dap", "dap").count(), 0);
    }
}
