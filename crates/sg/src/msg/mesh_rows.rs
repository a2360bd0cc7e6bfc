//! The rows of messages between RCs, and how each lies on the wire.
//!
//! Rule kept: a damaged row is an error with the row's name; missing fields get no invented values.

use kvalue::{Atom, Sym, Table, Type, Value, Vector};

use super::{
    field::{Field, put_value, value},
    frame::{Builder, Object},
};
use crate::Purview;

/// A replica as its owner tells others.
#[derive(Debug, Clone, PartialEq)]
pub struct MeshReplica {
    /// number of its group at the owner
    pub group: i32,
    /// true where it takes work
    pub available: bool,
    /// address of the process as dialled by the owner, `host:port`: peers match the address with processes found by
    /// discovery
    pub address: Sym,
    /// what it covers
    pub purview: Purview,
}

/// What a replica held that was lost, or that the sender knows from another, and stays wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct MeshLost {
    /// nanoseconds since the loss, 0 for a connected replica
    pub age: i64,
    /// what it covered
    pub purview: Purview,
}

/// An Agg as the RC it registered with tells others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshAgg {
    /// its name
    pub name: Sym,
    /// where it is reached, `host:port`
    pub address: Sym,
}

/// The portion that would go first, of those that wait at one RC for a group, an API and a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// number of the group at the owner
    pub group: i32,
    /// API it needs
    pub api: Sym,
    /// the one replica asked for by name; null for any
    pub dap: Sym,
    /// portions that wait; 0 takes the demand back
    pub waiting: i32,
    /// user whose turn it is
    pub user: Sym,
    /// how much of the group's time the user has had, nanoseconds: the user with the least is next
    pub vtime: i64,
    /// what the user served last had had, which all coordinators keep in step
    pub floor: i64,
    /// priority among the user's own
    pub priority: i32,
    /// nanoseconds since the portion's request came
    pub waited: i64,
}

fn pieces(list: &Value, i: usize, len: usize, what: &str) -> Result<Value, String> {
    let item = list.index(i);
    match item.count() == len {
        true => Ok(item),
        false => Err(format!("entry {i} is not {what}")),
    }
}

impl Field for Vec<MeshReplica> {
    fn put(&self, out: &mut Builder) {
        let items = self.iter().map(|r| {
            let [group, available] = [Value::from(r.group), Value::from(r.available)];
            Value::list([group, available, r.purview.to_value(), r.address.clone().into()])
        });
        put_value(out, &Value::list(items.collect::<Vec<_>>()));
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        const WHAT: &str = "(group; available; purview; address)";
        let list = value(object)?;
        (0..list.count())
            .map(|i| {
                let item = pieces(&list, i, 4, WHAT)?;
                let (group, available) = (item.index(0).as_i64(), item.index(1).as_bool());
                let group = group.and_then(|g| i32::try_from(g).ok());
                let (group, available) =
                    group.zip(available).ok_or_else(|| format!("entry {i} is not {WHAT}"))?;
                let purview = Purview::from_value(&item.index(2)).map_err(|f| f.ai)?;
                let address = item.index(3).as_sym().ok_or_else(|| format!("entry {i} is not {WHAT}"))?;
                Ok(MeshReplica { group, available, address, purview })
            })
            .collect()
    }
}

impl Field for Vec<MeshLost> {
    fn put(&self, out: &mut Builder) {
        let items = self.iter().map(|l| Value::list([Value::from(l.age), l.purview.to_value()]));
        put_value(out, &Value::list(items.collect::<Vec<_>>()));
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        const WHAT: &str = "(age; purview)";
        let list = value(object)?;
        (0..list.count())
            .map(|i| {
                let item = pieces(&list, i, 2, WHAT)?;
                let age = item.index(0).as_i64().ok_or_else(|| format!("entry {i} is not {WHAT}"))?;
                let purview = Purview::from_value(&item.index(1)).map_err(|f| f.ai)?;
                Ok(MeshLost { age, purview })
            })
            .collect()
    }
}

impl Field for Vec<MeshAgg> {
    fn put(&self, out: &mut Builder) {
        let table = Table::of([
            ("name", Value::syms(self.iter().map(|a| a.name.as_bytes()))),
            ("address", Value::syms(self.iter().map(|a| a.address.as_bytes()))),
        ]);
        put_value(out, &table.map_or(Value::Null, Value::from));
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        let table = value(object)?;
        let table = table.as_table().ok_or("aggregators must be a table")?;
        let column = |name: &str| table.column(name).and_then(|c| c.as_names());
        let columns = column("name").zip(column("address"));
        let (names, addresses) = columns.ok_or("aggregators must have columns name and address")?;
        Ok(names.into_iter().zip(addresses).map(|(name, address)| MeshAgg { name, address }).collect())
    }
}

impl Field for Vec<Sym> {
    fn put(&self, out: &mut Builder) {
        put_value(out, &Value::syms(self.iter().map(Sym::as_bytes)));
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        let list = value(object)?;
        match list.count() {
            0 => Ok(Vec::new()),
            _ => list.as_names().ok_or_else(|| "not a list of symbols".to_string()),
        }
    }
}

impl Field for Vec<i32> {
    fn put(&self, out: &mut Builder) {
        put_value(out, &Vector::new(Type::Int, self.clone()).into());
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        let ints = value(object)?.as_vector().and_then(|v| v.as_buf::<i32>()).map(|b| b.to_vec());
        ints.ok_or_else(|| "not a list of ints".to_string())
    }
}

impl Field for Vec<Demand> {
    fn put(&self, out: &mut Builder) {
        let items = self.iter().map(|d| {
            Value::list([
                Value::from(d.group),
                d.api.clone().into(),
                d.dap.clone().into(),
                d.waiting.into(),
                d.user.clone().into(),
                d.vtime.into(),
                d.floor.into(),
                d.priority.into(),
                Value::Atom(Atom::Long(d.waited)),
            ])
        });
        put_value(out, &Value::list(items.collect::<Vec<_>>()));
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        const WHAT: &str = "(group; api; dap; waiting; user; vtime; floor; priority; waited)";
        let list = value(object)?;
        (0..list.count())
            .map(|i| {
                let item = pieces(&list, i, 9, WHAT)?;
                let long = |at| item.index(at).as_i64();
                let int = |at| long(at).and_then(|n| i32::try_from(n).ok());
                let name = |at| item.index(at).as_sym();
                let row = || {
                    Some(Demand {
                        group: int(0)?,
                        api: name(1)?,
                        dap: name(2)?,
                        waiting: int(3)?,
                        user: name(4)?,
                        vtime: long(5)?,
                        floor: long(6)?,
                        priority: int(7)?,
                        waited: long(8)?,
                    })
                };
                row().ok_or_else(|| format!("entry {i} is not {WHAT}"))
            })
            .collect()
    }
}
