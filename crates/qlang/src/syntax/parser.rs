//! Expressions. q has no precedence: an expression is a chain of terms whose last link is evaluated first. The
//! chain is read from left to right without recursion and folded from its end.

use std::sync::Arc;

use crate::{
    QError, R,
    syntax::{
        Parsed, Words,
        ast::{At, Expr},
        fault::fault,
        lambda::Scope,
        lexer::{self, Kind, Token},
    },
    value::{Iterator, Sym, Value},
};

/// Brackets within brackets.
const NEST: usize = 150;
/// Links of chains and brackets together: how deep the tree may get.
const DEPTH: usize = 1000;

/// Where an expression ends, beside `;` and closing brackets: inside the phrases of a query.
#[derive(Clone, Copy, Default)]
pub(super) struct Stops {
    pub(super) comma: bool,
    pub(super) by: bool,
    pub(super) from: bool,
    pub(super) filter: bool,
}

/// A term: a noun or a verb.
pub(super) struct Term {
    pub(super) e: Expr,
    pub(super) verb: bool,
    pub(super) at: At,
    /// place and text of what makes it a verb that needs a left operand: an operator or an iterator
    pub(super) mark: Option<(At, At)>,
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a Arc<str>,
    file: Option<&'a Arc<str>>,
    line: u32,
    /// places of the newlines
    newlines: Vec<At>,
    tokens: Vec<Token>,
    pub(super) pos: usize,
    pub(super) words: &'a dyn Words,
    pub(super) scopes: Vec<Scope>,
    pub(super) stops: Stops,
    nest: usize,
    depth: usize,
    /// the text began with `k)`: operators may stand before a single operand
    pub(super) k: bool,
}

/// A link of a chain: the operation on the whole text to the right.
pub(super) enum Step {
    Monad(Expr, At),
    Dyad(Expr, Expr, At),
    Return,
    Signal(At),
    Assign(super::assign::Target),
}

impl<'a> Parser<'a> {
    pub(super) fn new(
        text: &'a Arc<str>,
        file: Option<&'a Arc<str>>,
        line: u32,
        words: &'a dyn Words,
    ) -> R<Parser<'a>> {
        let k = text.starts_with("k)");
        let located = |mut e: QError| {
            if let Some(file) = file {
                e.locate(file, line as usize);
            }
            e
        };
        let mut tokens = lexer::tokens(text).map_err(located)?;
        if k {
            tokens.drain(..2.min(tokens.len() - 1));
        }
        Ok(Parser {
            text,
            file,
            line,
            newlines: memchr::memchr_iter(b'\n', text.as_bytes()).map(|n| n as At).collect(),
            tokens,
            pos: 0,
            words,
            scopes: Vec::new(),
            stops: Stops::default(),
            nest: 0,
            depth: 0,
            k,
        })
    }

    /// The whole text.
    pub(super) fn group(mut self) -> R<Parsed> {
        let result = self.statements();
        let (statements, silent) = result.map_err(|mut e| {
            if let Some(file) = self.file {
                e.locate(file, self.line as usize);
            }
            e
        })?;
        match self.kind() {
            Kind::End => Ok(Parsed { statements, silent }),
            _ => Err(self.unexpected()),
        }
    }

    /// Statements up to a closing bracket or the end, and whether nothing stands behind the last `;`.
    pub(super) fn statements(&mut self) -> R<(Vec<Expr>, bool)> {
        let mut out = Vec::new();
        loop {
            let e = self.expr()?;
            let empty = matches!(e, Expr::Hole);
            if !empty {
                out.push(e);
            }
            if !matches!(self.kind(), Kind::Semi) {
                return Ok((out, empty));
            }
            self.pos += 1;
        }
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.token(0).kind
    }

    pub(super) fn token(&self, ahead: usize) -> &Token {
        &self.tokens[(self.pos + ahead).min(self.tokens.len() - 1)]
    }

    pub(super) fn slice(&self, at: At, end: At) -> &'a str {
        self.text.get(at as usize..end as usize).unwrap_or_default()
    }

    pub(super) fn token_text(&self, ahead: usize) -> &'a str {
        let t = self.token(ahead);
        self.slice(t.at, t.end)
    }

    pub(super) fn fault(&self, message: impl Into<String>, at: At) -> QError {
        fault(message, self.text.as_bytes(), at as usize)
    }

    /// The error of a token that may not stand where it does.
    pub(super) fn unexpected(&self) -> QError {
        let t = self.token(0);
        self.fault(self.slice(t.at, t.end), t.at)
    }

    /// The line of the file that a place is on; 0 where there is no file.
    pub(super) fn line_of(&self, at: At) -> u32 {
        match self.file {
            Some(_) => self.line + self.newlines.partition_point(|n| *n < at) as u32,
            None => 0,
        }
    }

    /// True where an expression cannot go on.
    pub(super) fn at_end(&self) -> bool {
        self.ends(0)
    }

    fn ends(&self, ahead: usize) -> bool {
        match self.token(ahead).kind {
            Kind::End | Kind::Semi | Kind::Close(_) => true,
            Kind::Op => self.stops.comma && self.token_text(ahead) == ",",
            Kind::Name(_) => match self.token_text(ahead) {
                "by" => self.stops.by,
                "from" => self.stops.from,
                "where" => self.stops.filter,
                _ => false,
            },
            _ => false,
        }
    }

    /// True where the expression ends behind the token at hand.
    pub(super) fn ends_behind(&self) -> bool {
        self.ends(1)
    }

    /// Runs a part of the parser one bracket deeper, without the stops of the query around it.
    pub(super) fn nested<T>(&mut self, part: impl FnOnce(&mut Self) -> R<T>) -> R<T> {
        if self.nest >= NEST {
            return Err(QError::stack());
        }
        self.nest += 1;
        let stops = std::mem::take(&mut self.stops);
        let out = part(self);
        self.stops = stops;
        self.nest -= 1;
        out
    }

    /// Expressions between `;` up to the closing bracket, which is consumed. The bracket's begin is for the error.
    pub(super) fn items(&mut self, open: At, close: u8) -> R<Vec<Expr>> {
        self.nested(|p| {
            let mut out = Vec::new();
            loop {
                out.push(p.expr()?);
                match p.kind() {
                    Kind::Semi => p.pos += 1,
                    Kind::Close(c) if *c == close => {
                        p.pos += 1;
                        return Ok(out);
                    }
                    Kind::End => return Err(p.fault(p.slice(open, open + 1), open)),
                    _ => return Err(p.unexpected()),
                }
            }
        })
    }

    /// An expression; [`Expr::Hole`] where there is none.
    pub(super) fn expr(&mut self) -> R<Expr> {
        let depth = self.depth;
        let out = self.chain();
        self.depth = depth;
        out
    }

    fn chain(&mut self) -> R<Expr> {
        let mut steps: Vec<Step> = Vec::new();
        let mut pending: Option<Term> = None;
        loop {
            self.depth += 1;
            if self.depth > DEPTH {
                return Err(QError::stack());
            }
            let term = match pending.take() {
                Some(term) => term,
                None if self.at_end() => return Ok(fold(steps, None, None)),
                None => match self.prefix(&mut steps)? {
                    true => continue,
                    false => self.term()?,
                },
            };
            if self.at_end() {
                // `(0|+)`: a verb behind an operator's left operand is composed with it
                let composed = term.verb && matches!(steps.last(), Some(Step::Dyad(..)));
                return Ok(match composed {
                    true => fold(steps, None, Some(term.e)),
                    false => fold(steps, Some(term.e), None),
                });
            }
            if let Some(target) = self.assignment(&term)? {
                steps.push(Step::Assign(target));
                continue;
            }
            if term.verb {
                steps.push(self.prefixed(term)?);
                continue;
            }
            if matches!(self.kind(), Kind::Colons) && self.ends_behind() {
                // `f g::`: as `f g@`
                let (at, apply) = (self.token(0).at, self.find("@", self.token(0).at)?);
                self.pos += 1;
                steps.push(Step::Dyad(Expr::Const(apply), term.e, at));
                return Ok(fold(steps, None, None));
            }
            if matches!(self.kind(), Kind::Colon | Kind::Iter(_)) && !self.is_value() {
                match self.kind() {
                    Kind::Iter(Iterator::Each) => {
                        steps.push(Step::Monad(term.e, term.at));
                        continue;
                    }
                    // `if[c;a] :b`: a semicolon forgotten before a return
                    Kind::Colon if self.token(0).blank => {
                        steps.push(Step::Monad(term.e, term.at));
                        continue;
                    }
                    _ => return Err(self.unexpected()),
                }
            }
            let next = self.term()?;
            if next.verb {
                steps.push(Step::Dyad(next.e, term.e, next.at));
                if self.at_end() {
                    return Ok(fold(steps, None, None));
                }
            } else {
                steps.push(Step::Monad(term.e, term.at));
                pending = Some(next);
            }
        }
    }

    /// True where a `:` or an iterator is a value by itself: applied by brackets, or alone.
    fn is_value(&self) -> bool {
        matches!(self.token(1).kind, Kind::Open(b'[') | Kind::Semi | Kind::Close(_) | Kind::End)
    }

    /// `:e` and `'e`.
    fn prefix(&mut self, steps: &mut Vec<Step>) -> R<bool> {
        let at = self.token(0).at;
        match self.kind() {
            Kind::Colon if !matches!(self.token(1).kind, Kind::Semi | Kind::Close(_) | Kind::End) => {
                steps.push(Step::Return);
            }
            Kind::Iter(Iterator::Each) if !self.is_value() => steps.push(Step::Signal(at)),
            Kind::Iter(_) if !self.is_value() => return Err(self.unexpected()),
            _ => return Ok(false),
        }
        self.pos += 1;
        Ok(true)
    }

    /// A verb without a left operand.
    fn prefixed(&mut self, term: Term) -> R<Step> {
        match term.mark {
            Some((at, end)) if self.k && end == at + 1 && matches!(term.e, Expr::Const(Value::Prim(_))) => {
                let word = match self.slice(at, end) {
                    // of numbers as `til`, and of dictionaries too
                    "!" => "key".to_owned(),
                    operator => format!("{operator}:"),
                };
                let unary = self.words.word(word.as_bytes()).map_or(term.e, |w| Expr::Const(w.value));
                Ok(Step::Monad(unary, term.at))
            }
            Some((at, end)) if !self.k => Err(self.fault(self.slice(at, end), at)),
            _ => Ok(Step::Monad(term.e, term.at)),
        }
    }

    /// The value of a word, if it is one.
    pub(super) fn find(&self, word: &str, at: At) -> R<Value> {
        match self.words.word(word.as_bytes()) {
            Some(w) => Ok(w.value),
            None => Err(self.fault(word, at)),
        }
    }

    /// Notes that the function around assigns to a name.
    pub(super) fn note_local(&mut self, name: Sym) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.note_local(name);
        }
    }
}

/// An expression from its links, the last first. Without a tail the last link lacks its right operand: a
/// projection, and with further links before it a composition, which may end in a verb.
fn fold(mut steps: Vec<Step>, tail: Option<Expr>, verb: Option<Expr>) -> Expr {
    let composed = verb.is_some();
    let mut partial: Vec<Expr> = verb.into_iter().collect();
    let mut at_alone = None;
    let mut e = match tail {
        Some(e) => e,
        None if composed => Expr::Hole,
        None => match steps.pop() {
            Some(Step::Dyad(verb, left, at)) => {
                let applies = matches!(&verb, Expr::Const(Value::Prim(p)) if p.word == "@");
                let whole = project(verb, left.clone(), at);
                if applies {
                    at_alone = Some(whole);
                    partial.push(left);
                } else {
                    partial.push(whole);
                }
                Expr::Hole
            }
            Some(step) => {
                steps.push(step);
                Expr::Hole
            }
            None => return Expr::Hole,
        },
    };
    let mut finish = |partial: &mut Vec<Expr>, e: Expr| -> Expr {
        match partial.len() {
            0 => e,
            1 => {
                let only = partial.remove(0);
                at_alone.take().unwrap_or(only)
            }
            _ => {
                partial.reverse();
                Expr::Compose(std::mem::take(partial))
            }
        }
    };
    for step in steps.into_iter().rev() {
        match step {
            Step::Monad(f, _) if !partial.is_empty() => partial.push(f),
            Step::Dyad(v, left, at) if !partial.is_empty() => partial.push(project(v, left, at)),
            Step::Monad(f, at) => e = Expr::Apply(Box::new(f), vec![e], at),
            Step::Dyad(v, left, at) => e = Expr::Apply(Box::new(v), vec![left, e], at),
            Step::Return => e = Expr::Return(Box::new(or_nil(finish(&mut partial, e)))),
            Step::Signal(at) => e = Expr::Signal(Box::new(or_nil(finish(&mut partial, e))), at),
            Step::Assign(target) => e = target.assign(or_nil(finish(&mut partial, e))),
        }
    }
    finish(&mut partial, e)
}

fn or_nil(e: Expr) -> Expr {
    match e {
        Expr::Hole => Expr::Const(Value::Nil),
        e => e,
    }
}

/// `x+`: an operator takes one argument and waits; a derived function would run, so its second argument is left out.
fn project(verb: Expr, left: Expr, at: At) -> Expr {
    let args = match &verb {
        Expr::Derive(..) => vec![left, Expr::Hole],
        _ => vec![left],
    };
    Expr::Apply(Box::new(verb), args, at)
}
