//! Functions: parameters, locals, the text.

use std::sync::Arc;

use ahash::HashSet;

use crate::{
    R,
    syntax::{
        ast::{At, Expr, Function, Pattern},
        lexer::Kind,
        parser::Parser,
    },
    value::{Sym, Value},
};

/// What is known of the function that is being read.
#[derive(Default)]
pub(super) struct Scope {
    /// named parameters; `None` for implicit ones
    pub(super) params: Option<Vec<Sym>>,
    /// names assigned to, parameters excluded, in order
    pub(super) locals: Vec<Sym>,
    /// names assigned to with `::` before they were local
    pub(super) globals: HashSet<Sym>,
    /// the same names as in `locals`
    known: HashSet<Sym>,
    /// how many of `x y z` the body uses
    pub(super) used: usize,
    /// phrases of queries around the place: what they use does not count
    pub(super) masked: usize,
}

impl Scope {
    pub(super) fn note_local(&mut self, name: Sym) {
        let param = self.params.as_ref().is_some_and(|p| p.contains(&name));
        if !param && self.known.insert(name) {
            self.locals.push(name);
        }
    }
}

impl Parser<'_> {
    /// True for a parameter or a local of the function around; notes the use of an implicit parameter.
    pub(super) fn is_local(&mut self, name: Sym) -> bool {
        let Some(scope) = self.scopes.last_mut() else { return false };
        match &scope.params {
            Some(params) if params.contains(&name) => return true,
            Some(_) => {}
            None => {
                let n = implicit(name);
                if n > 0 {
                    if scope.masked == 0 {
                        scope.used = scope.used.max(n);
                    }
                    return true;
                }
            }
        }
        scope.known.contains(&name)
    }

    /// A function, from behind its brace.
    pub(super) fn lambda(&mut self, at: At) -> R<Expr> {
        let mut params = None;
        if matches!(self.kind(), Kind::Open(b'[')) {
            let open = self.token(0).at;
            self.pos += 1;
            self.scopes.push(Scope { params: Some(Vec::new()), ..Scope::default() });
            let items = self.items(open, b']');
            self.scopes.pop();
            let items = items?;
            let none = items.len() == 1 && matches!(items[0], Expr::Hole);
            let patterns: Option<Vec<Pattern>> =
                items.into_iter().filter(|_| !none).map(super::assign::pattern).collect();
            params = Some(patterns.ok_or_else(|| self.fault("[", open))?);
        }
        let mut scope = Scope::default();
        let mut names = Vec::new();
        if let Some(patterns) = &params {
            if patterns.len() > 8 {
                return Err(self.fault("params", at));
            }
            let mut inner = Vec::new();
            for (i, pattern) in patterns.iter().enumerate() {
                match plain(pattern) {
                    Some(name) => names.push(name),
                    None => {
                        names.push(Sym::new(format!("[{i}]")));
                        super::assign::bound(pattern, &mut inner);
                    }
                }
            }
            if names.is_empty() {
                names.push(Sym::NULL);
            }
            scope.params = Some(names.clone());
            for name in inner {
                scope.note_local(name);
            }
        }
        self.scopes.push(scope);
        let body = self.nested(|p| {
            let out = p.statements()?;
            match p.kind() {
                Kind::Close(b'}') => Ok(out),
                Kind::End => Err(p.fault("{", at)),
                _ => Err(p.unexpected()),
            }
        });
        let scope = self.scopes.pop().unwrap_or_default();
        let (body, silent) = body?;
        let end = self.token(0).end;
        self.pos += 1;
        let implicit: Vec<Sym> = ["x", "y", "z"].iter().take(scope.used.max(1)).map(Sym::new).collect();
        let (params, names) = match params {
            Some(params) => (params, names),
            None => (implicit.iter().map(|n| Pattern::Name(*n)).collect(), implicit),
        };
        let locals = scope.locals.into_iter().filter(|l| !names.contains(l)).collect();
        // the text of a function of k says so, in front
        let (text, at) = match self.k {
            true => (Arc::from(format!("k){}", self.slice(at, end))), at.saturating_sub(2)),
            false => (Arc::from(self.slice(at, end)), at),
        };
        Ok(Expr::Lambda(Arc::new(Function {
            text,
            at,
            line: self.line_of(at),
            params,
            names,
            silent: silent && !body.is_empty() || body.is_empty(),
            body,
            locals,
        })))
    }
}

/// The name of a parameter that is a name, typed or not.
fn plain(pattern: &Pattern) -> Option<Sym> {
    match pattern {
        Pattern::Name(name) => Some(*name),
        Pattern::Typed(inner, _) => plain(inner),
        Pattern::Skip => Some(Sym::NULL),
        _ => None,
    }
}

/// The place of an implicit parameter, from 1; 0 for other names.
fn implicit(name: Sym) -> usize {
    match name.bytes() {
        b"x" => 1,
        b"y" => 2,
        b"z" => 3,
        _ => 0,
    }
}

/// A constant of a pattern.
pub(super) fn constant(e: &Expr) -> Option<Value> {
    match e {
        Expr::Const(v) => Some(v.clone()),
        _ => None,
    }
}
