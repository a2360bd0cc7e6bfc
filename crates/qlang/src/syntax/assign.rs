//! Assignments and the patterns on their left.

use crate::{
    R,
    syntax::{
        ast::{Assign, At, Expr, Pattern},
        lambda::constant,
        lexer::Kind,
        parser::{Parser, Term},
    },
    value::Sym,
};

/// What is assigned to.
pub(super) enum Target {
    Name { name: Sym, index: Option<Vec<Expr>>, with: Option<Expr>, global: bool, at: At },
    Pattern(Pattern, At),
}

impl Target {
    pub(super) fn assign(self, value: Expr) -> Expr {
        match self {
            Target::Name { name, index, with, global, at } => {
                Expr::Assign(Box::new(Assign { name, index, with, global, value, at }))
            }
            Target::Pattern(pattern, at) => Expr::Match(Box::new(pattern), Box::new(value), at),
        }
    }
}

impl Parser<'_> {
    /// The target of an assignment, where `:`, `::` or `op:` follows a term that may be assigned to; they are consumed.
    pub(super) fn assignment(&mut self, term: &Term) -> R<Option<Target>> {
        let at = self.token(0).at;
        let (global, with) = match self.kind() {
            Kind::Colon => (false, None),
            Kind::Colons if self.ends_behind() => return Ok(None),
            Kind::Colons => (true, None),
            Kind::Op if matches!(self.token(1).kind, Kind::Colon) && !self.token(1).blank => {
                (false, Some(self.token_text(0)))
            }
            // `x+::1`
            Kind::Op if matches!(self.token(1).kind, Kind::Colons) && !self.token(1).blank => {
                (true, Some(self.token_text(0)))
            }
            _ => return Ok(None),
        };
        let target = target(term);
        if target.is_none() && with.is_some() {
            return Ok(None);
        }
        let with = match with {
            Some(op) => {
                let value = self.find(op, at)?;
                self.pos += 1;
                Some(Expr::Const(value))
            }
            None => None,
        };
        match target {
            Some((name, index)) => {
                self.pos += 1;
                self.check(name, index.is_some() || with.is_some(), global, term.at)?;
                Ok(Some(Target::Name { name, index, with, global, at }))
            }
            None => {
                let pattern = match &term.e {
                    Expr::List(_) | Expr::Dict(_) | Expr::Table(_) | Expr::Const(_) | Expr::Assign(_) => {
                        pattern(term.e.clone())
                    }
                    _ => None,
                };
                let Some(pattern) = pattern else {
                    return match self.token(0).blank {
                        true => Ok(None),
                        false => Err(self.unexpected()),
                    };
                };
                self.pos += 1;
                let mut names = Vec::new();
                bound(&pattern, &mut names);
                for name in names {
                    self.note_local(name);
                }
                Ok(Some(Target::Pattern(pattern, at)))
            }
        }
    }

    /// Notes an assigned name as local or global; a name that was global before cannot become local.
    fn check(&mut self, name: Sym, amends: bool, global: bool, at: At) -> R<()> {
        if name.bytes().contains(&b'.') {
            return Ok(());
        }
        let known = self.is_local(name);
        let Some(scope) = self.scopes.last_mut() else { return Ok(()) };
        if global {
            if !known && !amends {
                scope.globals.insert(name);
            }
        } else if !amends {
            if scope.globals.contains(&name) {
                return Err(self.fault(name.text(), at));
            }
            if !known {
                scope.note_local(name);
            }
        }
        Ok(())
    }
}

/// Name and index of a term that may be assigned to.
fn target(term: &Term) -> Option<(Sym, Option<Vec<Expr>>)> {
    match &term.e {
        Expr::Name(name, _) => Some((*name, None)),
        Expr::Apply(f, args, _) => match &**f {
            Expr::Name(name, _) => Some((*name, Some(args.clone()))),
            Expr::Apply(g, first, _) => match &**g {
                Expr::Name(name, _) => Some((*name, Some([first.clone(), args.clone()].concat()))),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// An expression as a pattern; `None` where it is none.
pub(super) fn pattern(e: Expr) -> Option<Pattern> {
    let pairs = |entries: Vec<(Sym, Expr)>| -> Option<Vec<(Sym, Pattern)>> {
        entries.into_iter().map(|(name, e)| Some((name, pattern(e)?))).collect()
    };
    Some(match e {
        Expr::Hole => Pattern::Skip,
        Expr::Name(name, _) => Pattern::Name(name),
        Expr::Const(_) => Pattern::Const(constant(&e)?),
        Expr::List(items) => Pattern::List(items.into_iter().map(pattern).collect::<Option<_>>()?),
        Expr::Dict(entries) => Pattern::Dict(pairs(entries)?),
        Expr::Table(t) => Pattern::Table(pairs([t.keys, t.columns].concat())?),
        Expr::Assign(a) if a.index.is_none() && a.with.is_none() && !a.global => {
            Pattern::Typed(Box::new(Pattern::Name(a.name)), a.value)
        }
        Expr::Match(inner, value, _) => Pattern::Typed(inner, *value),
        _ => return None,
    })
}

/// The names that a pattern binds.
pub(super) fn bound(pattern: &Pattern, out: &mut Vec<Sym>) {
    match pattern {
        Pattern::Name(name) => out.push(*name),
        Pattern::List(items) => items.iter().for_each(|p| bound(p, out)),
        Pattern::Dict(entries) | Pattern::Table(entries) => entries.iter().for_each(|(_, p)| bound(p, out)),
        Pattern::Typed(inner, _) => bound(inner, out),
        Pattern::Skip | Pattern::Const(_) => {}
    }
}
