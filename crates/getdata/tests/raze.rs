//! Joining encoded partials: equal to what joining the decoded values gives, of the types q's raze gives.

mod common;

use bytes::Bytes;
use getdata::{
    joined,
    raze::{raze, tables_or_one},
};
use kvalue::{Atom, Dict, Table, Type, Value, Vector, types::NULL_INT};
use qipc::Limits;

fn object(value: &Value) -> Bytes {
    qipc::encode(value).unwrap()
}

fn razed(values: &[Value]) -> Result<Value, String> {
    let segments = raze(values.iter().map(object).collect()).map_err(|f| f.ai)?;
    Ok(qipc::decode(joined(&segments), &Limits::internal()).unwrap())
}

fn table(pairs: Vec<(&str, Value)>) -> Value {
    Value::from(Table::of(pairs).unwrap())
}

fn longs(items: &[i64]) -> Value {
    Value::from(Vector::longs(items.to_vec()))
}

#[test]
fn tables_are_joined_column_by_column() {
    let a = table(vec![
        ("s", Value::syms(["a", ""])),
        ("n", longs(&[1, 2])),
        ("t", Value::list([Value::str("x"), Value::str("yz")])),
    ]);
    let b = table(vec![("s", Value::syms(["bc"])), ("n", longs(&[3])), ("t", Value::list([Value::str("")]))]);
    let expected = table(vec![
        ("s", Value::syms(["a", "", "bc"])),
        ("n", longs(&[1, 2, 3])),
        ("t", Value::list([Value::str("x"), Value::str("yz"), Value::str("")])),
    ]);
    assert_eq!(razed(&[a, b]), Ok(expected));
}

#[test]
fn joined_columns_share_the_partials_bytes() {
    let a = object(&table(vec![("n", longs(&[1, 2]))]));
    let b = object(&table(vec![("n", longs(&[3]))]));
    let segments = raze(vec![a.clone(), b.clone()]).unwrap();
    let inside = |s: &Bytes, whole: &Bytes| whole.as_ptr_range().contains(&s.as_ptr());
    assert!(segments.iter().any(|s| inside(s, &a)) && segments.iter().any(|s| inside(s, &b)));
}

#[test]
fn columns_may_stand_in_another_order() {
    let a = table(vec![("x", longs(&[1])), ("y", longs(&[2]))]);
    let b = table(vec![("y", longs(&[4])), ("x", longs(&[3]))]);
    assert_eq!(razed(&[a, b]), Ok(table(vec![("x", longs(&[1, 3])), ("y", longs(&[2, 4]))])));
}

#[test]
fn empty_tables_take_the_others_types() {
    let untyped = table(vec![("n", Value::list([]))]);
    let floats = table(vec![("n", Value::from(Vector::floats(vec![])))]);
    let filled = table(vec![("n", longs(&[1]))]);
    assert_eq!(razed(&[untyped.clone(), filled.clone(), floats.clone()]), Ok(filled));
    let joined = razed(&[untyped, floats]).unwrap();
    assert_eq!(joined.as_table().unwrap().columns()[0].type_number(), 9);
}

#[test]
fn columns_of_two_types_become_general_lists() {
    let a = table(vec![("n", longs(&[1, 2])), ("m", longs(&[1, 2]))]);
    let b = table(vec![("n", Value::from(Vector::floats(vec![0.5]))), ("m", longs(&[3]))]);
    let mixed = Value::list([Value::from(1i64), Value::from(2i64), Value::from(0.5)]);
    assert_eq!(razed(&[a, b]), Ok(table(vec![("n", mixed), ("m", longs(&[1, 2, 3]))])));
}

#[test]
fn tables_of_other_columns_are_a_mismatch_that_names_both() {
    let a = table(vec![("x", longs(&[1])), ("y", longs(&[1]))]);
    let b = table(vec![("x", longs(&[1])), ("z", longs(&[1]))]);
    let err = razed(&[a.clone(), b]).unwrap_err();
    assert!(err.starts_with("mismatch") && err.contains("x, y") && err.contains("x, z"), "{err}");
    let fewer = table(vec![("x", longs(&[1]))]);
    assert!(razed(&[a.clone(), fewer.clone()]).is_err() && razed(&[fewer, a]).is_err());
}

#[test]
fn attributes_do_not_survive_a_join() {
    let sorted = |n: i64| {
        let v = Vector::longs(vec![n]).with_attr(kvalue::Attr::Sorted);
        table(vec![("n", Value::Vector(v))])
    };
    let joined = razed(&[sorted(2), sorted(1)]).unwrap();
    let column = joined.as_table().unwrap().columns()[0].clone();
    assert_eq!(column.as_vector().unwrap().attr(), kvalue::Attr::None);
}

#[test]
fn atoms_of_a_type_become_a_vector() {
    let yes = Value::from(true);
    assert_eq!(
        razed(&[yes.clone(), yes.clone(), Value::from(false)]),
        Ok(Value::from(Vector::booleans(vec![true, true, false])))
    );
    assert_eq!(razed(&[yes.clone(), Value::from(1i64)]), Ok(Value::list([yes, Value::from(1i64)])));
    assert_eq!(razed(&[Value::sym("a"), Value::sym("b")]), Ok(Value::syms(["a", "b"])));
}

#[test]
fn vectors_and_lists_are_joined() {
    assert_eq!(razed(&[longs(&[1]), longs(&[]), longs(&[2, 3])]), Ok(longs(&[1, 2, 3])));
    assert_eq!(razed(&[longs(&[1]), Value::from(2i64)]), Ok(longs(&[1, 2])));
    let list = |items: &[Value]| Value::list(items.to_vec());
    let (a, b) = (Value::str("ab"), Value::from(1i64));
    assert_eq!(razed(&[list(std::slice::from_ref(&a)), list(std::slice::from_ref(&b))]), Ok(list(&[a, b])));
    let ints = Value::from(Vector::new(Type::Int, vec![NULL_INT]));
    assert_eq!(razed(&[ints, longs(&[1])]), Ok(list(&[Value::Atom(Atom::Int(NULL_INT)), Value::from(1i64)])));
    assert_eq!(razed(&[]), Ok(Value::list([])));
    assert_eq!(razed(&[Value::str("ab"), Value::str("c")]), Ok(Value::str("abc")));
}

#[test]
fn dictionaries_are_joined_by_key_and_the_later_wins() {
    let dict =
        |keys: &[&str], values: &[i64]| Value::from(Dict::new(Value::syms(keys), longs(values)).unwrap());
    assert_eq!(
        razed(&[dict(&["a", "b"], &[1, 2]), dict(&["b", "c"], &[3, 4])]),
        Ok(dict(&["a", "b", "c"], &[1, 3, 4]))
    );
    let keyed = |keys: &[i64], values: &[i64]| {
        let (k, v) = (table(vec![("k", longs(keys))]), table(vec![("v", longs(values))]));
        Value::from(Dict::new(k, v).unwrap())
    };
    assert_eq!(
        razed(&[keyed(&[1, 2], &[10, 20]), keyed(&[2, 3], &[21, 30])]),
        Ok(keyed(&[1, 2, 3], &[10, 21, 30]))
    );
}

#[test]
fn unlike_kinds_and_garbage_are_refused() {
    let t = table(vec![("n", longs(&[1]))]);
    assert!(razed(&[t.clone(), longs(&[1])]).unwrap_err().contains("table, long vector"));
    for torn in [&b"\x62\0"[..], b"\x62\0\x63\x0b\0\xff\xff\xff\x7f", b"", b"\x07"] {
        assert!(raze(vec![object(&t), Bytes::copy_from_slice(torn)]).is_err(), "{torn:?}");
    }
    let mut lying = object(&t).to_vec();
    let at = lying.len() - 12;
    lying[at] = 200;
    assert!(raze(vec![object(&t), lying.into()]).is_err());
}

#[test]
fn one_atom_becomes_a_list_as_several_do() {
    for atom in [Value::from(true), Value::sym("x"), Value::from(1.5), Value::Atom(Atom::Guid([7; 16]))] {
        let Value::Atom(a) = &atom else { unreachable!("all are atoms") };
        assert_eq!(razed(std::slice::from_ref(&atom)), Ok(Vector::repeat(a, 1).into()), "{atom:?}");
    }
    assert_eq!(razed(&[Value::str("x y")]), Ok(Value::str("x y")));
}

#[test]
fn one_partial_that_is_cut_or_followed_by_more_is_an_error() {
    let table = Table::of([("x", Value::from(Vector::longs(vec![1, 2])))]).unwrap();
    for value in [table.into(), Value::from(7i64)] {
        let whole = qipc::encode(&value).unwrap();
        let more = Bytes::from([&whole[..], &[0]].concat());
        for damaged in [whole.slice(..whole.len() - 1), more] {
            assert!(raze(vec![damaged.clone()]).is_err(), "{damaged:?}");
            assert!(tables_or_one(vec![damaged.clone()], &Limits::internal()).is_err(), "{damaged:?}");
        }
        assert!(raze(vec![whole]).is_ok());
    }
}
