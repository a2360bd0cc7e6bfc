//! Processes that a test starts, on ports that the system chooses, ended with the test.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `q` process.
pub(crate) struct Q {
    child: Child,
    port: u16,
    lines: Receiver<String>,
}

/// A free port of loopback.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Q {
    /// Starts a script with a port and waits until it listens.
    pub(crate) fn start(folder: &Path, arguments: &[&str], port: u16) -> Q {
        let mut child = Command::new(env!("CARGO_BIN_EXE_q"))
            .current_dir(folder)
            .args(arguments)
            .args(["-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::inherit())
            .stderr(Stdio::piped())
            .spawn()
            .expect("q starts");
        let (send, lines) = channel();
        let stderr = child.stderr.take().expect("its errors");
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                eprintln!("{line}");
                let _ = send.send(line);
            }
        });
        let q = Q { child, port, lines };
        q.wait_for("listening");
        q
    }

    /// Waits for a line on standard error.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(_) => panic!("the process on port {} never said {part:?}", self.port),
            }
        }
    }

    /// What the console of another process shows for this expression, sent to this one.
    pub(crate) fn ask(&self, expression: &str) -> String {
        let text = format!("h:hopen {};\nh {:?}\n", self.port, expression);
        let (out, err, _) = console(Path::new("."), &[], &text);
        assert!(err.is_empty(), "{expression}: {err}");
        out
    }

    /// Asks until the answer is as wanted.
    pub(crate) fn until(&self, expression: &str, wanted: &str) {
        let begin = std::time::Instant::now();
        loop {
            let got = self.ask(expression);
            if got.trim_end() == wanted {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{expression} gives {got}, never {wanted}");
            std::thread::yield_now();
        }
    }

    /// Ends the process as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Waits for the process to end; its exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("ended").code()
    }
}

impl Drop for Q {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives a console this input: standard output, standard error, exit code.
pub(crate) fn console(folder: &Path, arguments: &[&str], input: &str) -> (String, String, Option<i32>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_q"))
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("q starts");
    // One that ends before it has read all is no failure of the test.
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    let done = child.wait_with_output().expect("q ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(done.stdout), text(done.stderr), done.status.code())
}
