//! Templates: `select`, `exec`, `update`, `delete`.

use ahash::HashSet;

use crate::{
    R,
    syntax::{
        ast::{At, Expr, Query, Verb},
        lexer::Kind,
        naming,
        parser::{Parser, Stops},
    },
    value::Sym,
};

/// `[n;<col]`: the number, and the column with whether it descends.
type Limit = (Option<Expr>, Option<(bool, Expr)>);

impl Parser<'_> {
    /// A template from behind its word to the end of the expression.
    pub(super) fn query(&mut self, verb: Verb, at: At) -> R<Query> {
        let stops = self.stops;
        let out = self.nested(|p| p.template(verb, at));
        self.stops = stops;
        out
    }

    fn template(&mut self, verb: Verb, at: At) -> R<Query> {
        let (mut limit, mut order) = (None, None);
        if verb == Verb::Select && matches!(self.kind(), Kind::Open(b'[')) {
            (limit, order) = self.limit()?;
        }
        let distinct = verb == Verb::Select && self.word("distinct");
        self.mask(1);
        self.stops = Stops { comma: true, by: true, from: true, filter: false };
        let columns = self.phrase()?;
        let by = match self.word("by") {
            true => {
                self.stops = Stops { comma: true, by: false, from: true, filter: false };
                Some(self.phrase()?)
            }
            false => None,
        };
        self.mask(-1);
        if !self.word("from") {
            return Err(self.fault("from", at));
        }
        self.stops = Stops { filter: true, ..Stops::default() };
        let from = self.expr()?;
        if matches!(from, Expr::Hole) {
            return Err(self.fault("from", at));
        }
        let mut filter = Vec::new();
        if self.word("where") {
            self.mask(1);
            self.stops = Stops { comma: true, ..Stops::default() };
            filter = self.phrase()?.into_iter().map(|(_, e)| e).collect();
            self.mask(-1);
        }
        self.unique(&columns, by.as_deref(), verb, at)?;
        Ok(Query { verb, distinct, limit, order, columns, by, from, filter, at })
    }

    /// What implicit parameters a phrase uses does not count.
    fn mask(&mut self, change: isize) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.masked = scope.masked.saturating_add_signed(change);
        }
    }

    /// A word of the template, consumed where it is there.
    fn word(&mut self, word: &str) -> bool {
        let there = matches!(self.kind(), Kind::Name(_)) && self.token_text(0) == word;
        self.pos += usize::from(there);
        there
    }

    /// `[n;<col]`.
    fn limit(&mut self) -> R<Limit> {
        let open = self.token(0).at;
        self.pos += 1;
        let (mut limit, mut order) = (None, None);
        self.nested(|p| {
            loop {
                if matches!(p.kind(), Kind::Op) && matches!(p.token_text(0), "<" | ">") {
                    let down = p.token_text(0) == ">";
                    p.pos += 1;
                    order = Some((down, p.expr()?));
                } else {
                    match p.expr()? {
                        Expr::Hole => {}
                        e => limit = Some(e),
                    }
                }
                match p.kind() {
                    Kind::Semi => p.pos += 1,
                    Kind::Close(b']') => {
                        p.pos += 1;
                        return Ok(());
                    }
                    Kind::End => return Err(p.fault("[", open)),
                    _ => return Err(p.unexpected()),
                }
            }
        })?;
        Ok((limit, order))
    }

    /// `name:e,e,…`.
    fn phrase(&mut self) -> R<Vec<(Sym, Expr)>> {
        let mut out = Vec::new();
        loop {
            let name = self.column_name();
            let e = self.expr()?;
            match e {
                Expr::Hole if out.is_empty() && name.is_none() && !self.comma() => return Ok(out),
                Expr::Hole => return Err(self.unexpected()),
                e => out.push((name.unwrap_or(Sym::NULL), e)),
            }
            if !self.comma() {
                return Ok(out);
            }
            self.pos += 1;
        }
    }

    fn comma(&self) -> bool {
        matches!(self.kind(), Kind::Op) && self.token_text(0) == ","
    }

    /// A column may not have the name of another one or of a group.
    fn unique(&self, columns: &[(Sym, Expr)], by: Option<&[(Sym, Expr)]>, verb: Verb, at: At) -> R<()> {
        if !matches!(verb, Verb::Select | Verb::Exec) {
            return Ok(());
        }
        let mut seen: HashSet<Sym> = match (by, verb) {
            (Some(by), Verb::Select) => naming::names(by).into_iter().collect(),
            _ => HashSet::default(),
        };
        for name in naming::names(columns) {
            if !seen.insert(name) {
                return Err(self.fault(format!("dup names for cols/groups {}", name.text()), at));
            }
        }
        Ok(())
    }
}
