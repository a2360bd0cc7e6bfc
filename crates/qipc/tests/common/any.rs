//! Any value of the wire, for property tests.
#![allow(unreachable_pub)] // the lint does not know that test files share modules

use bytes::Bytes;
use kvalue::{Atom, Attr, Dict, List, Opaque, Symbols, Table, Type, Value, Vector};
use proptest::prelude::*;

fn any_type() -> impl Strategy<Value = Type> {
    proptest::sample::select(&Type::ALL[..])
}

fn any_attr() -> impl Strategy<Value = Attr> {
    (0..5u8).prop_map(|n| Attr::from_number(n).unwrap())
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(1..=255u8, 0..6)
}

fn any_atom() -> impl Strategy<Value = Value> {
    prop_oneof![
        any_name().prop_map(Value::sym),
        any::<bool>().prop_map(Value::from),
        (any_type(), proptest::array::uniform16(any::<u8>())).prop_map(|(ty, bytes)| match ty {
            Type::Boolean => Value::from(bytes[0] > 127),
            _ => Value::Atom(Atom::from_le_bytes(ty, &bytes[..ty.width().unwrap_or(0)]).unwrap()),
        }),
    ]
}

/// A vector of any type with `n` elements of any bits.
fn vector_of(n: usize) -> impl Strategy<Value = Value> {
    let elements = proptest::collection::vec(any::<u8>(), n * 16);
    let names = proptest::collection::vec(any_name(), n);
    (any_type(), any_attr(), elements, names).prop_map(move |(ty, attr, bytes, names)| {
        let vector = match ty.width() {
            Some(w) => Vector::fixed(ty, Bytes::from(bytes).slice(..n * w)).unwrap(),
            None => Vector::symbols(names.into_iter().collect()),
        };
        Value::Vector(vector.with_attr(attr))
    })
}

fn any_function() -> impl Strategy<Value = Value> {
    // Unary code 0 is the generic null, which is a value of its own.
    prop_oneof![
        (1..=255u8).prop_map(|code| vec![101, code]),
        (any::<u8>()).prop_map(|code| vec![102, code]),
        (any::<u8>()).prop_map(|code| vec![103, code]),
        (106..=111u8, any::<u8>()).prop_map(|(ty, code)| vec![ty, 102, code]),
    ]
    .prop_map(|bytes| Value::Opaque(Opaque::new(bytes.into())))
}

fn table_of(inner: impl Strategy<Value = Value> + Clone) -> impl Strategy<Value = Value> {
    (1..4usize, 0..5usize)
        .prop_flat_map(move |(columns, rows)| {
            let column = prop_oneof![
                3 => vector_of(rows),
                1 => proptest::collection::vec(inner.clone(), rows).prop_map(Value::list),
            ];
            (proptest::collection::vec((any_name(), column), columns), any_attr())
        })
        .prop_map(|(columns, attr)| {
            let (names, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            let names: Symbols = names.into_iter().collect();
            Value::from(Table::new(names, columns).unwrap().with_attr(attr))
        })
}

/// Any value of the wire.
pub fn any_value() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any_atom(), (0..9usize).prop_flat_map(vector_of), any_function(),];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let list = (proptest::collection::vec(inner.clone(), 0..6), any_attr())
            .prop_map(|(items, attr)| Value::List(List::new(items).with_attr(attr)));
        let dict = (0..5usize).prop_flat_map({
            let inner = inner.clone();
            move |n| {
                let values = proptest::collection::vec(inner.clone(), n).prop_map(Value::list);
                (vector_of(n), prop_oneof![values, vector_of(n)], any::<bool>())
            }
        });
        let dict = dict.prop_map(|(k, v, sorted)| Value::from(Dict::new(k, v).unwrap().with_sorted(sorted)));
        prop_oneof![list, dict, table_of(inner)]
    })
}
