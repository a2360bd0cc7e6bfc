//! What a DAP covers: its labels, tier, tables with their time ranges and schemas, and APIs.
//!
//! A purview is declared by the DAP (`registerDAP`) and is all that routing knows of it. `version` grows with
//! every change: a portion carries the version it was planned with, and a DAP whose purview has moved since
//! refuses it, so that no instant is lost or served twice.

use kvalue::{Atom, Dict, Sym, Table, Type, Value, Vector};

use crate::{api::Api, codes::Failure, ids::InstanceId, labels::LabelSet, range::TimeRange};

/// How a table's rows are kept (getMeta's `type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// time-partitioned: a source holds a stretch of time of it
    Partitioned,
    /// splayed, without a time range: any source of the label set has all of it
    Splayed,
    /// one serialised object, without a time range
    Basic,
}

impl TableKind {
    /// The name getMeta uses.
    pub fn name(self) -> &'static str {
        match self {
            TableKind::Partitioned => "partitioned",
            TableKind::Splayed => "splayed",
            TableKind::Basic => "basic",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [TableKind::Partitioned, TableKind::Splayed, TableKind::Basic].into_iter().find(|k| k.name() == name)
    }
}

/// One column of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMeta {
    /// column name
    pub name: Sym,
    /// q type number: positive for a typed list, 0 for a general list
    pub ty: i16,
    /// attribute letter, empty for none
    pub attr: Sym,
}

/// One table of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePurview {
    /// table name
    pub name: Sym,
    /// how it is kept
    pub kind: TableKind,
    /// instants whose rows the source holds; [`TimeRange::ALL`] unless partitioned
    pub range: TimeRange,
    /// instants inside `range`, ascending, at which work on it can be divided among replicas of the source:
    /// where its partitions start; at most [`TablePurview::MAX_CUTS`] are registered
    pub cuts: Vec<i64>,
    /// name of the time column, null for none
    pub time_column: Sym,
    /// columns in order
    pub columns: Vec<ColumnMeta>,
}

/// What one DAP replica covers.
#[derive(Debug, Clone, PartialEq)]
pub struct Purview {
    /// process name (`KXI_NAME`)
    pub name: Sym,
    /// the running process
    pub instance: InstanceId,
    /// grows with each registration of this process; the highest wins
    pub epoch: i64,
    /// replicas of the same data say the same source; told apart only by this
    pub source: Sym,
    /// assembly (package) the source belongs to; null for none
    pub assembly: Sym,
    /// labels of the source
    pub labels: LabelSet,
    /// `rdb`, `idb` or `hdb`
    pub tier: Sym,
    /// grows with every change of tables or ranges
    pub version: i64,
    /// tables served
    pub tables: Vec<TablePurview>,
    /// APIs it can run
    pub apis: Vec<Api>,
    /// portions it runs at a time
    pub capacity: u32,
}

impl Purview {
    /// The table of this name.
    pub fn table(&self, name: &Sym) -> Option<&TablePurview> {
        self.tables.iter().find(|t| &t.name == name)
    }

    /// True where the DAP runs this API.
    pub fn has_api(&self, name: &Sym) -> bool {
        self.apis.iter().any(|a| &a.name == name)
    }

    /// The dictionary that `registerDAP` carries.
    pub fn to_value(&self) -> Value {
        Dict::of([
            ("name", Value::from(self.name.clone())),
            ("instanceId", Value::Atom(Atom::Guid(self.instance.0))),
            ("epoch", self.epoch.into()),
            ("source", self.source.clone().into()),
            ("assembly", self.assembly.clone().into()),
            ("labels", self.labels.to_value()),
            ("instance", self.tier.clone().into()),
            ("pvVer", self.version.into()),
            ("tables", Value::list(self.tables.iter().map(TablePurview::to_value).collect::<Vec<_>>())),
            ("apis", Value::list(self.apis.iter().map(Api::to_value).collect::<Vec<_>>())),
            ("capacity", i64::from(self.capacity).into()),
        ])
        .into()
    }

    /// From what `registerDAP` carries. Only `name` and `tables` are needed; the rest has defaults, so that a
    /// q process can register by hand.
    pub fn from_value(value: &Value) -> Result<Self, Failure> {
        let d = value.as_dict().ok_or_else(|| bad("it must be a dictionary", value))?;
        let name =
            d.get("name").and_then(|v| v.as_name()).ok_or_else(|| bad("name must be a symbol", value))?;
        let sym = |key: &str| d.get(key).and_then(|v| v.as_name()).unwrap_or(Sym::null());
        let long = |key: &str| d.get(key).and_then(|v| v.as_i64());
        let instance = match d.get("instanceId") {
            Some(Value::Atom(Atom::Guid(g))) => InstanceId(g),
            _ => InstanceId([0; 16]),
        };
        let items = |key: &str| match d.get(key) {
            Some(Value::List(l)) => l.items().to_vec(),
            Some(Value::Vector(v)) => v.iter().map(Value::Atom).collect(),
            _ => Vec::new(),
        };
        let tables = items("tables").iter().map(TablePurview::from_value).collect::<Result<_, _>>()?;
        let tier = sym("instance");
        Ok(Purview {
            instance,
            epoch: long("epoch").unwrap_or(0),
            source: Some(sym("source")).filter(|s| !s.is_null()).unwrap_or_else(|| name.clone()),
            assembly: sym("assembly"),
            labels: d.get("labels").map_or_else(|| Ok(LabelSet::default()), |v| LabelSet::from_value(&v))?,
            tier: if tier.is_null() { "hdb".into() } else { tier },
            version: long("pvVer").unwrap_or(0),
            tables,
            apis: items("apis").iter().filter_map(Api::from_value).collect(),
            capacity: long("capacity").and_then(|n| u32::try_from(n).ok()).unwrap_or(1).clamp(1, 1024),
            name,
        })
    }
}

impl TablePurview {
    /// Most instants at which a table says it can be divided.
    pub const MAX_CUTS: usize = 4096;

    fn to_value(&self) -> Value {
        let columns = Table::of([
            ("column", Value::syms(self.columns.iter().map(|c| c.name.as_bytes()))),
            ("typ", Vector::new(Type::Short, self.columns.iter().map(|c| c.ty).collect()).into()),
            ("attr", Value::syms(self.columns.iter().map(|c| c.attr.as_bytes()))),
        ]);
        Dict::of([
            ("table", Value::from(self.name.clone())),
            ("type", Value::sym(self.kind.name())),
            ("startTS", Value::Atom(Atom::Timestamp(self.range.start()))),
            ("endTS", Value::Atom(Atom::Timestamp(self.range.end()))),
            ("cuts", Vector::timestamps(self.cuts.clone()).into()),
            ("prtnCol", self.time_column.clone().into()),
            ("columns", columns.map_or(Value::Null, Value::from)),
        ])
        .into()
    }

    fn from_value(value: &Value) -> Result<Self, Failure> {
        let d = value.as_dict().ok_or_else(|| bad("each table must be a dictionary", value))?;
        let name =
            d.get("table").and_then(|v| v.as_name()).ok_or_else(|| bad("table must be a symbol", value))?;
        let kind = d
            .get("type")
            .and_then(|v| v.as_name())
            .and_then(|n| TableKind::from_name(&n.text()))
            .unwrap_or(TableKind::Partitioned);
        let bound = |key: &str, default| d.get(key).and_then(|v| v.as_i64()).unwrap_or(default);
        let (start, end) = (bound("startTS", TimeRange::MIN), bound("endTS", TimeRange::MAX));
        let range = TimeRange::new(start, end)
            .ok_or_else(|| bad(&format!("table {name} starts after it ends"), value))?;
        let columns = match d.get("columns") {
            Some(Value::Table(t)) => columns_of(&t).ok_or_else(|| {
                bad(&format!("columns of table {name} must hold column, typ and attr"), value)
            })?,
            _ => Vec::new(),
        };
        let mut cuts = match d.get("cuts") {
            Some(Value::Vector(v)) => v.as_buf::<i64>().map(|b| b.to_vec()).unwrap_or_default(),
            _ => Vec::new(),
        };
        cuts.retain(|&t| range.start() < t && t < range.end());
        cuts.sort_unstable();
        cuts.dedup();
        cuts.truncate(Self::MAX_CUTS);
        let time_column = d.get("prtnCol").and_then(|v| v.as_name()).unwrap_or(Sym::null());
        Ok(TablePurview { name, kind, range, cuts, time_column, columns })
    }
}

fn columns_of(t: &Table) -> Option<Vec<ColumnMeta>> {
    let names = t.column("column")?.as_names()?;
    let types = t.column("typ")?.as_vector()?.as_buf::<i16>()?;
    let attrs = t.column("attr")?.as_names()?;
    Some(
        names
            .into_iter()
            .zip(types.iter())
            .zip(attrs)
            .map(|((name, ty), attr)| ColumnMeta { name, ty, attr })
            .collect(),
    )
}

fn bad(why: &str, value: &Value) -> Failure {
    Failure::arg(format!("bad purview: {why}, got a {}", value.type_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purviews_survive_the_wire() {
        let purview = Purview {
            name: "hdb-0".into(),
            instance: InstanceId::random(),
            epoch: 3,
            source: "abc".into(),
            assembly: "fin".into(),
            labels: LabelSet::parse("region=amer").unwrap(),
            tier: "hdb".into(),
            version: 7,
            tables: vec![TablePurview {
                name: "trade".into(),
                kind: TableKind::Partitioned,
                range: TimeRange::new(0, 10).unwrap(),
                cuts: vec![4, 7],
                time_column: "time".into(),
                columns: vec![ColumnMeta { name: "sym".into(), ty: 11, attr: "p".into() }],
            }],
            apis: crate::api::builtin(),
            capacity: 1,
        };
        assert_eq!(Purview::from_value(&purview.to_value()).unwrap(), purview);
    }

    #[test]
    fn a_backwards_table_is_refused_by_name() {
        let table = Dict::of([
            ("table", Value::sym("t")),
            ("startTS", Value::Atom(Atom::Timestamp(5))),
            ("endTS", Value::Atom(Atom::Timestamp(1))),
        ]);
        let d = Dict::of([("name", Value::sym("x")), ("tables", Value::list([Value::from(table)]))]);
        let err = Purview::from_value(&d.into()).unwrap_err();
        assert!(err.ai.contains("table t starts after it ends"), "{}", err.ai);
    }
}
