//! Words that look like times, of any length: a value or an error, never a panic.

use proptest::prelude::*;
use qlang::{host::Closed, session::Session};

const CASTS: &str = "pmdznuvt";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn a_word_like_a_time_is_a_value_or_an_error(
        word in "-?[0-9]{1,12}([.:DT-][0-9]{1,20}){0,4}[mnpdtuvz]?",
        more in "[0-9]{1,11}[.][0-9]{1,3}m",
    ) {
        let mut session = Session::new(Box::new(Closed::default()));
        for text in [&word, &more, &format!("{word} {more}")] {
            let _ = session.console(text);
            for to in CASTS.chars().flat_map(|c| [c, c.to_ascii_uppercase()]) {
                let _ = session.console(&format!("\"{to}\"${text}"));
                let _ = session.console(&format!("\"{to}\"$\"{text}\""));
            }
        }
    }
}

#[test]
fn long_years_are_no_months() {
    let mut session = Session::new(Box::new(Closed::default()));
    assert!(session.console("2147483647.12m").is_err());
    assert_eq!(session.console("2024.12m").unwrap(), "2024.12m\n");
    assert_eq!(session.console("\"N\"$\"999999999:00:00\"").unwrap(), "0Nn\n");
}
