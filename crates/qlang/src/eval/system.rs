//! System commands: `\x …` and `system "x …"`, by a table of functions.

use super::{
    globals::join,
    interp::{Interp, interp},
};
use crate::{
    QError, R,
    ctx::Ctx,
    registry::registry,
    value::{Sym, Value},
};

/// What commands set and nothing else reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// `\e`
    pub(crate) trap_errors: i32,
    /// `\g`
    pub(crate) collect: i32,
    /// `\T`
    pub(crate) timeout: i32,
    /// `.z.ac` and other `.z` names that were set
    pub(crate) handlers: ahash::HashMap<Sym, Value>,
    /// largest number of threads that there were
    pub(crate) most_threads: usize,
    /// the file that is being loaded
    pub(crate) script: Option<String>,
    /// command-line arguments as `.z.x`
    pub(crate) file: Sym,
}

type Command = fn(&mut Interp, &str) -> R;

/// Commands by name.
const COMMANDS: &[(&str, Command)] = &[
    ("a", tables),
    ("b", |i, _| Ok(i.view_names(false))),
    ("B", |i, _| Ok(i.view_names(true))),
    ("c", console),
    ("C", http),
    ("d", directory),
    ("e", |i, a| number(a, &mut i.system.trap_errors)),
    ("f", functions),
    ("g", |i, a| number(a, &mut i.system.collect)),
    ("T", |i, a| number(a, &mut i.system.timeout)),
    ("v", variables),
    ("P", precision),
    ("W", |i, a| number(a, &mut i.settings.week)),
    ("z", |i, a| {
        let mut n = i32::from(i.settings.day_first);
        let out = number(a, &mut n);
        i.settings.day_first = n != 0;
        out
    }),
    ("o", offset),
    ("S", seed),
    ("s", threads),
    ("t", time),
    ("ts", time_space),
    ("l", load),
    ("cd", folder),
    ("w", memory),
    ("p", port),
    ("u", |_, _| Ok(Value::Nil)),
    ("x", unset),
    ("r", rename),
    ("_", |i, _| Ok(Value::Bool(i.read_only))),
    ("1", |_, _| Ok(Value::Nil)),
    ("2", |_, _| Ok(Value::Nil)),
];

/// `system x`.
pub(crate) fn system(ctx: &mut dyn Ctx, x: Value) -> R {
    let text = x.as_text().ok_or_else(QError::type_)?;
    interp(ctx)?.system(&String::from_utf8_lossy(&text))
}

impl Interp {
    /// A command without its backslash.
    pub(crate) fn system(&mut self, text: &str) -> R {
        let text = text.trim_end();
        let name_end = text.find([' ', '\t']).unwrap_or(text.len());
        let (name, args) = (&text[..name_end], without_comment(&text[name_end..]).trim());
        if self.read_only && !args.is_empty() && !matches!(name, "a" | "b" | "B" | "f" | "v" | "t" | "ts") {
            return Err(QError::noupdate());
        }
        match name {
            "" => return Ok(Value::Nil),
            "\\" => return super::words::exit(self, Value::Long(0)),
            _ => {}
        }
        // repeats: \t:100 and \ts:100; the number may be a global's
        if let Some((name @ ("t" | "ts"), times)) = name.split_once(':') {
            let named = || u64::try_from(self.lookup(Sym::new(times))?.as_int()?).ok();
            let times = times.parse::<u64>().ok().or_else(named).ok_or_else(QError::type_)?;
            return timed(self, args, times, name == "ts");
        }
        if let Some((_, command)) = COMMANDS.iter().find(|c| c.0 == name) {
            // What follows a slash between blanks is a comment; `\t` and `\ts` are given code and see to it themselves.
            let args = match args.find(" / ").or_else(|| args.starts_with("/ ").then_some(0)) {
                Some(at) if !matches!(name, "t" | "ts") => args[..at].trim_end(),
                _ => args,
            };
            return command(self, args);
        }
        if self.read_only {
            return Err(QError::noupdate());
        }
        shell(self, text)
    }

    /// The namespace that a command means: the current one where it names none.
    fn space_named(&self, name: &str) -> R<Sym> {
        let space = match name.trim() {
            "" if self.context.is_null() => Sym::NULL,
            "" => Sym::new([b".", self.context.bytes()].concat()),
            "." => Sym::NULL,
            n if n.starts_with('.') => Sym::new(n),
            n => Sym::new(format!(".{n}")),
        };
        if space.is_null() || self.globals.is_space(space) {
            Ok(space)
        } else {
            Err(QError::new(space.text()))
        }
    }

    /// Names in a namespace whose values are as wanted, sorted.
    fn listed(&self, space: Sym, want: fn(&Value) -> bool) -> Value {
        let mut names: Vec<Sym> = self.globals.names(space).unwrap_or_default();
        names.retain(|n| self.globals.get(join(space, *n)).is_some_and(|v| want(&v)));
        if !space.is_null() {
            names.retain(|n| !self.globals.is_space(join(space, *n)));
        }
        names.sort_by_key(|n| n.bytes());
        sorted(names)
    }
}

/// Sorted names carry the attribute.
fn sorted(names: Vec<Sym>) -> Value {
    let n = names.len();
    match Value::syms(names) {
        Value::Vector(v) if n > 0 => Value::Vector(std::sync::Arc::new(
            std::sync::Arc::unwrap_or_clone(v).with_attr(kvalue::Attr::Sorted),
        )),
        v => v,
    }
}

/// Without the attribute, as `\a`, `\f` and `\v` answer.
fn bare(v: Value) -> Value {
    match v {
        Value::Vector(v) => Value::Vector(std::sync::Arc::new(
            std::sync::Arc::unwrap_or_clone(v).with_attr(kvalue::Attr::None),
        )),
        v => v,
    }
}

fn tables(i: &mut Interp, a: &str) -> R {
    let space = i.space_named(a)?;
    Ok(bare(i.listed(space, |v| matches!(v, Value::Table(_) | Value::Mapped(_)) || v.as_keyed().is_some())))
}

fn functions(i: &mut Interp, a: &str) -> R {
    let space = i.space_named(a)?;
    Ok(bare(i.listed(space, |v| v.number() >= 100)))
}

fn variables(i: &mut Interp, a: &str) -> R {
    let space = i.space_named(a)?;
    Ok(bare(i.listed(space, |v| v.number() < 100)))
}

/// Arguments without the comment behind them.
fn without_comment(text: &str) -> &str {
    if text.contains('"') {
        return text;
    }
    match text
        .find(" / ")
        .or_else(|| text.find("\t/ "))
        .or_else(|| text.ends_with(" /").then(|| text.len() - 2))
    {
        Some(at) => &text[..at],
        None => text,
    }
}

/// Reads or sets a number.
fn number(a: &str, place: &mut i32) -> R {
    if a.is_empty() {
        return Ok(Value::Int(*place));
    }
    *place = a.parse().map_err(|_| QError::type_())?;
    Ok(Value::Nil)
}

fn pair(a: &str, place: &mut (usize, usize)) -> R {
    if a.is_empty() {
        return Ok(Value::from_items(vec![Value::Int(place.0 as i32), Value::Int(place.1 as i32)]));
    }
    let n: Vec<usize> = a.split_whitespace().filter_map(|t| t.parse().ok()).collect();
    let [rows, columns] = n[..] else { return Err(QError::type_()) };
    *place = (rows.clamp(10, 2000), columns.clamp(10, 2000));
    Ok(Value::Nil)
}

fn console(i: &mut Interp, a: &str) -> R {
    pair(a, &mut i.settings.console)
}

fn http(i: &mut Interp, a: &str) -> R {
    pair(a, &mut i.settings.http)
}

fn directory(i: &mut Interp, a: &str) -> R {
    if a.is_empty() {
        return Ok(Value::sym([b".", i.context.bytes()].concat()));
    }
    let Some(name) = a.strip_prefix('.') else { return Err(QError::domain()) };
    if name.bytes().any(|b| !(b.is_ascii_alphanumeric() || b == b'_' || b == b'.')) {
        return Err(QError::domain());
    }
    i.context = Sym::new(name);
    Ok(Value::Nil)
}

fn precision(i: &mut Interp, a: &str) -> R {
    if a.is_empty() {
        return Ok(Value::Int(i.settings.precision as i32));
    }
    let n: usize = a.parse().map_err(|_| QError::type_())?;
    i.settings.precision = n.min(17);
    Ok(Value::Nil)
}

fn offset(i: &mut Interp, a: &str) -> R {
    if a.is_empty() {
        return Ok(Value::Int(i.settings.offset.unwrap_or(i32::MIN)));
    }
    i.settings.offset = if a == "0N" { None } else { Some(a.parse().map_err(|_| QError::type_())?) };
    Ok(Value::Nil)
}

fn seed(i: &mut Interp, a: &str) -> R {
    match a {
        "" => Ok(Value::Int(i.settings.seed)),
        "0N" => Ok(Value::Long(i.settings.random as i64)),
        a => {
            let n: i64 = a.parse().map_err(|_| QError::type_())?;
            if let Ok(small) = i32::try_from(n) {
                i.settings.seed = small;
            }
            i.settings.random = n as u64;
            Ok(Value::Nil)
        }
    }
}

fn threads(i: &mut Interp, a: &str) -> R {
    match a {
        "" => Ok(Value::Int(if i.threads > 1 { i.threads as i32 } else { 0 })),
        "0N" => Ok(Value::Int(i.system.most_threads.max(i.threads.saturating_sub(1)) as i32)),
        a => {
            let n: usize = a.parse().map_err(|_| QError::type_())?;
            i.system.most_threads = i.system.most_threads.max(i.threads.saturating_sub(1));
            i.threads = n.clamp(1, 64);
            Ok(Value::Nil)
        }
    }
}

fn time(i: &mut Interp, a: &str) -> R {
    if a.is_empty() {
        return Ok(Value::Int(i.host.timer(None)? as i32));
    }
    if let Ok(n) = a.parse::<i64>() {
        i.host.timer(Some(n))?;
        return Ok(Value::Nil);
    }
    timed(i, a, 1, false)
}

fn time_space(i: &mut Interp, a: &str) -> R {
    timed(i, a, 1, true)
}

fn timed(i: &mut Interp, text: &str, times: u64, space: bool) -> R {
    let begin = std::time::Instant::now();
    let before = crate::value::live_bytes();
    for _ in 0..times {
        i.tick()?;
        i.run_text(text, None)?;
    }
    let ms = Value::Long(begin.elapsed().as_millis() as i64);
    if !space {
        return Ok(ms);
    }
    let used = (crate::value::live_bytes() - before).max(0);
    Ok(Value::from_items(vec![ms, Value::Long(used + 32)]))
}

fn load(i: &mut Interp, a: &str) -> R {
    if a.is_empty() {
        return Err(QError::type_());
    }
    if i.host.files().stat(a).is_ok_and(|s| s.is_some_and(|s| s.is_dir))
        && let Some(p) = registry().find(b".load")
    {
        return i.primitive(p, vec![Value::string(a.as_bytes())]);
    }
    i.load_script(a)?;
    Ok(Value::Nil)
}

fn folder(i: &mut Interp, a: &str) -> R {
    if a.is_empty() {
        return Ok(Value::string(i.host.current_dir()?));
    }
    i.host.change_dir(a)?;
    Ok(Value::Nil)
}

fn memory(i: &mut Interp, a: &str) -> R {
    let live = crate::value::live_bytes().max(0);
    match a {
        "" => {
            let limit = i.budget.memory.unwrap_or(0) as i64;
            Ok(Value::longs(vec![live, live, live, limit, 0, i.host.physical_memory()]))
        }
        "0" => {
            let (n, bytes) = crate::value::interned();
            Ok(Value::longs(vec![n as i64, bytes as i64]))
        }
        _ => Err(QError::new("-w init via cmd line")),
    }
}

fn port(i: &mut Interp, a: &str) -> R {
    if a.is_empty() {
        return Ok(Value::Int(i.host.port()));
    }
    i.host.listen(a)?;
    Ok(Value::Nil)
}

fn unset(i: &mut Interp, a: &str) -> R {
    i.system.handlers.remove(&Sym::new(a));
    Ok(Value::Nil)
}

fn rename(i: &mut Interp, a: &str) -> R {
    let mut parts = a.split_whitespace();
    let (Some(from), Some(to)) = (parts.next(), parts.next()) else { return Err(QError::type_()) };
    i.host.rename(from, to)?;
    Ok(Value::Nil)
}

/// Everything else is the shell's.
fn shell(i: &mut Interp, text: &str) -> R {
    let (out, code) = i.host.shell(text)?;
    if code != 0 {
        return Err(QError::new("os"));
    }
    let lines = out.split(|b| *b == b'\n').map(Value::string).collect::<Vec<Value>>();
    let mut lines = lines;
    if out.ends_with(b"\n") {
        lines.pop();
    }
    Ok(Value::list(lines))
}
