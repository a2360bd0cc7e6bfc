//! What a portion gives: rows, or states of groups; and how it travels.
//!
//! Rows travel as the table they are. States travel as a dictionary that says all a merge must know, so that the
//! merge needs no schema: `form` (`` `groups``), `keys`, `names` and `functions` of the aggregates, `inputs` (type
//! numbers of each aggregate's columns, 0 for a general list), and `table`, the key columns followed by the
//! state columns of each aggregate, one row a group. Tests: `tests/oracle.rs`, `merge`.

use kernels::aggregate::{Function, PartialColumns};
use kvalue::{Dict, Sym, Symbols, Table, Type, Value, Vector};
use sg::Failure;

use crate::{bind::BoundAggregate, failure, groups::Part};

/// States of groups with all that is needed to merge and finish them.
#[derive(Debug, Clone)]
pub(crate) struct States {
    pub(crate) keys: Vec<Sym>,
    pub(crate) names: Vec<Sym>,
    pub(crate) functions: Vec<Function>,
    pub(crate) inputs: Vec<Vec<Option<Type>>>,
    pub(crate) part: Part,
}

const FORM: &str = "groups";

impl States {
    pub(crate) fn new(keys: &[Sym], aggregates: &[BoundAggregate], part: Part) -> Self {
        States {
            keys: keys.to_vec(),
            names: aggregates.iter().map(|a| a.name.clone()).collect(),
            functions: aggregates.iter().map(|a| a.function).collect(),
            inputs: aggregates.iter().map(|a| a.inputs.clone()).collect(),
            part,
        }
    }

    /// The dictionary that travels.
    pub(crate) fn to_value(&self) -> Result<Value, Failure> {
        let keys = (0..self.part.keys.len()).map(|i| format!("k{i}"));
        let states = self
            .part
            .states
            .iter()
            .enumerate()
            .flat_map(|(i, state)| state.iter().map(move |(suffix, _)| format!("s{i}_{suffix}")));
        let names: Symbols = keys.chain(states).collect();
        let columns: Vec<Value> = self
            .part
            .keys
            .iter()
            .chain(self.part.states.iter().flat_map(|s| s.iter().map(|(_, column)| column)))
            .cloned()
            .collect();
        let table = Table::new(names, columns).map_err(failure::malformed)?;
        let syms = |names: &[Sym]| Value::syms(names.iter().map(Sym::as_bytes));
        let inputs = self.inputs.iter().map(|types| {
            let numbers = types.iter().map(|ty| ty.map_or(0, |t| i16::from(t.number()))).collect();
            Value::Vector(Vector::new(Type::Short, numbers))
        });
        Ok(Dict::of([
            ("form", Value::sym(FORM)),
            ("keys", syms(&self.keys)),
            ("names", syms(&self.names)),
            ("functions", Value::syms(self.functions.iter().map(|f| f.name()))),
            ("inputs", Value::list(inputs.collect::<Vec<_>>())),
            ("table", Value::from(table)),
        ])
        .into())
    }

    /// Reads what a peer sent; everything is checked.
    pub(crate) fn from_value(value: &Value) -> Result<States, Failure> {
        let dict = value.as_dict().ok_or_else(|| failure::malformed("it is no dictionary"))?;
        let field = |name: &str| {
            dict.get(name).ok_or_else(|| failure::malformed(format!("it lacks its field {name}")))
        };
        if field("form")?.as_name().is_none_or(|f| f != FORM) {
            return Err(failure::malformed("its form is not groups"));
        }
        let names = |name: &str| match field(name)? {
            Value::List(l) if l.is_empty() => Ok(Vec::new()),
            other => other.as_names().ok_or_else(|| failure::malformed(format!("{name} are no names"))),
        };
        let functions = names("functions")?
            .iter()
            .map(|f| f.text().parse::<Function>().map_err(failure::malformed))
            .collect::<Result<Vec<_>, _>>()?;
        let inputs = field("inputs")?;
        let inputs = (0..inputs.count())
            .map(|i| types(&inputs.index(i)))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| failure::malformed("inputs are no type numbers"))?;
        let (keys, names) = (names("keys")?, names("names")?);
        if names.len() != functions.len() || inputs.len() != functions.len() {
            return Err(failure::malformed("names, functions and inputs differ in number"));
        }
        let table = field("table")?;
        let table = table.as_table().ok_or_else(|| failure::malformed("table is no table"))?;
        let wanted = keys.len() + functions.iter().map(|f| f.state().len()).sum::<usize>();
        if table.columns().len() != wanted {
            return Err(failure::malformed(format!(
                "its table has {} columns where {wanted} are needed",
                table.columns().len()
            )));
        }
        let (key_columns, mut rest) = table.columns().split_at(keys.len());
        let mut states = Vec::with_capacity(functions.len());
        for f in &functions {
            let (state, others) = rest.split_at(f.state().len());
            states.push(f.state().iter().copied().zip(state.iter().cloned()).collect::<PartialColumns>());
            rest = others;
        }
        Ok(States { keys, names, functions, inputs, part: Part { keys: key_columns.to_vec(), states } })
    }

    /// True where two partials are of one request over one schema.
    pub(crate) fn agrees_with(&self, other: &States) -> bool {
        (&self.keys, &self.names, &self.functions) == (&other.keys, &other.names, &other.functions)
    }
}

fn types(value: &Value) -> Option<Vec<Option<Type>>> {
    let Value::Vector(v) = value else { return None };
    let numbers = v.as_buf::<i16>()?;
    numbers
        .iter()
        .map(|n| match n {
            0 => Some(None),
            n => Some(Some(Type::from_number(u8::try_from(n).ok()?)?)),
        })
        .collect()
}
