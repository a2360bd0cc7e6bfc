//! Signals and traps: `'e`, `@[f;x;e]`, `.[f;args;e]`, `.Q.trp`, and backtraces as values.

use super::interp::{Interp, interp};
use crate::{Frame, QError, R, ctx::Ctx, value::Value};

/// The error that `'e` gives: of a symbol or a string; `'stype` of anything else.
pub(crate) fn signal(v: &Value) -> QError {
    match v {
        Value::Sym(s) => QError::new(s.text()),
        Value::Vector(_) if v.is_string() => {
            QError::new(String::from_utf8_lossy(&v.as_text().unwrap_or_default()).into_owned())
        }
        _ => QError::stype(),
    }
}

/// What a trap restores.
struct Mark {
    stack: usize,
    depth: usize,
    sources: usize,
    calls: usize,
    context: crate::value::Sym,
}

impl Interp {
    fn here(&self) -> Mark {
        Mark {
            stack: self.stack.len(),
            depth: self.depth,
            sources: self.sources.len(),
            calls: self.calls.len(),
            context: self.context,
        }
    }

    fn back(&mut self, m: &Mark) {
        self.stack.truncate(m.stack);
        self.sources.truncate(m.sources);
        self.calls.truncate(m.calls);
        self.depth = m.depth;
        self.context = m.context;
        self.at = super::node::NOWHERE;
        self.returning = None;
        if let Some(f) = &mut self.failing {
            f.levels.clear();
        }
    }

    /// `f . args`; on an error that may be trapped, `handler` applied to its text, or the handler itself where it is
    /// no function.
    pub(crate) fn protect(&mut self, f: &Value, args: Vec<Value>, handler: &Value) -> R {
        let mark = self.here();
        match self.apply_value(f, args) {
            Err(e) if e.is_trappable() => {
                self.back(&mark);
                if handler.is_function() || matches!(handler, Value::Nil) {
                    self.apply1(handler, Value::string(e.text()))
                } else {
                    Ok(handler.clone())
                }
            }
            got => got,
        }
    }
}

/// `@[x;i]`, `@[f;x;e]`, `@[x;i;f]`, `@[x;i;f;y]`.
pub(crate) fn at(ctx: &mut dyn Ctx, mut args: Vec<Value>) -> R {
    let rest = args.split_off(1);
    let x = args.remove(0);
    let mut rest = rest.into_iter();
    let i = rest.next().unwrap_or(Value::Nil);
    let interp = interp(ctx)?;
    match (rest.next(), rest.next()) {
        (None, _) => interp.apply1(&x, i),
        (Some(handler), None) if traps(&x) => interp.protect(&x, vec![i], &handler),
        (Some(f), y) => super::indexing::amend_at(interp, x, i, f, y),
    }
}

/// `.[x;i]`, `.[f;args;e]`, `.[x;i;f]`, `.[x;i;f;y]`.
pub(crate) fn dot(ctx: &mut dyn Ctx, mut args: Vec<Value>) -> R {
    let rest = args.split_off(1);
    let x = args.remove(0);
    let mut rest = rest.into_iter();
    let i = rest.next().unwrap_or(Value::Nil);
    let interp = interp(ctx)?;
    match (rest.next(), rest.next()) {
        (None, _) => {
            if x.is_function() || matches!(x, Value::Sym(_)) {
                let args = arguments(&i)?;
                interp.apply_value(&x, args)
            } else {
                super::indexing::dot(interp, x, i)
            }
        }
        (Some(handler), None) if traps(&x) => {
            let args = arguments(&i)?;
            interp.protect(&x, args, &handler)
        }
        (Some(f), y) => super::indexing::amend_dot(interp, x, path(&i), f, y),
    }
}

/// True for what a trap form applies: functions, and atoms that name nothing to amend.
fn traps(x: &Value) -> bool {
    x.is_atom() && !matches!(x, Value::Sym(_))
}

/// A list of arguments.
fn arguments(i: &Value) -> R<Vec<Value>> {
    match i {
        Value::Dict(_) | Value::Table(_) => Ok(i.items()),
        i if i.is_atom() => Err(QError::type_()),
        i if i.count() == 0 => Ok(vec![Value::Nil]),
        i => Ok(i.items()),
    }
}

/// The steps of a path.
fn path(i: &Value) -> Vec<Value> {
    match i {
        Value::Vector(_) | Value::List(_) => i.items(),
        i => vec![i.clone()],
    }
}

/// `.Q.trp[f;x;g]`: `f x`; on an error `g[text;backtrace]`.
pub(crate) fn trp(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    let [f, x, g] = &args[..] else { return Err(QError::rank()) };
    trp_with(ctx, f, vec![x.clone()], g)
}

/// `.Q.trpd[f;args;g]`: as `.Q.trp` with a list of arguments.
pub(crate) fn trpd(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    let [f, x, g] = &args[..] else { return Err(QError::rank()) };
    let x = arguments(x)?;
    trp_with(ctx, f, x, g)
}

fn trp_with(ctx: &mut dyn Ctx, f: &Value, x: Vec<Value>, g: &Value) -> R {
    let interp = interp(ctx)?;
    let mark = interp.here();
    match interp.apply_value(f, x) {
        Err(e) if e.is_trappable() => {
            interp.back(&mark);
            let mut levels: Vec<Value> = e.trace().iter().map(level).collect();
            levels.push(Value::list(vec![
                Value::list(vec![
                    Value::string("(.Q.trp)"),
                    Value::string(""),
                    Value::Long(-1),
                    Value::string(""),
                ]),
                Value::Long(-1),
            ]));
            levels.extend(interp.active());
            let levels = numbered(levels);
            interp.apply2(g, Value::string(e.text()), Value::list(levels))
        }
        got => got,
    }
}

/// A level of a backtrace: `((name;file;line;text);place)`.
fn level(f: &Frame) -> Value {
    let (file, line) = match &f.file {
        Some((file, line)) => (file.to_string(), *line as i64),
        None => (String::new(), -1),
    };
    let at = if f.at == usize::MAX { -1 } else { f.at as i64 };
    Value::list(vec![
        Value::list(vec![
            Value::string(f.name.as_bytes()),
            Value::string(file),
            Value::Long(line),
            Value::string(f.text.as_bytes()),
        ]),
        Value::Long(at),
    ])
}

/// Levels with their number as a third item: a part of a backtrace is shown with the numbers of the whole.
fn numbered(levels: Vec<Value>) -> Vec<Value> {
    let n = levels.len();
    let number = |(i, level): (usize, Value)| {
        let mut parts = level.items();
        parts.push(Value::Long((n - 1 - i) as i64));
        Value::list(parts)
    };
    levels.into_iter().enumerate().map(number).collect()
}

impl Interp {
    /// The levels that run now, innermost first.
    pub(crate) fn active(&self) -> Vec<Value> {
        let mut out = Vec::new();
        let mut at = self.here;
        for (l, from) in self.calls.iter().rev() {
            if let Some(code) = l.code.downcast_ref::<super::node::Code>() {
                out.push(level(&Frame {
                    name: code.name.clone(),
                    text: l.text.clone(),
                    at: at.saturating_sub(code.start) as usize,
                    file: l.origin.clone(),
                }));
            }
            at = *from;
        }
        if let Some(s) = self.sources.last() {
            let at = if at == super::node::NOWHERE { 0 } else { at as usize };
            out.push(level(&Frame { name: String::new(), text: s.text.clone(), at, file: s.file.clone() }));
        }
        out
    }
}

/// `.Q.sbt x`: a backtrace as text.
pub(crate) fn sbt(_: &mut dyn Ctx, x: Value) -> R {
    let levels = x.items();
    let n = levels.len();
    let mut out = String::new();
    for (i, l) in levels.iter().enumerate() {
        let parts = l.items();
        let head = parts.first().map(Value::items).unwrap_or_default();
        let text = |i: usize| {
            head.get(i)
                .and_then(Value::as_text)
                .map_or(String::new(), |t| String::from_utf8_lossy(&t).into_owned())
        };
        let line = head.get(2).and_then(Value::as_int).unwrap_or(-1);
        let at = parts.get(1).and_then(Value::as_int).unwrap_or(-1);
        let file = text(1);
        let frame = Frame {
            name: text(0),
            text: text(3).into(),
            at: usize::try_from(at).unwrap_or(usize::MAX),
            file: (!file.is_empty()).then(|| (file.into(), line.max(0) as usize)),
        };
        let number = parts.get(2).and_then(Value::as_int).and_then(|n| usize::try_from(n).ok());
        out.push_str(&render(&frame, number.unwrap_or(n - 1 - i)));
    }
    Ok(Value::string(out))
}

/// A level as the console shows it: two lines, the second with a caret.
pub(crate) fn render(f: &Frame, number: usize) -> String {
    let mut head = format!("  [{number}]  ");
    if f.text.is_empty() {
        return format!("{head}{}\n\n", f.name);
    }
    if let Some((file, line)) = &f.file {
        head.push_str(&format!("{file}:{line}: "));
    }
    if !f.name.is_empty() {
        head.push_str(&f.name);
        head.push(':');
    }
    // the caret stands below its line; the lines after it follow
    let at = if f.at == usize::MAX { 0 } else { f.at.min(f.text.len()) };
    let end = f.text.as_bytes()[at..].iter().position(|b| *b == b'\n').map_or(f.text.len(), |i| at + i);
    let begin = f.text.as_bytes()[..at].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let (before, after) = (f.text.get(..end).unwrap_or(&f.text), f.text.get(end..).unwrap_or(""));
    let indent = if begin == 0 { head.chars().count() } else { 0 };
    let column = f.text.get(begin..at).map_or(0, |t| t.chars().count());
    format!("{head}{before}\n{}^{after}\n", " ".repeat(indent + column))
}
