use super::*;
use crate::value::{Data, Dict, Sym, Table, Value};
use kvalue::Type;

fn back(v: &Value) -> Value {
    let bytes = qipc::encode(&to_kvalue(v).unwrap()).unwrap();
    from_kvalue(&qipc::decode(bytes, &qipc::Limits::internal()).unwrap()).unwrap()
}

fn object(v: &Value) -> Vec<u8> {
    qipc::encode(&to_kvalue(v).unwrap()).unwrap().to_vec()
}

#[test]
fn data_of_every_layout_survives_the_wire() {
    let table = Table::new(
        vec![Sym::new("s"), Sym::new("b"), Sym::new("t")],
        vec![
            Value::syms(vec![Sym::new("a"), Sym::NULL]),
            Value::bools(vec![true, false]),
            Value::vector(Type::Time, Data::I32(vec![1, i32::MIN].into())),
        ],
    );
    let items = Value::list(vec![
        Value::table(table.unwrap()),
        Value::dict(Dict::of(vec![("k", Value::string("text")), ("l", Value::Nil)])),
        Value::floats(vec![1.5, f64::INFINITY]),
        Value::Timestamp(7),
        Value::Char(b'x'),
        Value::empty_list(),
    ]);
    let found = back(&items);
    assert!(crate::value::order::identical(&found, &items), "{found:?} is not {items:?}");
}

#[test]
fn a_vector_leaves_without_a_copy() {
    let v = Value::longs(vec![1, 2, 3]);
    let Value::Vector(inner) = &v else { panic!("a vector") };
    let Data::I64(items) = &inner.data else { panic!("longs") };
    let out = to_kvalue(&v).unwrap();
    let bytes = out.as_vector().and_then(|v| v.as_bytes()).unwrap();
    assert_eq!(bytes.as_ptr() as usize, items.as_ptr() as usize);
}

#[test]
fn a_function_of_strangers_is_kept_and_refused() {
    let stranger = kvalue::Value::Opaque(kvalue::Opaque::new(bytes::Bytes::from_static(&[107, 102, 12])));
    let v = from_kvalue(&stranger).unwrap();
    let Value::Host(f) = &v else { panic!("a function of the host") };
    assert_eq!(f.call(vec![]).unwrap_err().text(), "nyi");
    assert_eq!(object(&v), [107, 102, 12]);
}

#[test]
fn holes_and_iterators_have_the_bytes_of_kdb() {
    assert_eq!(object(&Value::Hole), [101, 255]);
    assert_eq!(object(&Value::Iterator(crate::value::Iterator::Over)), [103, 1]);
}
