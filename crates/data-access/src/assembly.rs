//! The part of a kdb Insights assembly file that a DAP needs: name, labels, table schemas, mounts, the bus, and the
//! instances of data processes with the mounts that each serves.
//!
//! Microservice form has `elements`, `labels`, `mounts` and `tables` at the top; the enterprise form has them under
//! `spec`. Whatever else the file holds is passed over.

use std::{collections::BTreeMap, path::Path};

use kvalue::{Sym, Type};
use serde::Deserialize;
use sg::LabelSet;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assembly {
    /// its name, null where it has none
    pub name: Sym,
    /// labels of its data
    pub labels: LabelSet,
    /// table schemas
    pub tables: Vec<TableSchema>,
    /// where data is, by name
    pub mounts: BTreeMap<String, Mount>,
    /// `elements.dap.instances`: names of the mounts that each serves
    pub instances: BTreeMap<String, Vec<String>>,
    /// streams that bring rows
    pub buses: Vec<Bus>,
}

/// Where data is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mount {
    /// `stream`, `local`, `object`
    pub kind: String,
    /// `file:///path`; of a stream, anything
    pub base: String,
    /// `none`, `ordinal`, `date`
    pub partition: String,
}

/// A stream that brings rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bus {
    /// its name
    pub name: String,
    /// `rt`, `tp`, `custom`
    pub protocol: String,
    /// `host:port` of what can be subscribed to; none for Reliable Transport
    pub nodes: Vec<String>,
}

/// A declared table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSchema {
    /// table name
    pub name: Sym,
    /// time column (`prtnCol`), null for none
    pub time_column: Sym,
    /// column names and types; `None` for a general list or string column
    pub columns: Vec<(Sym, Option<Type>)>,
}

impl TableSchema {
    /// The schema as queries see it.
    pub fn to_schema(&self) -> getdata::TableSchema {
        let columns = self
            .columns
            .iter()
            .map(|(name, ty)| getdata::Column {
                name: name.clone(),
                kind: ty.map_or(getdata::ColumnKind::Any, getdata::ColumnKind::Basic),
            })
            .collect();
        let mut schema = getdata::TableSchema::timed(self.name.clone(), columns, None);
        if !self.time_column.is_null() {
            schema.time = Some(self.time_column.clone());
        }
        schema
    }
}

/// Why an assembly file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// It cannot be read.
    #[error("assembly file {path}: {source}")]
    Read {
        /// the file
        path: String,
        /// what the system says
        source: std::io::Error,
    },
    /// It is no YAML of the expected shape.
    #[error("assembly file {path}: {source}")]
    Parse {
        /// the file
        path: String,
        /// what the parser says
        source: serde_norway::Error,
    },
    /// A column type that q does not have.
    #[error(
        "assembly file {path}: table {table}, column {column} has type `{ty}`: expected a q type name such as symbol, or string"
    )]
    Type {
        /// the file
        path: String,
        /// table
        table: String,
        /// column
        column: String,
        /// type given
        ty: String,
    },
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    name: Option<String>,
    metadata: Option<Metadata>,
    spec: Option<Body>,
    #[serde(flatten)]
    body: Body,
}

#[derive(Deserialize)]
struct Metadata {
    name: Option<String>,
}

/// An empty section of the file counts as absent.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    labels: Option<BTreeMap<String, Scalar>>,
    tables: Option<BTreeMap<String, TableFile>>,
    mounts: Option<BTreeMap<String, MountFile>>,
    bus: Option<BTreeMap<String, BusFile>>,
    elements: Option<Elements>,
}

/// A text that YAML may take for something else, such as `shard: 1`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Bool(bool),
    Integer(i64),
    Float(f64),
}

impl Scalar {
    fn text(self) -> String {
        match self {
            Scalar::Text(text) => text,
            Scalar::Bool(b) => b.to_string(),
            Scalar::Integer(n) => n.to_string(),
            Scalar::Float(x) => x.to_string(),
        }
    }
}

/// One, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Scalar),
    Many(Vec<Scalar>),
}

impl OneOrMany {
    fn all(self) -> Vec<String> {
        match self {
            OneOrMany::One(one) => vec![one.text()],
            OneOrMany::Many(many) => many.into_iter().map(Scalar::text).collect(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct MountFile {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "baseURI")]
    base: Option<String>,
    partition: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BusFile {
    protocol: Option<String>,
    nodes: Option<OneOrMany>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Elements {
    dap: Option<Dap>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Dap {
    instances: Option<BTreeMap<String, Option<Instance>>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Instance {
    mount_name: Option<OneOrMany>,
    mount_list: Option<OneOrMany>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct TableFile {
    prtn_col: Option<String>,
    columns: Vec<ColumnFile>,
}

#[derive(Deserialize)]
struct ColumnFile {
    name: String,
    #[serde(rename = "type", default)]
    ty: String,
}

impl Assembly {
    /// Reads an assembly file.
    pub fn read(path: &Path) -> Result<Self, AssemblyError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| AssemblyError::Read { path: shown.clone(), source })?;
        Self::parse(&text, &shown)
    }

    /// Reads the text of a file at `path`.
    pub(crate) fn parse(text: &str, path: &str) -> Result<Self, AssemblyError> {
        let file: File = serde_norway::from_str(text)
            .map_err(|source| AssemblyError::Parse { path: path.into(), source })?;
        let name = file.metadata.and_then(|m| m.name).or(file.name).unwrap_or_default();
        let body = file.spec.unwrap_or(file.body);
        let mut tables = Vec::new();
        for (table, t) in body.tables.unwrap_or_default() {
            let mut columns = Vec::new();
            for c in t.columns {
                let ty = column_type(&c.ty).ok_or_else(|| AssemblyError::Type {
                    path: path.into(),
                    table: table.clone(),
                    column: c.name.clone(),
                    ty: c.ty.clone(),
                })?;
                columns.push((Sym::new(&c.name), ty));
            }
            let time_column = t.prtn_col.map_or(Sym::null(), Sym::new);
            tables.push(TableSchema { name: Sym::new(&table), time_column, columns });
        }
        let mount = |m: MountFile| Mount {
            kind: m.kind,
            base: m.base.unwrap_or_default(),
            partition: m.partition.unwrap_or_default(),
        };
        let bus = |(name, b): (String, BusFile)| Bus {
            name,
            protocol: b.protocol.unwrap_or_default(),
            nodes: b.nodes.map(OneOrMany::all).unwrap_or_default(),
        };
        let mounts_of = |i: Option<Instance>| {
            let i = i.unwrap_or_default();
            i.mount_list.or(i.mount_name).map(OneOrMany::all).unwrap_or_default()
        };
        let instances = body.elements.and_then(|e| e.dap).and_then(|d| d.instances).unwrap_or_default();
        let labels = body.labels.unwrap_or_default().into_iter().map(|(k, v)| (k, v.text()));
        Ok(Assembly {
            name: Sym::new(name),
            labels: LabelSet::new(labels),
            tables,
            mounts: body.mounts.unwrap_or_default().into_iter().map(|(name, m)| (name, mount(m))).collect(),
            instances: instances.into_iter().map(|(name, i)| (name, mounts_of(i))).collect(),
            buses: body.bus.unwrap_or_default().into_iter().map(bus).collect(),
        })
    }
}

/// The q type of a schema's type name; the inner `None` is a general list.
#[allow(clippy::option_option)]
fn column_type(name: &str) -> Option<Option<Type>> {
    match name {
        "string" | "" | "general" | "any" => Some(None),
        _ => {
            let basic = |name: &str| Type::ALL.into_iter().find(|t| t.name() == name);
            // The plural of a type is a list in each row.
            let lists = || name.strip_suffix('s').and_then(basic).map(|_| None);
            basic(name).map(Some).or_else(lists)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = "
    trade:
      type: partitioned
      prtnCol: time
      columns:
        - {name: time, type: timestamp}
        - {name: sym, type: symbol}
        - {name: note, type: string}
";

    #[test]
    fn both_forms_are_read() {
        let micro = format!("name: fin\nlabels: {{region: amer}}\nelements: {{}}\ntables:{TABLES}");
        let enterprise =
            format!("metadata: {{name: fin}}\nspec:\n  labels: {{region: amer}}\n  tables:{TABLES}");
        let read = |text: &str| Assembly::parse(text, "a.yaml").unwrap();
        let a = read(&micro);
        assert_eq!(a, read(&enterprise));
        assert_eq!(a.labels, LabelSet::parse("region=amer").unwrap());
        assert_eq!(a.tables[0].time_column, "time");
        assert_eq!(
            a.tables[0].columns,
            [
                ("time".into(), Some(Type::Timestamp)),
                ("sym".into(), Some(Type::Symbol)),
                ("note".into(), None)
            ]
        );
    }

    #[test]
    fn a_wrong_type_is_named() {
        let text = "tables: {t: {columns: [{name: a, type: integer}]}}";
        let err = Assembly::parse(text, "a.yaml").unwrap_err().to_string();
        assert!(err.contains("table t, column a has type `integer`"), "{err}");
    }

    #[test]
    fn labels_of_any_scalar_plural_types_and_empty_sections_are_read() {
        let text = "name: a b\nlabels: {shrd: 1, live: true, region: us}\nmounts:\nbus: {}\n\
            elements: {sm: {source: s}}\n\
            tables: {t: {prtnCol: time, columns: [{name: time, type: timestamp}, {name: x, type: floats}]}}";
        let a = Assembly::parse(text, "a.yaml").unwrap();
        assert_eq!(a.labels, LabelSet::parse("live=true,region=us,shrd=1").unwrap());
        assert_eq!(a.tables[0].columns[1].1, None);
        assert!(a.mounts.is_empty() && a.instances.is_empty() && a.buses.is_empty());
        assert!(Assembly::parse("tables: {}\nlabels:", "a.yaml").is_ok());
    }
}
