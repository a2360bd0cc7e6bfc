//! The grammar by hand, and generated: a value in quotes is that value, whatever it is, and text around it is refused.

use proptest::prelude::*;

use super::*;

fn condition(op: &str, column: &str, value: Value) -> Value {
    Value::list([Value::str(op), Value::sym(column), value])
}

fn texts(items: &[&str]) -> Value {
    Value::list(items.iter().map(Value::str).collect::<Vec<_>>())
}

#[test]
fn conditions_of_every_form() {
    for (text, op, column, value) in [
        ("price > 100", ">", "price", Value::str("100")),
        ("price>=100", ">=", "price", Value::str("100")),
        ("price>-1.5", ">", "price", Value::str("-1.5")),
        ("sym = AAPL", "=", "sym", Value::str("AAPL")),
        ("sym = 'AAPL'", "=", "sym", Value::str("AAPL")),
        ("sym=\"AAPL\"", "=", "sym", Value::str("AAPL")),
        ("sym = `AAPL", "=", "sym", Value::str("AAPL")),
        ("sym != AAPL", "<>", "sym", Value::str("AAPL")),
        ("sym<>AAPL", "<>", "sym", Value::str("AAPL")),
        ("sym = ''", "=", "sym", Value::str("")),
        ("sym = 'it''s'", "=", "sym", Value::str("it's")),
        ("sym = 'a = b and c'", "=", "sym", Value::str("a = b and c")),
        ("'odd name' = 1", "=", "odd name", Value::str("1")),
        ("time < 2024-01-02 09:30", "<", "time", Value::str("2024-01-02 09:30")),
        ("sym in AAPL, IBM", "in", "sym", texts(&["AAPL", "IBM"])),
        ("sym in (AAPL,IBM)", "in", "sym", texts(&["AAPL", "IBM"])),
        ("sym IN ('AAPL', \"I,BM\")", "in", "sym", texts(&["AAPL", "I,BM"])),
        ("sym in('A')", "in", "sym", texts(&["A"])),
        ("sym in `AAPL`IBM", "in", "sym", texts(&["AAPL", "IBM"])),
        ("price within 1,2", "within", "price", texts(&["1", "2"])),
        ("price within (1, 2)", "within", "price", texts(&["1", "2"])),
        ("name like \"a b*\"", "like", "name", Value::str("a b*")),
        ("name like [a-c]*", "like", "name", Value::str("[a-c]*")),
    ] {
        assert_eq!(filter(text).unwrap(), condition(op, column, value), "{text}");
    }
    for (text, op, value) in
        [("sym not in A,B", "in", texts(&["A", "B"])), ("sym NOT LIKE A*", "like", Value::str("A*"))]
    {
        assert_eq!(
            filter(text).unwrap(),
            Value::list([Value::str("not"), condition(op, "sym", value)]),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_condition_says_how_to_write_it() {
    for (text, hint) in [
        ("sym==AAPL", "one = compares: write sym = AAPL"),
        ("sym = AAPL and price > 100", "one condition a flag"),
        ("sym = 'AAPL' and price > 100", "one condition a flag"),
        ("sym in (A,B) or price > 1", "one condition a flag"),
        ("sym = 'AAPL' && price > 100", "one condition a flag"),
        ("sym = A || sym = B", "one condition a flag"),
        ("sym = AAPL,IBM", "use in for a list"),
        ("sym = (AAPL)", "without parentheses"),
        ("sym = New York", "put quotes around a value ('New York')"),
        ("sym in A B", "commas between several"),
        ("sym = 'AAPL", "quote is not closed"),
        ("sym in (A,B", "parenthesis is not closed"),
        ("sym in A,B)", "follows the value"),
        ("sym in A,,B", "a value is missing"),
        ("sym in ()", "in has no value"),
        ("(sym = A)", "without parentheses around it"),
        ("not sym = A", "not stands before in"),
        ("price between 1 and 2", "within LOW,HIGH"),
        ("price within 1", "two bounds"),
        ("price within 1,2,3", "two bounds"),
        ("sym is null", "sym = ''"),
        ("sym like 'A%'", "* for any text"),
        ("sym =~ A", "like"),
        ("price => 5", ">="),
        ("price", "expected COLUMN"),
        ("price >", "> has no value"),
        ("> 3", "expected COLUMN"),
        ("sym AAPL", "expected COLUMN"),
        ("", "expected COLUMN"),
    ] {
        let why = filter(text).unwrap_err().to_string();
        assert!(why.contains(hint), "{text}: {why}");
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        prop::collection::vec(
            prop::sample::select(vec!["'", "\"", "and", " ", "=", "(", ",", "`", "A", "%"]),
            0..8
        )
        .prop_map(|all| all.concat()),
        any::<String>(),
    ]
}

fn in_quotes(text: &str, quote: char) -> String {
    format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_in_quotes_is_that_value(value in any_text(), double: bool, others in prop::collection::vec(any_text(), 0..3)) {
        let quote = if double { '"' } else { '\'' };
        for op in ["=", "<>", "<", ">", "<=", ">="] {
            let text = format!("c {op} {}", in_quotes(&value, quote));
            prop_assert_eq!(filter(&text), Ok(condition(op, "c", Value::str(&value))), "{}", text);
        }
        let all: Vec<&str> = [&value].into_iter().chain(&others).map(String::as_str).collect();
        let joined = all.iter().map(|v| in_quotes(v, quote)).collect::<Vec<_>>().join(", ");
        for text in [format!("c in {joined}"), format!("c in ({joined})")] {
            prop_assert_eq!(filter(&text), Ok(condition("in", "c", texts(&all))), "{}", text);
        }
        // Nothing beside the value is ever swallowed by it.
        for tail in [" and d = 1", " x", " 'x'", ")", " || d"] {
            let text = format!("c = {}{tail}", in_quotes(&value, quote));
            prop_assert!(filter(&text).is_err(), "{}", text);
        }
    }

    /// A bare value is all of what stands behind the operator, or the condition is refused.
    #[test]
    fn a_bare_value_is_whole_or_refused(value in any_text()) {
        if let Ok(read) = filter(&format!("c = {value}")) {
            let value = value.trim();
            let shown = read.index(2).as_text().map(|t| String::from_utf8_lossy(&t).into_owned());
            let shown = shown.unwrap_or_default();
            let said = value.starts_with(['\'', '"', '`']) || value.starts_with(",\"") || shown == value;
            prop_assert!(said, "{} was read as {}", value, shown);
            let joins = |w: &str| ["and", "or", "||", "&&"].contains(&w);
            let is_word = value.split_whitespace().count() == 1;
            let has_join = !is_word && value.split_whitespace().any(joins);
            prop_assert!(value.starts_with(['\'', '"', ',']) || !has_join, "{}", value);
        }
    }
}
