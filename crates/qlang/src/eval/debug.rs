//! The console's debugger: the levels of a failed call are kept, and input behind `)` is evaluated in one of them.

use std::sync::Arc;

use super::{
    compile::{self, Source},
    interp::Interp,
    run::Scope,
    trap::render,
};
use crate::{
    Frame, QError, R, syntax,
    value::{Lambda, Value},
};

/// A lambda that did not come to its end.
#[derive(Clone)]
pub(crate) struct Level {
    pub(crate) lambda: Arc<Lambda>,
    pub(crate) locals: Vec<Value>,
}

/// A failed call.
#[derive(Clone, Default)]
pub(crate) struct Failure {
    /// innermost first
    pub(crate) levels: Vec<Level>,
    trace: Vec<Frame>,
    error: String,
    selected: usize,
}

impl Interp {
    /// Keeps the failed call of a console input, where there was a lambda in it.
    pub(crate) fn suspend(&mut self, e: &QError) {
        let Some(mut failure) = self.failing.take() else { return };
        failure.trace = e.trace().to_vec();
        failure.error = e.text().to_owned();
        let signalled = failure.trace.first().is_some_and(|f| f.text.as_bytes().get(f.at) == Some(&b'\''));
        if signalled && failure.levels.len() > 1 {
            failure.selected = 1;
        }
        self.suspended.push(failure);
    }

    /// Input of the debugger, without its `)`: what is printed, or a value to show.
    pub(crate) fn debug_input(&mut self, text: &str) -> R<Result<String, Value>> {
        let text = super::interp::without_comment(text).trim();
        let Some(failure) = self.suspended.last_mut() else { return Err(QError::new(")")) };
        let last = failure.trace.len().saturating_sub(1);
        match text {
            "\\" => {
                self.suspended.pop();
                return Ok(Ok(String::new()));
            }
            "`" => failure.selected = (failure.selected + 1).min(last),
            "." => failure.selected = failure.selected.saturating_sub(1),
            "&" => return Ok(Ok(format!("'{}\n{}", failure.error, failure.shown()))),
            _ => return self.debug_eval(text),
        }
        Ok(Ok(failure.shown()))
    }

    fn debug_eval(&mut self, text: &str) -> R<Result<String, Value>> {
        let Some(failure) = self.suspended.last().cloned() else { return Err(QError::new(")")) };
        if let Some(signal) = text.strip_prefix('\'')
            && !signal.starts_with(['`', '"'])
        {
            return Ok(Ok(format!("'{signal}\n{}", failure.shown())));
        }
        let Some(level) = failure.levels.get(failure.selected.min(failure.levels.len().saturating_sub(1)))
        else {
            return Err(QError::new(")"));
        };
        let text: Arc<str> = text.into();
        let outer = std::mem::replace(&mut self.context, level.lambda.context);
        self.in_debugger = true;
        let got = self.in_level(&text, level);
        self.context = outer;
        self.in_debugger = false;
        got.map(Err).map_err(|mut e| {
            failure.trace.iter().for_each(|f| e.push(f.clone()));
            e
        })
    }

    fn in_level(&mut self, text: &Arc<str>, level: &Level) -> R {
        let parsed = syntax::parse(text, None, 0, self)?;
        let names: Vec<crate::value::Sym> = match level.lambda.code.downcast_ref::<super::node::Code>() {
            Some(code) => code.names.clone(),
            None => Vec::new(),
        };
        let mut last = Value::Nil;
        for e in &parsed.statements {
            let source = Source { text: text.clone(), file: None, context: self.context };
            let code = compile::statement_in(e, &source, &names)?;
            let base = self.stack.len();
            self.stack.extend(level.locals.iter().cloned());
            let got = self.body(Scope { code: &code, lambda: Some(&level.lambda), base });
            self.stack.truncate(base);
            last = self.end_return(got).map_err(|mut e| {
                let f = self.frame(&code, text, None);
                e.push(f);
                e
            })?;
        }
        Ok(if parsed.silent { Value::Nil } else { last })
    }

    /// `.Q.bt[]` in the debugger.
    pub(crate) fn suspended_trace(&self) -> Option<String> {
        let failure = self.suspended.last().filter(|_| self.in_debugger)?;
        let n = failure.trace.len();
        let mut out = String::new();
        for (i, f) in failure.trace.iter().enumerate() {
            let text = render(f, n - 1 - i);
            match text.strip_prefix("  ") {
                Some(rest) if i == failure.selected => {
                    out.push_str(">>");
                    out.push_str(rest);
                }
                _ => out.push_str(&text),
            }
        }
        Some(out)
    }
}

impl Failure {
    /// The selected level.
    fn shown(&self) -> String {
        let n = self.trace.len();
        self.trace.get(self.selected).map_or(String::new(), |f| render(f, n - 1 - self.selected.min(n - 1)))
    }
}
