//! The parser by its trees, and by what it must survive.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc};

use super::{Word, Words, parse, tree};
use crate::{
    QError,
    ctx::Settings,
    format,
    value::{Primitive, Value},
};

const UNARY: &[(&str, &str)] = &[
    ("neg", "-:"),
    ("enlist", "enlist"),
    ("flip", "+:"),
    ("count", "#:"),
    ("first", "*:"),
    ("til", "til"),
    ("sum", "sum"),
    ("avg", "avg"),
    ("distinct", "?:"),
    ("where", "&:"),
    ("iasc", "<:"),
    ("idesc", ">:"),
];
const DYADS: &[&str] = &["each", "over", "in", "within", "xbar", "wavg", "fby", "and"];
const OPERATORS: &[&str] = &[
    ":", "+", "-", "*", "%", "&", "|", "^", "=", "<", ">", "<>", "<=", ">=", "$", ",", "#", "_", "~", "!",
    "?", "@", ".", "0:", "1:", "2:", ",:",
];

/// Words without code behind them.
pub(crate) struct Stub(HashMap<Vec<u8>, Word>);

impl Stub {
    pub(crate) fn new() -> Stub {
        let mut words = HashMap::new();
        let mut add = |key: &str, text: &'static str, word: &'static str, ty, infix| {
            let primitive: &'static Primitive =
                Box::leak(Box::new(Primitive { text, word, ty, min: 1, max: 2, id: 0 }));
            words.insert(key.as_bytes().to_vec(), Word { value: Value::Prim(primitive), infix });
        };
        for &(word, text) in UNARY {
            add(word, text, word, 101, false);
            add(text, text, word, 101, false);
        }
        for word in DYADS {
            add(word, word, word, 100, true);
        }
        for word in OPERATORS {
            add(word, word, word, 102, true);
        }
        Stub(words)
    }
}

impl Words for Stub {
    fn word(&self, name: &[u8]) -> Option<Word> {
        self.0.get(name).cloned()
    }
}

fn tree_of(text: &str) -> Result<String, QError> {
    let stub = Stub::new();
    let parsed = parse(&Arc::from(text), None, 0, &stub)?;
    let value = tree::of_parsed(&parsed, &stub)?;
    Ok(format::inline(&value, &Settings::default()))
}

#[track_caller]
fn check(text: &str, tree: &str) {
    let got = tree_of(text).unwrap_or_else(|e| format!("{e}"));
    assert_eq!(got, tree, "tree of {text}");
}

#[test]
fn expressions_as_trees() {
    check("2+3*4", "(+;2;(*;3;4))");
    check("1 2 3 +/: 5 7", "((/:;+);1 2 3;5 7)");
    check("1 2 3 +neg 5 7", "(+;1 2 3;(-:;5 7))");
    check("f x", "`f`x");
    check("x-1", "(-;`x;1)");
    check("x -1", "(`x;-1)");
    check("(a)-1", "(-;`a;1)");
    check("(1;`a)", "(enlist;1;,`a)");
    check("a:5", "(:;`a;5)");
    check("a[1]+:5", "(+:;(`a;1);5)");
    check("$[a;b;`c]", "($;`a;`b;,`c)");
    check("f'[x;y]", "((';`f);`x;`y)");
    check("1+", "(+;1)");
    check("a;b", "(\";\";`a;`b)");
    check("(0|+)", "(';(|;0);+)");
    check("neg sum@", "(';-:;sum)");
    check("sum@", "(@;sum)");
    check("f g::", "(';`f;`g)");
    check("(!).flip x", "(.;!;(+:;`x))");
    check("x each`a`b", "(each;`x;,`a`b)");
}

#[test]
fn templates_as_trees() {
    check(
        "select avg price by sym from t where x>1",
        "(?;`t;,,(>;`x;1);(,`sym)!,`sym;(,`price)!,(avg;`price))",
    );
    check("select from t", "(?;`t;();0b;())");
    check("exec a from t", "(?;`t;();();,`a)");
    check("delete a from t", "(!;`t;();0b;,,`a)");
    check("select[5;>price] from t", "(?;`t;();0b;();5;,(>:;`price))");
    check("select a,2*b,b+c,b wavg c from t", "(?;`t;();0b;`a`x`b`c!(`a;(*;2;`b);(+;`b;`c);(wavg;`b;`c)))");
}

#[test]
fn errors_name_the_character() {
    for (text, error, at) in [
        ("(1;2", "(", 0),
        ("1)", ")", 1),
        ("2+2;+2", "+", 4),
        ("{a::1;a:1}", "a", 6),
        ("\"abc", "\"", 0),
        ("count:1", "assign", 0),
        ("f[1;2", "[", 1),
    ] {
        let e = tree_of(text).expect_err(text);
        assert_eq!((e.text(), e.trace().first().map(|f| f.at)), (error, Some(at)), "error of {text}");
    }
}

#[test]
fn comments_end_statements() {
    for (text, bare) in
        [("1 / a \" b", "1"), ("\"a / b\"", "\"a / b\""), ("{a / it's \"\n b} / c", "{a / it's \"\n b}")]
    {
        assert_eq!(super::script::uncommented(text), bare);
    }
}

#[test]
fn scripts_are_split() {
    use super::script::{Line, split};
    let text = "#!/usr/bin/env q\n/ a comment\n/\nblock\n\\\nf:{\n x\n/ inside\n +1\n }\n\\d .a\nk)#x\nb:2 / two\n\\\nnot read";
    let want = [
        Line::Statement { text: "f:{\n x\n\n +1\n }".into(), line: 6 },
        Line::System { text: "d .a".into(), line: 11 },
        Line::Language { letter: 'k', text: "#x".into(), line: 12 },
        Line::Statement { text: "b:2".into(), line: 13 },
        Line::End,
    ];
    assert_eq!(split(text), want);
}

#[test]
fn nesting_is_limited() {
    for text in [
        "(".repeat(100_000),
        "{".repeat(100_000),
        "$[".repeat(100_000),
        "1+".repeat(100_000),
        "f ".repeat(100_000),
    ] {
        assert_eq!(tree_of(&text).expect_err("too deep").text(), "stack");
    }
}

/// Text of random pieces parses or fails, and never panics. Each case has its number, which repeats it.
#[test]
fn any_text_is_survived() {
    const PIECES: &[&str] = &[
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ";",
        ":",
        "::",
        "+",
        "-",
        "'",
        "/",
        "\\",
        "':",
        "/:",
        "\\:",
        "`",
        "`a",
        "\"",
        "\"a\\",
        " ",
        "\n",
        "x",
        "select ",
        "from ",
        "by ",
        "where ",
        ",",
        "0N",
        "1.5",
        "0x1",
        "2000.01.01D",
        "12:",
        "1:",
        "if[",
        "$[",
        "([",
        "é",
        ".",
        ".a",
        "_",
        "1e-",
        "-",
        "k)",
        "each",
        "count",
        "0Wd",
        "10:00:00.000000",
    ];
    let stub = Stub::new();
    let mut seen = 0;
    for case in 0..20_000u64 {
        let mut state = case.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        let length = next() % 12;
        let text: String = (0..length).map(|_| PIECES[next() % PIECES.len()]).collect();
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
            parse(&Arc::from(text.as_str()), None, 0, &stub).is_ok()
        }));
        assert!(result.is_ok(), "case {case} panics: {text:?}");
        seen += usize::from(result.unwrap_or(false));
    }
    assert!(seen > 100, "most texts are refused: {seen}");
}
