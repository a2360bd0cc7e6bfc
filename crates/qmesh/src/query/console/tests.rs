//! What the documentation shows, and cells that nobody thought of.

use super::*;

fn longs(v: &[i64]) -> Value {
    Vector::longs(v.to_vec()).into()
}

fn show(value: &Value) -> String {
    text(value, Size::ALL)
}

#[test]
fn tables_look_like_the_documentation() {
    let t = Table::of([("a", longs(&[110, 79, 103])), ("b", longs(&[104, 105, 94]))]).unwrap();
    assert_eq!(show(&t.into()), "a   b\n-------\n110 104\n79  105\n103 94\n");
}

#[test]
fn keyed_tables_look_like_the_documentation() {
    let keys = Table::of([("sym", Value::syms(["ibm", "goog", "msoft"]))]).unwrap();
    let values = Table::of([("qty", longs(&[1005, 2005, 3005])), ("p", longs(&[1555, 380, 3105]))]).unwrap();
    let keyed = Dict::new(keys.into(), values.into()).unwrap();
    assert_eq!(
        show(&keyed.into()),
        "sym  | qty  p\n-----| ---------\nibm  | 1005 1555\ngoog | 2005 380\nmsoft| 3005 3105\n"
    );
}

#[test]
fn dictionaries_and_lists_look_like_the_documentation() {
    let d = Dict::new(Value::syms(["a", "b", "c"]), longs(&[105, 205, 305])).unwrap();
    assert_eq!(show(&d.into()), "a| 105\nb| 205\nc| 305\n");
    assert_eq!(show(&longs(&[10, 43, i64::MIN])), "10 43 0N\n");
    assert_eq!(show(&longs(&[1])), ",1\n");
    assert_eq!(show(&Vector::floats(vec![1.0, 2.0]).into()), "1 2f\n");
    assert_eq!(show(&Value::from(1.0)), "1f\n");
    assert_eq!(show(&Vector::booleans(vec![true, false]).into()), "10b\n");
    assert_eq!(show(&Value::syms(["a", "b"])), "`a`b\n");
    assert_eq!(show(&Value::str("hello")), "\"hello\"\n");
    assert_eq!(show(&Value::list([Value::from(10i64), longs(&[20, 30])])), "10\n20 30\n");
}

#[test]
fn floats_have_seven_significant_digits_or_as_many_as_they_need() {
    for (x, text) in [
        (1.0 / 3.0, "0.3333333333333"),
        (0.1 + 0.2, "0.3"),
        (1e7, "1e+07"),
        (1234567.0, "1234567"),
        (12345678.0, "12345678"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-2.5, "-2.5"),
        (99999.99, "99999.99"),
        (f64::INFINITY, "0w"),
    ] {
        assert_eq!(float(x), text);
    }
    assert_eq!(
        (real(0.1), real(1.0 / 3.0), real(-1e10)),
        ("0.1".into(), "0.33333334".into(), "-1e+10".into())
    );
}

#[test]
fn more_than_fits_ends_in_dots() {
    let t = Table::of([("a", longs(&(0..100).collect::<Vec<_>>()))]).unwrap().into();
    let shown = text(&t, Size { lines: 5, width: 80 });
    assert_eq!(shown, "a\n-\n0\n1\n..\n");
    let wide = text(&Value::str("x".repeat(100)), Size { lines: 5, width: 10 });
    assert_eq!(wide, "\"xxxxxxx..\n");
}

/// Cells of any length and content: nothing panics, lines are of one height, and what is printed stays in proportion to
/// the data.
#[test]
fn whatever_a_cell_holds_can_be_printed() {
    const PIECES: [&str; 12] =
        ["a", "9", " ", "\n", "\t", "\u{1b}[2J", "\u{9b}31m", "\0", "é", "漢", "🦀", "\u{7f}"];
    let mut seed = 3u64;
    let mut roll = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for case in 0..1000 {
        let mut text = || {
            let length = match roll(300) {
                0 => 70_000 + roll(1000),
                1 => 990 + roll(20),
                _ => roll(12),
            };
            let piece = PIECES[roll(12)];
            let mut text = piece.repeat(length);
            (0..4).for_each(|_| text.push_str(PIECES[roll(12)]));
            text
        };
        let symbols: Vec<String> = (0..3).map(|_| text()).collect();
        let strings: Vec<Value> = (0..3).map(|_| Value::str(text())).collect();
        let name = text().replace('\0', "");
        let raw: usize = symbols.iter().map(String::len).sum::<usize>() + name.len();
        let keys = Value::syms(symbols.iter().map(String::as_str));
        let table =
            Table::of([(name.as_bytes(), keys.clone()), (b"s", Value::list(strings.clone()))]).unwrap();
        let dict = Dict::new(keys.clone(), Value::list(strings)).unwrap();
        let width = 20 + roll(200);
        for value in [table.into(), dict.into(), keys] {
            let all = show(&value);
            assert!(!all.chars().any(|c| c.is_control() && c != '\n'), "case {case}");
            assert!(all.lines().count() <= 5, "case {case}: {}", all.lines().count());
            assert!(all.len() <= 5 * (raw + 4 * 71_000 * 12 + 4 * WIDEST), "case {case}: {}", all.len());
            let few = text_of(&value, Size { lines: 9, width });
            assert!(few.lines().all(|line| columns(line) <= width), "case {case}");
        }
    }
}

fn text_of(value: &Value, size: Size) -> String {
    super::text(value, size)
}

#[test]
fn a_symbol_of_a_megabyte_and_a_list_of_all_values_are_printed() {
    let long = "x".repeat(1 << 20);
    let t = Table::of([("sym", Value::syms([long.as_str(), "b"])), ("n", longs(&[1, 2]))]).unwrap();
    let shown = show(&t.into());
    assert!(shown.lines().any(|line| line == "b   2") && shown.len() < (1 << 20) + 100, "{}", shown.len());
    let distinct = Value::list([longs(&(0..30_000).collect::<Vec<_>>())]);
    let t = Table::of([("d", distinct), ("n", longs(&[1]))]).unwrap();
    assert_eq!(show(&t.into()).lines().count(), 3);
}

#[test]
fn what_would_change_the_terminal_is_shown_and_wide_letters_are_counted() {
    let t = Table::of([("s", Value::syms(["a\u{1b}[2Jb", "漢字", "x"])), ("n", longs(&[1, 2, 3]))]).unwrap();
    assert_eq!(show(&t.into()), "s         n\n-----------\na\\033[2Jb 1\n漢字      2\nx         3\n");
}
