//! Each name that the library's q text defines is there: a line that fails would leave its name out.

use qlang::{host::Closed, session::Session};

#[test]
fn every_line_of_the_library_defines_its_name() {
    let session = Session::new(Box::new(Closed::default()));
    let mut seen = 0;
    for text in [include_str!("../src/ops/text/text.q"), include_str!("../src/eval/prelude.q")] {
        for line in text.lines().filter(|l| l.starts_with('.')) {
            let name = line.split(':').next().unwrap_or_default();
            assert!(session.get(name).is_some(), "{name} is not defined");
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen} names");
}

#[test]
fn headers_and_tags_of_http() {
    let mut session = Session::new(Box::new(Closed::default()));
    for (input, shown) in [
        (".h.htac[`a;`href`target!(\"u\";`v);\"t\"]", "\"<a href=\\\"u\\\" target=v>t</a>\"\n"),
        (".h.uh .h.hu \"a b/c\"", "\"a b/c\"\n"),
        (
            ".h.xd ([]a:1 2;b:`x`y)",
            "\"<R>\"\n\"<r><a>1</a><b>x</b></r>\"\n\"<r><a>2</a><b>y</b></r>\"\n\"</R>\"\n",
        ),
        (".h.iso8601 100", "\"2000-01-01T00:00:00.000000100\"\n"),
        ("last \"\\r\\n\" vs .h.hn[\"404\";`txt;\"gone\"]", "\"gone\"\n"),
    ] {
        let got = session.console(input).unwrap_or_else(|e| panic!("{input}: {e}"));
        assert_eq!(got, shown, "{input}");
    }
}
