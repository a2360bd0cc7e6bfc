//! [`Session`]: an interpreter as an embedding holds it.

pub use crate::eval::Budget;

use crate::{
    Kind, QError, R,
    ctx::{Ctx, Settings},
    eval::{Interp, render},
    format,
    host::Host,
    value::{Sym, Value},
};

/// An interpreter with its globals, settings and host.
///
/// ```
/// use qlang::{host::Closed, session::Session};
/// let mut q = Session::new(Box::new(Closed::default()));
/// q.set("a", qlang::Value::Long(20))?;
/// assert_eq!(q.console("a")?, "20\n");
/// # Ok::<(), qlang::QError>(())
/// ```
pub struct Session {
    interp: Interp,
}

impl Session {
    /// A fresh interpreter over this host.
    pub fn new(host: Box<dyn Host>) -> Session {
        Session { interp: Interp::new(host) }
    }

    /// Runs the lines of a script or of console input; the value of the last statement.
    pub fn run(&mut self, text: &str) -> R {
        self.interp.begin();
        self.interp.script_lines(text)
    }

    /// One console input: what q prints for it. Errors come back as errors; [`Session::report`] is what q prints
    /// for them.
    pub fn console(&mut self, text: &str) -> R<String> {
        self.interp.begin();
        let (v, shown) = self.interp.console_input(text)?;
        Ok(if shown { format::console(&v, self.interp.settings()) } else { String::new() })
    }

    /// What the console prints for an error: its text, and where it happened.
    pub fn report(&self, e: &QError) -> String {
        report(e)
    }

    /// Loads a script.
    pub fn load(&mut self, path: &str) -> R<()> {
        self.interp.begin();
        self.interp.load(path)
    }

    /// The value of a global by its full name.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.interp.global(Sym::new(name))
    }

    /// Sets a global by its full name.
    pub fn set(&mut self, name: &str, v: Value) -> R<()> {
        self.interp.set_global(Sym::new(name), v)
    }

    /// Applies a function.
    pub fn call(&mut self, f: &Value, args: Vec<Value>) -> R {
        self.interp.begin();
        self.interp.apply(f, args)
    }

    /// Evaluates what a message from a handle asks, by `.z.pg` or `.z.ps`; the settings' caller says whose it is.
    pub fn serve(&mut self, kind: crate::host::Kind, body: &bytes::Bytes) -> R {
        self.interp.begin();
        crate::ops::files::ipc::evaluate(&mut self.interp, kind, body)
    }

    /// Sets what each run may use up.
    pub fn budget(&mut self, b: Budget) {
        self.interp.set_budget(b);
    }

    /// What `\P`, `\c` and kin set.
    pub fn settings(&mut self) -> &mut Settings {
        self.interp.settings()
    }

    /// The evaluation itself, for code that works with primitives.
    pub fn ctx(&mut self) -> &mut dyn Ctx {
        &mut self.interp
    }

    /// Sets the number of threads that `peach` and large primitives may use.
    pub fn threads(&mut self, n: usize) {
        self.interp.set_threads(n);
    }
}

/// What the console prints for an error.
fn report(e: &QError) -> String {
    let mut out = format!("'{}\n", e.text());
    if matches!(e.kind(), Kind::Exit(_)) {
        return out;
    }
    let trace = e.trace();
    let n = trace.len();
    let Some(first) = trace.first() else { return out };
    let signalled = first.text.as_bytes().get(first.at) == Some(&b'\'');
    match (signalled, n) {
        (true, 2) => out.push_str(&render(&trace[1], 0)),
        (true, n) if n > 2 => {
            out.push_str(&render(first, n - 1));
            out.push_str(&render(&trace[1], n - 2));
        }
        _ => out.push_str(&render(first, n - 1)),
    }
    out
}
