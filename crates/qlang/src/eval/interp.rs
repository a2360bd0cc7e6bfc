//! [`Interp`]: the state of one evaluation, and the services for primitives.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ahash::HashMap;

use super::{
    compile::{self, Source},
    globals::{Globals, qualify, slot},
    node::{At, Code, NOWHERE},
    views::View,
};
use crate::{
    Frame, Kind, QError, R,
    ctx::{Ctx, Settings},
    host::Host,
    registry::registry,
    syntax,
    value::{Lambda, Sym, Value, live_bytes},
};

/// What an evaluation may use up.
#[derive(Debug, Clone)]
pub struct Budget {
    /// time of one run; `None`: no end
    pub time: Option<Duration>,
    /// bytes that values made by one run may take; `None`: no limit
    pub memory: Option<usize>,
    /// calls within calls
    pub depth: usize,
    /// bytes of the thread's stack that evaluation may take
    pub stack: usize,
    /// set by another thread to end the run
    pub cancel: Option<Arc<AtomicBool>>,
    /// nothing may be amended
    pub read_only: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { time: None, memory: None, depth: 20_000, stack: 1 << 20, cancel: None, read_only: false }
    }
}

/// An interpreter.
pub struct Interp {
    pub(crate) globals: Globals,
    pub(crate) views: HashMap<u32, View>,
    pub(crate) stack: Vec<Value>,
    /// value on its way out of a lambda by `:e` within an expression
    pub(crate) returning: Option<Value>,
    /// place of the error on its way, in the code that runs
    pub(crate) at: At,
    pub(crate) depth: usize,
    /// what `\d` has set: names given as symbols are of this namespace, whichever function they are met in
    pub(crate) context: Sym,
    /// namespace of the function that runs: where names in its queries are looked for too
    pub(crate) inner: Sym,
    pub(crate) budget: Budget,
    pub(crate) host: Box<dyn Host>,
    pub(crate) settings: Settings,
    pub(crate) threads: usize,
    pub(crate) read_only: bool,
    /// source of the statements that run now, innermost last
    pub(crate) sources: Vec<Source>,
    pub(crate) compiled: HashMap<usize, (Arc<Lambda>, Arc<Lambda>)>,
    /// place of the call that is made
    pub(crate) here: At,
    /// lambdas that run, with the places of their calls; kept for the console only
    pub(crate) calls: Vec<(Arc<Lambda>, At)>,
    /// the levels of an error on its way, where the console wants them
    pub(crate) failing: Option<super::debug::Failure>,
    /// failed calls of the console
    pub(crate) suspended: Vec<super::debug::Failure>,
    /// the debugger's input is evaluated
    pub(crate) in_debugger: bool,
    ticks: u32,
    deadline: Option<Instant>,
    floor: i64,
    stack_top: usize,
    pub(crate) system: super::system::State,
}

impl Interp {
    /// An interpreter with q's words and nothing else.
    pub fn new(host: Box<dyn Host>) -> Interp {
        let mut interp = Interp::bare(host);
        super::boot::fill(&mut interp);
        interp
    }

    /// An interpreter without any global.
    pub(crate) fn bare(host: Box<dyn Host>) -> Interp {
        Interp {
            globals: Globals::default(),
            views: HashMap::default(),
            stack: Vec::with_capacity(256),
            returning: None,
            at: NOWHERE,
            depth: 0,
            context: Sym::NULL,
            inner: Sym::NULL,
            budget: Budget::default(),
            host,
            settings: Settings::default(),
            threads: 1,
            read_only: false,
            sources: Vec::new(),
            compiled: HashMap::default(),
            here: NOWHERE,
            calls: Vec::new(),
            failing: None,
            suspended: Vec::new(),
            in_debugger: false,
            ticks: 0,
            deadline: None,
            floor: 0,
            stack_top: 0,
            system: super::system::State::default(),
        }
    }

    /// Sets what each run may use up.
    pub fn set_budget(&mut self, b: Budget) {
        self.budget = b;
    }

    /// Sets the number of threads that may be used.
    pub fn set_threads(&mut self, n: usize) {
        self.threads = n.max(1);
    }

    /// Runs the lines of a script; the value of the last statement.
    pub fn script_lines(&mut self, text: &str) -> R {
        self.lines(text, None)
    }

    /// Loads a script or what else `\\l` loads.
    pub fn load(&mut self, path: &str) -> R<()> {
        self.system(&format!("l {path}")).map(|_| ())
    }

    /// One console input: its value, and whether the console shows it. `)` before it evaluates it in the debugger.
    pub fn console_input(&mut self, text: &str) -> R<(Value, bool)> {
        if let Some(inner) = text.strip_prefix(')')
            && !self.suspended.is_empty()
        {
            return match self.debug_input(inner)? {
                Ok(text) => {
                    self.host.print(1, text.as_bytes())?;
                    Ok((Value::Nil, false))
                }
                Err(v) => Ok((v, true)),
            };
        }
        self.failing = Some(super::debug::Failure::default());
        let got = self.console_line(text);
        if let Err(e) = &got
            && self.failing.as_ref().is_some_and(|f| !f.levels.is_empty())
        {
            self.suspend(e);
        }
        self.failing = None;
        got
    }

    fn console_line(&mut self, text: &str) -> R<(Value, bool)> {
        let trimmed = text.trim_start();
        if let Some(command) = trimmed.strip_prefix('\\') {
            return Ok((self.system(command)?, true));
        }
        if let Some(handler) = self.system.handlers.get(&Sym::new(".z.pi")).cloned() {
            let line = text.trim_end_matches(['\n', '\r']).to_owned() + "\n";
            let shown = self.apply1(&handler, Value::string(line))?;
            if let Some(text) = shown.as_text() {
                self.host.print(1, &text)?;
            }
            return Ok((Value::Nil, false));
        }
        let text: Arc<str> = without_comment(text).into();
        let parsed = syntax::parse(&text, None, 0, self)?;
        let mut last = Value::Nil;
        let mut shown = false;
        for e in &parsed.statements {
            use syntax::ast::Expr;
            shown = !matches!(e, Expr::Assign(_) | Expr::Match(..));
            last = self.run_statement(e, &text, None)?;
        }
        Ok((last, shown && !parsed.silent))
    }

    /// Begins work on a thread other than the creating thread.
    pub(crate) fn begin_thread(&mut self) {
        self.floor = live_bytes();
        self.stack_top = address();
        self.budget.stack = self.budget.stack.max(4 << 20);
    }

    /// Begins a run: the clock of the budget starts, the stack's depth is taken here.
    pub(crate) fn begin(&mut self) {
        self.deadline = self.budget.time.map(|t| Instant::now() + t);
        self.floor = live_bytes();
        self.stack_top = address();
        self.stack.clear();
        self.sources.clear();
        self.calls.clear();
        self.depth = 0;
        self.inner = Sym::NULL;
        self.at = NOWHERE;
        self.returning = None;
        self.read_only = self.budget.read_only;
    }

    /// A fresh error unless there is room for one more call.
    #[inline]
    pub(crate) fn enter(&mut self) -> R<()> {
        self.depth += 1;
        self.ticks = self.ticks.wrapping_add(1);
        if self.depth > self.budget.depth || self.ticks & 0xff == 0 {
            self.enter_slow()?;
        }
        let used = self.stack_top.abs_diff(address());
        if used > self.budget.stack {
            self.depth -= 1;
            return Err(QError::stack());
        }
        Ok(())
    }

    #[cold]
    fn enter_slow(&mut self) -> R<()> {
        let end = if self.depth > self.budget.depth { Err(QError::stack()) } else { self.look() };
        if end.is_err() {
            self.depth -= 1;
        }
        end
    }

    /// Looks at clock, memory and the caller's flag.
    fn look(&mut self) -> R<()> {
        if let Some(flag) = &self.budget.cancel
            && flag.load(Ordering::Relaxed)
        {
            return Err(QError::of(Kind::Stop, "stop"));
        }
        if let Some(limit) = self.budget.memory
            && live_bytes() - self.floor > limit as i64
        {
            return Err(QError::of(Kind::Stop, "wsfull"));
        }
        if let Some(end) = self.deadline
            && Instant::now() > end
        {
            return Err(QError::of(Kind::Stop, "stop"));
        }
        Ok(())
    }

    /// When a run ends, and the flag that ends it.
    pub(crate) fn bounds(&self) -> (Option<Instant>, Option<Arc<AtomicBool>>) {
        (self.deadline, self.budget.cancel.clone())
    }

    /// Called once a round of a loop.
    #[inline]
    pub(crate) fn tick(&mut self) -> R<()> {
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks & 0x3ff == 0 { self.look() } else { Ok(()) }
    }

    /// Notes where the error happened, unless a place further in is known.
    #[inline]
    pub(crate) fn mark(&mut self, at: At) {
        if self.at == NOWHERE {
            self.at = at;
        }
    }

    /// The level of the backtrace that code gives.
    pub(crate) fn frame(&mut self, code: &Code, text: &Arc<str>, line: Option<(Arc<str>, usize)>) -> Frame {
        let at = std::mem::replace(&mut self.at, NOWHERE);
        let at = if at == NOWHERE { usize::MAX } else { at.saturating_sub(code.start) as usize };
        Frame { name: code.name.clone(), text: text.clone(), at, file: line }
    }

    /// The value of a name that is no cell: a view, a word, an entry of a dictionary; an error of the name.
    #[cold]
    pub(crate) fn miss(&mut self, id: u32, name: Sym) -> R {
        if self.views.contains_key(&id) {
            return self.view_value(id);
        }
        let full = super::globals::name_of(id);
        if let Some(v) = self.globals.get(full) {
            return Ok(v);
        }
        if let Some(v) = self.dotz(full) {
            return v;
        }
        if !self.context.is_null() || full != name {
            // a word, or an entry of a dictionary in the root
            if let Some(v) = self.word_value(name) {
                return Ok(v);
            }
        } else if let Some(v) = self.word_value(name) {
            return Ok(v);
        }
        Err(QError::new(name.text()))
    }

    /// A word of q or of `.q`.
    pub(crate) fn word_value(&self, name: Sym) -> Option<Value> {
        let bytes = name.bytes();
        if !bytes.contains(&b'.') {
            let v = self.globals.cell(slot(super::globals::join(Sym::new(".q"), name)));
            if !matches!(v, Value::Hole) {
                return Some(v.clone());
            }
        }
        registry().find(bytes).map(Value::Prim)
    }

    /// Sets a global; writes the cell alone where no view or namespace needs an update.
    #[inline]
    pub(crate) fn put_global(&mut self, id: u32, full: Sym, value: Value) -> R<()> {
        if !self.read_only {
            let cell = self.globals.cell_mut(id);
            if cell.direct && !cell.watched && !matches!(cell.value, Value::Hole) {
                cell.value = value;
                return Ok(());
            }
        }
        self.assign_global(id, full, value)
    }

    /// Sets a global by its full name.
    pub(crate) fn assign_global(&mut self, id: u32, full: Sym, value: Value) -> R<()> {
        if self.read_only {
            return Err(QError::new(noupdate(full)));
        }
        if !full.bytes().is_empty() && full.bytes()[0] == b'.' && full.bytes().starts_with(b".z.") {
            return self.set_dotz(full, value);
        }
        if self.views.remove(&id).is_some() {
            self.globals.remove(full);
        }
        let watched = self.globals.cell_mut(id).watched;
        self.globals.set(full, value)?;
        if watched {
            self.changed(id);
        }
        Ok(())
    }

    /// Parses text and runs each statement in the current namespace.
    pub(crate) fn run_text(&mut self, text: &str, file: Option<(Arc<str>, usize)>) -> R {
        let text: Arc<str> = text.into();
        let parsed =
            syntax::parse(&text, file.as_ref().map(|f| &f.0), file.as_ref().map_or(0, |f| f.1 as u32), self)?;
        let mut last = Value::Nil;
        for e in &parsed.statements {
            last = self.run_statement(e, &text, file.clone())?;
        }
        Ok(if parsed.silent { Value::Nil } else { last })
    }

    /// Compiles and runs one statement.
    pub(crate) fn run_statement(
        &mut self,
        e: &syntax::ast::Expr,
        text: &Arc<str>,
        file: Option<(Arc<str>, usize)>,
    ) -> R {
        let source = Source { text: text.clone(), file, context: self.context };
        let code = compile::statement(e, &source)?;
        self.sources.push(source);
        self.enter()?;
        let got = self.run_code(&code);
        self.depth -= 1;
        let source = self.sources.pop();
        got.map_err(|mut e| {
            if let Some(s) = source {
                let f = self.frame(&code, &s.text, s.file);
                e.push(f);
            }
            e
        })
    }
}

/// The text of the error of an amend in a read-only evaluation, which names the global.
fn noupdate(full: Sym) -> String {
    let (parent, leaf) = super::globals::split(full);
    let parent = if parent.is_null() { ".".into() } else { parent.text() };
    format!("noupdate: `{parent} `{}", leaf.text())
}

/// A line of input without the comment at its end, which errors do not show.
pub(crate) fn without_comment(text: &str) -> &str {
    let bytes = text.as_bytes();
    if text.contains('\n') {
        return text;
    }
    let (mut i, mut inside) = (0, false);
    while i < bytes.len() {
        match bytes[i] {
            b'\\' if inside => i += 1,
            b'"' => inside = !inside,
            b'/' if !inside && i > 0 && matches!(bytes[i - 1], b' ' | b'\t') => return text[..i].trim_end(),
            _ => {}
        }
        i += 1;
    }
    text
}

/// About where the thread's stack stands.
#[inline(always)]
fn address() -> usize {
    let here = 0u8;
    std::hint::black_box(&raw const here) as usize
}

impl syntax::Words for Interp {
    fn word(&self, name: &[u8]) -> Option<syntax::Word> {
        if let Some(p) = registry().find(name)
            && (p.word.as_bytes() == name || !name.first().is_some_and(u8::is_ascii_alphabetic))
            && (name.len() == 1 || name.first() != Some(&b'.') || !name[1].is_ascii_alphabetic())
        {
            return Some(syntax::Word { value: Value::Prim(p), infix: registry().def(p).infix });
        }
        if !name.first()?.is_ascii_alphabetic() || name.contains(&b'.') {
            return None;
        }
        let v = self.globals.cell(slot(super::globals::join(Sym::new(".q"), Sym::new(name))));
        match v {
            Value::Hole => None,
            v => {
                let infix = matches!(super::apply::rank(v), 2);
                Some(syntax::Word { value: v.clone(), infix })
            }
        }
    }

    fn lambda(&self, f: &Arc<syntax::ast::Function>) -> Value {
        match self.made(f) {
            Ok(l) => Value::Lambda(l),
            Err(_) => Value::Lambda(Arc::new(Lambda {
                text: f.text.clone(),
                params: f.names.clone().into(),
                context: self.context,
                origin: None,
                code: f.clone(),
            })),
        }
    }
}

/// A function made while a text is parsed, with the namespace of that moment.
impl Interp {
    fn made(&self, f: &syntax::ast::Function) -> R<Arc<Lambda>> {
        let text: Arc<str> = f.text.clone();
        compile::lambda(f, &Source { text, file: None, context: self.context }, String::new())
    }
}

impl Ctx for Interp {
    fn apply(&mut self, f: &Value, args: Vec<Value>) -> R {
        self.apply_value(f, args)
    }

    fn global(&self, name: Sym) -> Option<Value> {
        if name.bytes().starts_with(b".z.") {
            return self.system.handlers.get(&name).cloned();
        }
        self.globals.get(name)
    }

    fn lookup(&self, name: Sym) -> Option<Value> {
        let own = self.globals.get(qualify(self.context, name));
        let own = match own {
            None if self.inner != self.context => self.globals.get(qualify(self.inner, name)),
            own => own,
        };
        own.or_else(|| self.word_value(name))
    }

    fn set_global(&mut self, name: Sym, value: Value) -> R<()> {
        self.assign_global(slot(name), name, value)
    }

    fn take_global(&mut self, name: Sym) -> Option<Value> {
        match std::mem::replace(&mut self.globals.cell_mut(slot(name)).value, Value::Hole) {
            Value::Hole => self.globals.get(name),
            v => Some(v),
        }
    }

    fn context(&self) -> Sym {
        self.context
    }

    fn run(&mut self, text: &str) -> R {
        self.run_text(text, None)
    }

    fn eval(&mut self, tree: &Value) -> R {
        self.eval_tree(tree)
    }

    fn check(&mut self) -> R<()> {
        self.look()
    }

    fn reserve(&mut self, bytes: usize) -> R<()> {
        let live = (live_bytes() - self.floor).max(0) as usize;
        let limit = self.budget.memory.unwrap_or(1 << 38);
        if live.saturating_add(bytes) > limit { Err(QError::wsfull()) } else { Ok(()) }
    }

    fn host(&mut self) -> &mut dyn Host {
        &mut *self.host
    }

    fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    fn fork(&mut self) -> Option<Box<dyn Ctx + Send>> {
        let host = self.host.fork()?;
        let mut other = Interp::bare(host);
        other.globals = self.globals.clone();
        other.context = self.context;
        other.budget = self.budget.clone();
        other.settings = self.settings.clone();
        other.begin();
        other.deadline = self.deadline;
        other.read_only = true;
        Some(Box::new(other))
    }

    fn threads(&self) -> usize {
        self.threads
    }

    fn any(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }
}

/// The interpreter behind a primitive's context.
pub(crate) fn interp(ctx: &mut dyn Ctx) -> R<&mut Interp> {
    ctx.any().and_then(|a| a.downcast_mut::<Interp>()).ok_or_else(QError::nyi)
}
