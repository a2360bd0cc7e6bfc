//! The test vectors of the format notes, read; and their damaged forms, refused.

mod common;

use common::{Root, hex, page, read, refused, symbols, write};
use hdb::{Algorithm, ColumnType};
use kvalue::{Atom, Attr, Type, Value, Vector};

const V1: &str = "fe200700 00000000 0300000000000000 0100000000000000 0200000000000000 0300000000000000";
const V8: &str = "fe73796d00000000 0000000000000000 0300000000000000 00000000 01000000 00000000";
const V10: &str = "fe73796d00000000 0000000300000000 0300000000000000 00000000 00000000 01000000 00000000 \
    02001402 00000000 0200000000000000 00000000 01000000 0000000000000000 ffffffffffffffff ffffffffffffffff \
    0100000000000000 02000700 00000000 0300000000000000 0000000000000000 0200000000000000 0300000000000000";
const V14: &str = "6b787a6970706564 789cfba7c0ce00020e0c10c03a4a8f681a00256e02a6 03000000 02060000 \
    1002000000000000 1e00000000000000 0000020000000000 16000000 02000000 0100000000000000";
const V15: &str = "6b787a6970706564 fe200700 00000000 0200000000000000 0100000000000000 0200000000000000 \
    03000000 02060000 2000000000000000 2800000000000000 0000020000000000 20000000 00000000 0100000000000000";
const V16: &str = "6b787a6970706564 0100010027000000 18020000 a0fe200700000001400001fd0002050002000105ff0001000205ee \
    03000000 01000000 1002000000000000 2f00000000000000 0000010000000000 27000000 01000000 0100000000000000";
const V18: &str = "6b787a6970706564 789cedc5510900201005b0872057c358f60f22e2c590ed6767559e3dbaccd8b66ddbb6eddfbe8b310b76 \
    789c63658000d6517a941e06340082c601c3 03000000 02060000 d012000000000000 4400000000000000 0010000000000000 \
    2a000000 02000000 12000000 02000000 0200000000000000";

fn longs(items: &[i64]) -> Value {
    Vector::longs(items.to_vec()).into()
}

fn v9(name: &str, codes: &str) -> Vec<u8> {
    page(name, "fd001400 00000000 0300000000000000", codes)
}

#[test]
fn plain_vectors() {
    assert_eq!(read(hex(V1)).unwrap(), longs(&[1, 2, 3]));
    let newer = V1.replacen("0300000000000000", "0000000000000000", 1);
    assert_eq!(read(hex(&newer)).unwrap(), longs(&[1, 2, 3]), "newer kdb+ writes a count of 0");
    let appended = V1.replacen("0300000000000000", "0100000000000000", 1);
    assert_eq!(read(hex(&appended)).unwrap(), longs(&[1, 2, 3]), "appends leave the first count");

    let floats = "fe200900 00000000 0300000000000000 000000000000f83f 000000000000f8ff 000000000000f07f";
    assert_eq!(read(hex(floats)).unwrap(), Vector::floats(vec![1.5, f64::NAN, f64::INFINITY]).into());

    let dates = Root::new(&[("c", hex("fe200e01 00000000 0200000000000000 00000000 ac230000"))]);
    let value = dates.column().unwrap();
    assert_eq!(value, Vector::new(Type::Date, vec![0, 9132]).into());
    assert_eq!(value.as_vector().unwrap().attr(), Attr::Sorted);
    assert_eq!(dates.table().column_attr("c").unwrap(), Attr::Sorted);

    let booleans = "fe200100 00000000 0400000000000000 01000001";
    assert_eq!(read(hex(booleans)).unwrap(), Vector::booleans(vec![true, false, false, true]).into());

    let guid = "fe200200 00000000 0100000000000000 8c680a015a495aab5a65d4bfddb6a661";
    let bytes: [u8; 16] = hex("8c680a015a495aab5a65d4bfddb6a661").try_into().unwrap();
    assert_eq!(read(hex(guid)).unwrap(), Vector::new(Type::Guid, vec![bytes]).into());
}

#[test]
fn symbol_files_are_read_to_their_end_whatever_they_count() {
    for count in ["02000000", "00000000", "01000000"] {
        let root = Root::new(&[("a", hex(V1)), ("bc", hex(V1))]);
        write(&root.path().join("t/.d"), &hex(&format!("ff010b00 {count} 6100 626300")));
        let db = root.open();
        assert_eq!(db.table("t").unwrap().column_names(), "a, bc");
    }
}

#[test]
fn serialised_columns() {
    assert_eq!(read(hex("ff010000 00000000")).unwrap().count(), 0);
    refused(read(hex("ff01f9 2a00000000000000")), &["/t/c", "long", "a list"]);
    refused(read(hex("ff010b00 02000000 6100 626300")), &["/t/c", "symbol vector", "enumerate"]);
    let typed = read(hex("ff010700 02000000 0100000000000000 0200000000000000")).unwrap();
    assert_eq!(typed, longs(&[1, 2]));
}

#[test]
fn enumerated_columns() {
    let aba: Value = Value::syms(["a", "b", "a"]);
    assert_eq!(read(hex(V8)).unwrap(), aba);
    let wide = "0000000000000000 0100000000000000 0000000000000000";
    assert_eq!(v9("sym", wide).len(), 4120);
    assert_eq!(read(v9("sym", wide)).unwrap(), aba);
    let with_null = "0000000000000080 0100000000000000 0000000000000000";
    assert_eq!(read(v9("sym", with_null)).unwrap(), Value::syms(["", "b", "a"]));

    refused(
        read(hex(&V8
            .replace("01000000 00000000 0000", "02000000 00000000 0000")
            .replace("00000000 01000000 00000000", "00000000 02000000 00000000"))),
        &["/t/c", "index 2 at row 1", "sym", "2 names"],
    );
    refused(read(v9("../x", wide)), &["/t/c", "../x", "plain file name"]);
    let nowhere = Root::new(&[("c", v9("nosuch", wide))]);
    refused(nowhere.column(), &["/t/c", "nosuch", "does not exist"]);
    let meta = nowhere.open().table("t").unwrap().columns[0].clone();
    assert!(matches!(meta.ty, ColumnType::Unreadable(reason) if reason.contains("nosuch")));
}

#[test]
fn a_long_domain_name_moves_the_header_of_the_narrow_form() {
    let mut bytes = vec![0xfe];
    bytes.extend_from_slice(b"exchanges_of_us");
    bytes.resize(24 - 8 + 8, 0);
    // Name of 15 bytes: its NUL is at 16, so count at 16 + 8 * (13 / 8) = 24, data at 32.
    bytes.extend(hex("0200000000000000 01000000 00000000"));
    let root = Root::new(&[("c", bytes)]);
    write(&root.path().join("exchanges_of_us"), &symbols(&["N", "Q"]));
    assert_eq!(root.column().unwrap(), Value::syms(["Q", "N"]));
}

#[test]
fn link_columns_give_row_numbers() {
    let root = Root::new(&[("c", v9("other", "0000000000000000 0100000000000000 0000000000000000"))]);
    common::splay(&root.path().join("other"), &[("x", hex(V1))]);
    assert_eq!(root.column().unwrap(), longs(&[0, 1, 0]));
    assert_eq!(root.open().table("t").unwrap().columns[0].ty, ColumnType::Basic(Type::Long));
}

#[test]
fn parted_columns() {
    let wide = "fd001403 00000000 0300000000000000 0000000000000000 0000000000000000 0100000000000000 \
        0000000000000000 03001402 00000000 0200000000000000 0000000000000000 0100000000000000 \
        0000000000000000 0000000000000000 ffffffffffffffff ffffffffffffffff 0100000000000000 \
        02000700 00000000 0300000000000000 0000000000000000 0200000000000000 0300000000000000";
    let wide = page("sym", wide, "");
    assert_eq!(wide.len(), 4240);
    for bytes in [hex(V10), wide] {
        let root = Root::new(&[("c", bytes)]);
        assert_eq!(root.column().unwrap(), Value::syms(["a", "a", "b"]));
        let index = root.table().parted("c").unwrap().unwrap();
        assert_eq!(index.range_of(b"a"), Some(0..2));
        assert_eq!(index.range_of(b"b"), Some(2..3));
        assert_eq!(index.ranges().map(|r| r.0.text().into_owned()).collect::<Vec<_>>(), ["a", "b"]);
    }
}

#[test]
fn a_parted_index_that_ends_elsewhere_is_corrupt() {
    let offsets = "0000000000000000 0200000000000000 0300000000000000";
    let wrong = V10.replace(offsets, "0000000000000000 0300000000000000 0200000000000000");
    refused(read(hex(&wrong)), &["/t/c", "ends at row 2", "row 3"]);
    let no_count = V10.replacen("0300000000000000", "0000000000000000", 1);
    refused(read(hex(&no_count)), &["/t/c"]);
}

#[test]
fn a_parted_index_that_lies_is_not_believed() {
    // Says a is in row 0 only; the data has it in 0 and 1.
    let offsets = "0000000000000000 0200000000000000 0300000000000000";
    let lying = V10.replace(offsets, "0000000000000000 0100000000000000 0300000000000000");
    let root = Root::new(&[("c", hex(&lying))]);
    assert_eq!(root.table().parted("c").unwrap().unwrap().range_of(b"a"), Some(0..2));
    // Marked parted, but a is in two places.
    let scattered =
        V10.replace("00000000 00000000 01000000 00000000 ", "00000000 01000000 00000000 00000000 ");
    let root = Root::new(&[("c", hex(&scattered))]);
    assert_eq!(root.column().unwrap(), Value::syms(["a", "b", "a"]));
    assert!(root.table().parted("c").unwrap().is_none());
}

fn strings(items: &[&str]) -> Value {
    Value::list(items.iter().map(Value::str).collect::<Vec<_>>())
}

#[test]
fn old_nested_columns() {
    let index = "fe205700 00000000 0300000000000000 0100000000000000 0300000000000000 0300000000000000";
    let root = Root::new(&[("c", hex(index)), ("c#", hex("787979"))]);
    assert_eq!(root.column().unwrap(), strings(&["x", "yy", ""]));
    assert_eq!(root.table().column("c", 1..2).unwrap(), strings(&["yy"]));
    assert_eq!(root.open().table("t").unwrap().columns[0].ty, ColumnType::Nested(Type::Char));

    for (data, ends) in [("78797979", ""), ("7879", ""), ("787979", "0100000000000000 0000000000000000")] {
        let index = if ends.is_empty() {
            index.to_owned()
        } else {
            index.replace("0100000000000000 0300000000000000 ", &format!("{ends} "))
        };
        let root = Root::new(&[("c", hex(&index)), ("c#", hex(data))]);
        refused(root.column(), &["/t/c"]);
    }
    let alone = Root::new(&[("c", hex(index))]);
    refused(alone.column(), &["/t/c#"]);
}

fn v13(references: &str) -> Root {
    let index = page("", "fd014d00 00000000 0200000000000000", references);
    let heap = page("", "fd000400 00000000 0000000000000000", "89026869 850107000000");
    Root::new(&[("c", index), ("c#", heap)])
}

#[test]
fn nested_columns_of_any_kind() {
    let good = v13("0000000000000001 0400000000000001");
    let seven: Value = Vector::new(Type::Int, vec![7]).into();
    assert_eq!(good.column().unwrap(), Value::list([Value::str("hi"), seven.clone()]));
    assert_eq!(good.table().column("c", 1..2).unwrap(), Value::list([seven]));
    refused(v13("0000000000000001 0010000000000001").column(), &["/t/c#", "heap offset 4096", "10 bytes"]);
    refused(v13("0000000000000001 0500000000000001").column(), &["/t/c#", "0x01"]);
}

#[test]
fn heap_objects_of_every_form() {
    let heap = "
        fb000600 01000000 0200000000000000 05000000 06000000 0000000000000000
        fb004d00 01000000 0200000000000000 0000000000000000 8000000000000001
        8a02 00000000 01000000 74 01000000 7a09
        9303 00000000 02 00";
    // Offsets: 0 ints, 32 list of (ints; the atom at 0x80), 64 symbols, 74 atom, 79 tag of a short atom.
    let mut heap = page("", "fd000400 00000000 0000000000000000", heap);
    heap.truncate(4096 + 81);
    heap.resize(4096 + 0x80, 0);
    heap.extend(hex("78 2a00000000000000"));
    heap.extend(hex("93 02000000 02 0000000000000000 0100000000000000"));
    heap.resize(4096 + 0xb0, 0);
    heap.extend(hex("fb006200 01000000 0200000000000000 4000000000000000 d000000000000000"));
    heap.extend(hex("fb004d00 01000000 0200000000000000 0000000000000000 0000000000000000"));
    heap.extend(hex("fb006300 01000000 0200000000000000 4000000000000000 0000000000000000"));
    let references = [0u64, 0x20, 0x40, 0x4a, 0x80, 0x89, 0xb0, 0xf0];
    let mut index = page("", "fd014d00 00000000 0000000000000000", "");
    references.iter().for_each(|r| index.extend_from_slice(&r.to_le_bytes()));
    let root = Root::new(&[("c", index), ("c#", heap), ("c##", symbols(&["p", "q", "sym"]))]);
    let value = root.column().unwrap();
    let Value::List(list) = &value else { panic!("{value:?}") };
    let ints: Value = Vector::new(Type::Int, vec![5, 6]).into();
    let pq = Value::syms(["p", "q"]);
    assert_eq!(list.items()[0], ints);
    assert_eq!(list.items()[1], Value::list([ints.clone(), Value::from(42i64)]));
    assert_eq!(list.items()[2], pq);
    assert_eq!(list.items()[3], Value::sym("q"));
    assert_eq!(list.items()[4], Value::Atom(Atom::Long(42)));
    assert_eq!(list.items()[5], Value::syms(["a", "b"]), "an enumerated vector over sym");
    let table = list.items()[6].as_table().unwrap();
    assert_eq!(table.column("q"), Some(&ints));
    let dict = list.items()[7].as_dict().unwrap();
    assert_eq!((dict.keys(), dict.values()), (&pq, &ints));
}

#[test]
fn compressed_columns() {
    assert_eq!(read(hex(V14)).unwrap(), longs(&[5; 64]));
    assert_eq!(read(hex(V15)).unwrap(), longs(&[1, 2]));
    assert_eq!(read(hex(V16)).unwrap(), longs(&[5; 64]));
    assert_eq!(read(hex(V18)).unwrap(), longs(&[5; 600]));
    let two = Root::new(&[("c", hex(V18))]);
    // Rows 500 to 520 lie on both sides of the border of the two blocks.
    assert_eq!(two.table().column("c", 500..520).unwrap(), longs(&[5; 20]));
    assert_eq!(Algorithm::from_number(2), Some(Algorithm::Zlib));
}

#[test]
fn torn_files_are_refused() {
    refused(read(hex(&format!("{V1} 010203"))), &["/t/c", "27 bytes of data", "8 bytes"]);
    refused(read(hex("fe2007")), &["/t/c", "3 bytes"]);
    refused(read(Vec::new()), &["/t/c", "0 bytes"]);
    refused(read(b"hello".to_vec()), &["/t/c"]);
    refused(read(hex("fe200b00 00000000 0000000000000000")), &["/t/c", "type 11"]);
    refused(read(hex("ff20000000000000 07000000 00000000")), &["/t/c", "2.x"]);
}

#[test]
fn damaged_containers_are_refused() {
    let bytes = hex(V14);
    let with = |at: usize, value: u8| {
        let mut b = bytes.clone();
        let at = if at < 100 { at } else { b.len() - (at - 100) };
        b[at] = value;
        read(b)
    };
    let end = |n: usize| 100 + n;
    refused(with(end(8), 2), &["/t/c", "trailer version"]);
    refused(with(end(8), 9), &["/t/c", "9 blocks", "0 to 3 for 78 bytes"]);
    refused(with(end(16), 0x17), &["/t/c", "31", "three equal numbers"]);
    refused(with(end(12), 3), &["/t/c", "algorithm 3"]);
    refused(with(end(48), 9), &["/t/c", "version 9"]);
    refused(with(end(44), 7), &["/t/c", "algorithm 7"]);
    refused(with(end(44), 18), &["/t/c", "encrypted"]);
    refused(with(end(24), 1), &["/t/c", "block size"]);
    refused(with(end(40), 0x11), &["/t/c", "block 0 (zlib)", "529 plain bytes"]);
    refused(with(12, 0xff), &["/t/c", "block 0 (zlib)"]);
    refused(read(bytes[..bytes.len() - 1].to_vec()), &["/t/c", "blocks"]);
    refused(read(hex("6b787a6970706564")), &["/t/c", "8 bytes", "48 bytes"]);
    refused(read([b"kxzippEd".as_slice(), &[0; 100]].concat()), &["/t/c", "encrypted"]);
}
