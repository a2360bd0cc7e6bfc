//! What the console shows for statements: control, iteration, application, assignment, errors.

use crate::{host::Closed, session::Session};

/// Each input with what the console prints for it, errors included, in one session.
fn check(steps: &[(&str, &str)]) {
    let mut q = Session::new(Box::new(Closed::default()));
    for (input, want) in steps {
        let got = q.console(input).unwrap_or_else(|e| q.report(&e));
        assert_eq!(got.trim_end_matches('\n'), *want, "{input}");
    }
}

#[test]
fn iterators_take_every_number_of_arguments() {
    check(&[
        ("f:{[a;b]a+b}", ""),
        ("f'[1 2 3;4 5 6]", "5 7 9"),
        ("f[;10]'[1 2 3]", "11 12 13"),
        ("{x+y}\\[10;1 2 3]", "11 13 16"),
        ("5 {x*2}\\1", "1 2 4 8 16 32"),
        ("{x<100}{x*2}/1", "128"),
        ("{x+y*z}/[1;2 3;4 5]", "24"),
        ("-':[3 5 9]", "3 2 4"),
        ("1 2 3+\\:10 20", "11 21\n12 22\n13 23"),
        ("{x+1}each `a`b!1 2", "a| 2\nb| 3"),
        ("+/[()]", "0"),
        (",/[()]", "()"),
        ("0 1 2 1'[`a`b`c`d;`e`f`g`h;`i`j`k`l]", "`a`f`k`h"),
    ]);
}

#[test]
fn control_leaves_lambdas_early() {
    check(&[
        ("{if[x>3;:`gt];`le}each 2 5", "`le`gt"),
        ("{while[x<100;x*:2];x}3", "192"),
        ("{[n]i:0;while[i<n;if[i=7;:i];i+:1];-1}10", "7"),
        ("{r:$[x;:`early;`late];r,r}each 10b", "`early\n`late`late"),
        ("{$[x<2;1;x*.z.s x-1]}10", "3628800"),
    ]);
}

#[test]
fn arithmetic_on_atoms_is_that_of_the_primitives() {
    check(&[
        ("{x+y}[1;0N]", "0N"),
        ("{x div y}[7;0]", "0N"),
        ("{x mod y}[-7;3]", "2"),
        ("{(x<y)+(y<3)}[1;2]", "2i"),
        ("{x%2}each til 12", "0 0.5 1 1.5 2 2.5 3 3.5 4 4.5 5 5.5"),
        ("{x>5}each til 10", "0000001111b"),
        ("g:{x+1};h:{g[x]*2};h 5", "12"),
        ("g:{x+10};h 5", "30"),
        ("{x+1}/[1000000;0]", "1000000"),
        ("1+{.z.s x}/[0;1]", "2"),
        ("{.z.s x+1}0", "'stack\n  [99]  {.z.s x+1}\n         ^"),
    ]);
}

#[test]
fn amends_change_only_what_is_named() {
    check(&[
        ("x:1 2 3", ""),
        ("y:x", ""),
        ("x[1]:10", ""),
        ("x[0 2]+:5", ""),
        ("x", "6 10 8"),
        ("y", "1 2 3"),
        ("g:{[x;y]@[x;y;:;100]}", ""),
        ("g[x;1]", "6 100 8"),
        ("x", "6 10 8"),
        ("{x,:4;x}x", "6 10 8 4"),
        ("x", "6 10 8"),
        ("(a;b):1 2", ""),
        ("a+b", "3"),
        ("{[x:`j]x}5f", "'type\n  [1]  {[x:`j]x}\n       ^"),
        ("til:5", "'assign\n  [0]  til:5\n       ^"),
    ]);
}

#[test]
fn names_belong_to_the_namespace_of_the_text() {
    check(&[
        ("\\d .b", ""),
        ("f:{g x}", ""),
        ("g:{x+100}", ""),
        ("\\d .", ""),
        (".b.f 1", "101"),
        ("key `.b", "``f`g"),
        ("v::w+1", ""),
        ("w:5", ""),
        ("v", "6"),
        ("w:6", ""),
        ("v", "7"),
        ("views[]", "`s#,`v"),
    ]);
}

#[test]
fn errors_say_where_they_happened() {
    check(&[
        ("g:{a:x*2;a+y}", ""),
        ("f:{g[x;2#y]}", ""),
        ("f[3;\"hello\"]", "'type\n  [2]  g:{a:x*2;a+y}\n                 ^"),
        (")a*4", "24"),
        (")`", ""),
        (")\\", ""),
        ("h:{'`bad}", ""),
        ("h[]", "'bad\n  [0]  h[]\n       ^"),
        ("k:{h[]}", ""),
        ("k[]", "'bad\n  [2]  h:{'`bad}\n          ^\n  [1]  k:{h[]}\n          ^"),
        ("@[f[3];\"hello\";{\"trapped \",x}]", "\"trapped type\""),
        ("reval parse\"w:1\"", "'noupdate: `. `w\n  [0]  reval parse\"w:1\"\n       ^"),
    ]);
}
