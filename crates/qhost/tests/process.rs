//! What a process does from outside: flags, exit codes, handles, callers with and without rights, HTTP.

#[allow(dead_code)] // each test uses its part
mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
};

use support::{Q, console, free_port};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn expressions_are_printed_and_the_exit_code_says_whether_they_failed() {
    assert_eq!(
        console(here(), &["--eval", "1+1", "--eval", "til 3"], ""),
        ("2\n0 1 2\n".into(), String::new(), Some(0))
    );
    let (out, err, code) = console(here(), &["--eval", "1+`a"], "");
    assert_eq!((out.as_str(), err.lines().next(), code), ("", Some("'type"), Some(1)));
    assert_eq!(console(here(), &["--eval", "exit 3"], "").2, Some(3));
    assert_eq!(console(here(), &["-t", "soon"], "").2, Some(2));
}

#[test]
fn a_script_ends_with_its_end_and_says_where_it_failed() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("good.q"), "show .z.x\n").expect("written");
    std::fs::write(dir.path().join("bad.q"), "a:1\nb:a+`x\n").expect("written");
    let (out, err, code) = console(dir.path(), &["good.q", "one", "two"], "");
    assert_eq!((out.as_str(), err.as_str(), code), ("\"one\"\n\"two\"\n", "", Some(0)));
    let (_, err, code) = console(dir.path(), &["bad.q"], "");
    assert_eq!(code, Some(1));
    assert!(err.contains("'type") && err.contains("bad.q:2"), "{err}");
}

#[test]
fn what_is_typed_is_evaluated_until_the_input_ends() {
    let (out, err, code) = console(here(), &["-q"], "a:6\na*7\n1+\"x\nexit 4\n99\n");
    assert_eq!(out, "42\n");
    assert!(!err.is_empty());
    assert_eq!(code, Some(4));
}

#[test]
fn a_timer_keeps_a_process_alive_until_it_exits() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("t.q"), "n:0\n.z.ts:{n+:1;if[n=3;-1\"done\";exit 0]}\n").expect("written");
    assert_eq!(console(dir.path(), &["t.q", "-t", "5"], ""), ("done\n".into(), String::new(), Some(0)));
}

#[test]
fn handles_ask_tell_wait_and_defer() {
    let dir = tempfile::tempdir().expect("a folder");
    let script = "seen:()\n.z.po:{seen,:x}\n.z.pc:{seen,:neg x}\n\
        later:{-30!(::);waiting::.z.w;}\nnow:{-30!(waiting;0b;x)}\n.z.exit:{-2\"bye \",string x}\n";
    std::fs::write(dir.path().join("s.q"), script).expect("written");
    let port = free_port();
    let q = Q::start(dir.path(), &["s.q"], port);
    let input = format!(
        "h:hopen {port}\nh\"1+1\"\nh({{x*y}};6;7)\nneg[h]\"a:5\"\nh\"a\"\nneg[h]({{neg[.z.w]x}};`back);h[]\n\
         g:hopen(`::{port};1000)\ng\"count seen\"\n\
         @[h;\"'oops\";{{x}}]\n`::{port}\"2+3\"\n-25!((h;g);\"b:9\");\n(h;g)@\\:\"b\"\nhclose h\nhclose g\n"
    );
    let (out, err, _) = console(here(), &[], &input);
    assert_eq!(out, "2\n42\n5\n`back\n2\n\"oops\"\n5\n9 9\n", "{err}");
    // A request that is answered by another one's doing.
    let input = format!(
        "h:hopen {port}\ng:hopen {port}\nneg[g]({{.z.ts:{{system\"t 0\";now 77}};system\"t 30\"}};0)\nh(`later;0)\n"
    );
    assert_eq!(console(here(), &[], &input).0, "77\n");
    q.until("sum -1_seen", "0i");
    console(here(), &[], &format!("h:hopen {port}\nh\"exit 7\"\n"));
    q.wait_for("bye 7");
    assert_eq!(q.wait(), Some(7));
}

#[test]
fn who_has_no_password_stays_out_and_who_has_one_stays_in_the_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("users"), "ann:secret\n").expect("written");
    std::fs::write(dir.path().join("inside"), "x\n").expect("written");
    std::fs::write(dir.path().join("s.q"), "v:1\n").expect("written");
    let port = free_port();
    let _q = Q::start(dir.path(), &["s.q", "-u", "users", "-b"], port);
    let input = format!(
        "@[hopen;`::{port};{{x}}]\n@[hopen;`::{port}:ann:wrong;{{x}}]\nh:hopen`::{port}:ann:secret\nh\".z.u\"\n\
         h\"read0`:inside\"\n@[h;\"read0`:/etc/passwd\";{{x}}]\n@[h;\"system\\\"ls\\\"\";{{x}}]\n\
         @[h;\"v:2\";{{7#x}}]\nh\"v\"\n"
    );
    let (out, err, _) = console(here(), &[], &input);
    assert_eq!(
        out, "\"access\"\n\"access\"\n`ann\n,\"x\"\n\"access\"\n\"noupdate\"\n\"noupdat\"\n1\n",
        "{err}"
    );
}

fn http(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

#[test]
fn browsers_get_pages_and_files_and_what_q_code_answers() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("s.q"), "t:([]a:1 2;b:`x`y)\n.z.pp:{.h.hy[`txt]x 0}\n").expect("written");
    let port = free_port();
    let _q = Q::start(dir.path(), &["s.q"], port);
    let get =
        |path: &str| http(port, &format!("GET {path} HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n"));
    assert!(get("/?t").contains("a b\n---\n1 x\n2 y\n"));
    assert!(get("/t.csv?select%20from%20t%20where%20a=2").ends_with("a,b\n2,y"));
    assert!(get("/nothing").starts_with("HTTP/1.1 404"));
    assert!(get("/?1+`a").starts_with("HTTP/1.1 400"));
    let post = "POST / HTTP/1.1\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    assert!(http(port, post).ends_with("hello"));
    assert!(http(port, "GET / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n").starts_with("HTTP/1.1 413"));
}

#[test]
fn bytes_that_are_no_message_cost_their_sender_the_connection_and_nobody_else() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("s.q"), "\n").expect("written");
    let port = free_port();
    let q = Q::start(dir.path(), &["s.q"], port);
    let hello = b"me:\x03\0";
    let huge = [1u8, 1, 0, 0, 0xff, 0xff, 0xff, 0x7f];
    let cut = [1u8, 1, 0, 0, 14, 0, 0, 0, 10, 0, 0xff, 0xff, 0xff, 0x7f];
    for bytes in [&huge[..], &[9; 64], &cut] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        stream.write_all(hello).expect("sent");
        let mut capability = [0];
        stream.read_exact(&mut capability).expect("welcome");
        assert_eq!(capability, [3]);
        stream.write_all(bytes).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("no more");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    assert_eq!(q.ask("1+1"), "2\n");
}
