//! Terms: literals, names, operators, brackets; and what stands behind them: indices and iterators.

use crate::{
    R,
    syntax::{
        ast::{At, Expr, TableLiteral},
        lexer::Kind,
        naming,
        parser::{Parser, Term},
    },
    value::{Sym, Value},
};

impl Parser<'_> {
    /// A term with all that stands behind it.
    pub(super) fn term(&mut self) -> R<Term> {
        let mut term = self.primary()?;
        loop {
            let (at, end, blank) = (self.token(0).at, self.token(0).end, self.token(0).blank);
            match *self.kind() {
                Kind::Open(b'[') => {
                    self.pos += 1;
                    let args = self.arguments(at)?;
                    term.e = Expr::Apply(Box::new(term.e), args, term.at);
                    term.verb = false;
                    term.mark = None;
                }
                Kind::Iter(iterator) if !blank => {
                    self.pos += 1;
                    term.e = Expr::Derive(Box::new(term.e), iterator);
                    term.verb = true;
                    term.mark = Some((at, end));
                }
                _ => return Ok(term),
            }
        }
    }

    /// Arguments in brackets; `[]` is one `::`.
    fn arguments(&mut self, open: At) -> R<Vec<Expr>> {
        let mut args = self.items(open, b']')?;
        if let [only @ Expr::Hole] = args.as_mut_slice() {
            *only = Expr::Const(Value::Nil);
        }
        Ok(args)
    }

    fn primary(&mut self) -> R<Term> {
        let token = self.token(0).clone();
        let at = token.at;
        let noun = |e| Ok(Term { e, verb: false, at, mark: None });
        match token.kind {
            Kind::Const(v) => {
                self.pos += 1;
                noun(Expr::Const(v))
            }
            Kind::Name(name) => self.name(name, at),
            Kind::Op => self.operator(at),
            Kind::Open(b'(') => {
                self.pos += 1;
                let e = self.parenthesis(at)?;
                noun(e)
            }
            Kind::Open(b'{') => {
                self.pos += 1;
                let e = self.lambda(at)?;
                noun(e)
            }
            Kind::Open(_) => {
                self.pos += 1;
                let (statements, silent) = self.nested(|p| {
                    let out = p.statements()?;
                    match p.kind() {
                        Kind::Close(b']') => Ok(out),
                        Kind::End => Err(p.fault("[", at)),
                        _ => Err(p.unexpected()),
                    }
                })?;
                self.pos += 1;
                let mut statements = statements;
                if silent {
                    statements.push(Expr::Const(Value::Nil));
                }
                noun(Expr::Block(statements))
            }
            Kind::Iter(iterator) => {
                self.pos += 1;
                noun(Expr::Const(Value::Iterator(iterator)))
            }
            Kind::Colons => {
                self.pos += 1;
                noun(Expr::Const(Value::Nil))
            }
            Kind::Colon => {
                let assign = self.find(":", at)?;
                self.pos += 1;
                noun(Expr::Const(assign))
            }
            Kind::Close(_) | Kind::Semi | Kind::End => Err(self.unexpected()),
        }
    }

    fn name(&mut self, name: Sym, at: At) -> R<Term> {
        let text = self.token_text(0);
        self.pos += 1;
        let noun = |e| Term { e, verb: false, at, mark: None };
        if self.is_local(name) {
            return Ok(noun(Expr::Name(name, at)));
        }
        if matches!(text, "if" | "do" | "while") && matches!(self.kind(), Kind::Open(b'[')) {
            let open = self.token(0).at;
            self.pos += 1;
            let mut parts = self.items(open, b']')?;
            let condition = parts.first().is_none_or(|c| matches!(c, Expr::Hole));
            let mut first = true;
            parts.retain(|e| std::mem::take(&mut first) || !matches!(e, Expr::Hole));
            if condition {
                return Err(self.fault(text, at));
            }
            return Ok(noun(match text {
                "if" => Expr::If(parts, at),
                "do" => Expr::Do(parts, at),
                _ => Expr::While(parts, at),
            }));
        }
        if let Some(verb) = naming::template(text)
            && !matches!(self.kind(), Kind::Colon | Kind::Colons)
        {
            let query = self.query(verb, at)?;
            return Ok(noun(Expr::Query(Box::new(query))));
        }
        let Some(word) = self.words.word(text.as_bytes()) else {
            return Ok(noun(Expr::Name(name, at)));
        };
        match self.kind() {
            Kind::Colon => return Err(self.fault("assign", at)),
            // a view may have the name of a word
            Kind::Colons if !self.ends_behind() => return Ok(noun(Expr::Name(name, at))),
            _ => {}
        }
        Ok(Term { e: Expr::Const(word.value), verb: word.infix, at, mark: None })
    }

    fn operator(&mut self, at: At) -> R<Term> {
        let text = self.token_text(0);
        let end = self.token(0).end;
        self.pos += 1;
        let unary = matches!(self.kind(), Kind::Colon) && !self.token(0).blank;
        if unary {
            let value = self.find(&format!("{text}:"), at)?;
            self.pos += 1;
            return Ok(Term { e: Expr::Const(value), verb: false, at, mark: None });
        }
        if text == "$" && matches!(self.kind(), Kind::Open(b'[')) {
            let open = self.token(0).at;
            self.pos += 1;
            let parts = self.arguments(open)?;
            let e = match parts.len() {
                0..=2 => Expr::Apply(Box::new(Expr::Const(self.find(text, at)?)), parts, at),
                _ => Expr::Cond(parts, at),
            };
            return Ok(Term { e, verb: false, at, mark: None });
        }
        let value = self.find(text, at)?;
        Ok(Term { e: Expr::Const(value), verb: true, at, mark: Some((at, end)) })
    }

    /// What stands in parentheses: one expression, a list, a table or a dictionary. The opening one is consumed.
    fn parenthesis(&mut self, open: At) -> R<Expr> {
        if matches!(self.kind(), Kind::Open(b'[')) {
            return self.table(open);
        }
        let mut items = self.items(open, b')')?;
        if items.len() > 1 {
            return Ok(Expr::List(items));
        }
        Ok(match items.pop() {
            None | Some(Expr::Hole) => Expr::Const(Value::empty_list()),
            Some(e) => e,
        })
    }

    /// `[keys]columns)` or `[entries])`, from the bracket on.
    fn table(&mut self, open: At) -> R<Expr> {
        let at = self.token(0).at;
        self.pos += 1;
        let keys = self.columns(at, b']')?;
        if matches!(self.kind(), Kind::Close(b')')) {
            self.pos += 1;
            return Ok(Expr::Dict(self.named(keys)));
        }
        if matches!(self.kind(), Kind::Semi) {
            self.pos += 1;
        }
        let columns = self.columns(open, b')')?;
        let split = keys.len();
        let mut all = keys;
        all.extend(columns);
        let mut keys = self.named(all);
        let columns = keys.split_off(split);
        Ok(Expr::Table(Box::new(TableLiteral { keys, columns, at: open })))
    }

    fn named(&self, columns: Vec<(Sym, Expr)>) -> Vec<(Sym, Expr)> {
        let names = naming::names(&columns);
        names.into_iter().zip(columns).map(|(name, (_, e))| (name, e)).collect()
    }

    /// `name:e;e;…` up to the closing bracket, which is consumed.
    fn columns(&mut self, open: At, close: u8) -> R<Vec<(Sym, Expr)>> {
        self.nested(|p| {
            let mut out = Vec::new();
            loop {
                let name = p.column_name();
                let e = p.expr()?;
                match (name, e) {
                    (None, Expr::Hole) => {}
                    (name, Expr::Hole) => out.push((name.unwrap_or(Sym::NULL), Expr::Const(Value::Nil))),
                    (name, e) => out.push((name.unwrap_or(Sym::NULL), e)),
                }
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

    /// `name:` before a column's expression, consumed.
    pub(super) fn column_name(&mut self) -> Option<Sym> {
        match (self.kind(), &self.token(1).kind) {
            (&Kind::Name(name), Kind::Colon) => {
                self.pos += 2;
                Some(name)
            }
            _ => None,
        }
    }
}
