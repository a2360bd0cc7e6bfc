//! The part of a kdb Insights assembly file that a DAP needs: name, labels and table schemas.
//!
//! Microservice form has `elements`, `labels` and `tables` at the top; the enterprise form has them under
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

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    labels: BTreeMap<String, String>,
    tables: BTreeMap<String, TableFile>,
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

    fn parse(text: &str, path: &str) -> Result<Self, AssemblyError> {
        let file: File = serde_norway::from_str(text)
            .map_err(|source| AssemblyError::Parse { path: path.into(), source })?;
        let name = file.metadata.and_then(|m| m.name).or(file.name).unwrap_or_default();
        let body = file.spec.unwrap_or(file.body);
        let mut tables = Vec::new();
        for (table, t) in body.tables {
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
        Ok(Assembly { name: Sym::new(name), labels: LabelSet::new(body.labels), tables })
    }
}

/// The q type of a schema's type name; the inner `None` is a general list.
#[allow(clippy::option_option)]
fn column_type(name: &str) -> Option<Option<Type>> {
    match name {
        "string" | "" | "general" | "any" => Some(None),
        _ => Type::ALL.into_iter().find(|t| t.name() == name).map(Some),
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
}
