//! From the parser's tree to [`Node`]s: names become slots, calls of known primitives become direct calls.

use std::sync::{Arc, OnceLock};

use super::{
    globals::{qualify, slot},
    node::{Amend, At, Code, Dyad, Fast, NOWHERE, Node, Pattern, QueryNode, Target, ViewNode, call_of},
};
use crate::{
    Frame, QError, R,
    ctx::Call,
    syntax::ast::{self, Expr},
    value::{Lambda, Primitive, Sym, Value},
};

/// Most parameters of a lambda.
const PARAMS: usize = 8;

/// Where a text comes from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) text: Arc<str>,
    /// file and line of the text's first character
    pub(crate) file: Option<(Arc<str>, usize)>,
    /// namespace in which the text runs
    pub(crate) context: Sym,
}

/// Compiles a statement that runs outside of lambdas.
pub(crate) fn statement(e: &Expr, source: &Source) -> R<Code> {
    let mut c = Compiler::new(source, String::new(), false, 0);
    let body = vec![c.expr(e)?];
    Ok(c.finish(body, false, 0, Vec::new()))
}

/// Compiles a statement that runs among the locals of a lambda.
pub(crate) fn statement_in(e: &Expr, source: &Source, names: &[Sym]) -> R<Code> {
    let mut c = Compiler::new(source, String::new(), true, 0);
    c.names = names.to_vec();
    c.declared = names.to_vec();
    let body = vec![c.expr(e)?];
    Ok(c.finish(body, false, 0, Vec::new()))
}

/// Compiles a lambda.
pub(crate) fn lambda(f: &ast::Function, source: &Source, name: String) -> R<Arc<Lambda>> {
    if f.params.len() > PARAMS {
        return Err(QError::new("params"));
    }
    let mut c = Compiler::new(source, name, true, f.at);
    for n in &f.names {
        c.names.push(*n);
        c.declared.push(*n);
    }
    let params = f.names.len();
    for p in &f.params {
        if !matches!(p, ast::Pattern::Name(_)) {
            c.bound_in(p);
        }
    }
    for n in &f.locals {
        c.local(*n);
    }
    let mut patterns = Vec::new();
    for (i, p) in f.params.iter().enumerate() {
        if !matches!(p, ast::Pattern::Name(_) | ast::Pattern::Skip) {
            patterns.push((i as u32, c.pattern(p)?));
        }
    }
    let body = f.body.iter().map(|e| c.expr(e)).collect::<R<Vec<Node>>>()?;
    let mut code = c.finish(body, f.silent, params as u32, patterns);
    super::moves::mark(&mut code);
    let origin = code.file.as_ref().map(|(name, _)| (name.clone(), f.line as usize));
    Ok(Arc::new(Lambda {
        text: f.text.clone(),
        params: f.names.clone().into(),
        context: source.context,
        origin,
        code: Arc::new(code),
    }))
}

struct Compiler<'a> {
    source: &'a Source,
    name: String,
    lambda: bool,
    start: At,
    names: Vec<Sym>,
    /// locals that an assignment or parameter before has named
    declared: Vec<Sym>,
    /// globals assigned to with `::`
    assigned: Vec<Sym>,
    globals: Vec<Sym>,
    constants: Vec<Value>,
}

impl<'a> Compiler<'a> {
    fn new(source: &'a Source, name: String, lambda: bool, start: At) -> Compiler<'a> {
        Compiler {
            source,
            name,
            lambda,
            start,
            names: Vec::new(),
            declared: Vec::new(),
            assigned: Vec::new(),
            globals: Vec::new(),
            constants: Vec::new(),
        }
    }

    fn finish(self, body: Vec<Node>, silent: bool, params: u32, patterns: Vec<(u32, Pattern)>) -> Code {
        Code {
            name: self.name,
            body,
            silent,
            params,
            names: self.names,
            patterns,
            text: self.source.text.clone(),
            start: self.start,
            file: self.source.file.clone(),
            globals: self.globals,
            constants: self.constants,
            long: OnceLock::new(),
            float: OnceLock::new(),
        }
    }

    fn local(&mut self, n: Sym) {
        if !self.names.contains(&n) {
            self.names.push(n);
        }
    }

    fn slot(&self, n: Sym) -> Option<u32> {
        if !self.lambda {
            return None;
        }
        self.names.iter().position(|x| *x == n).map(|i| i as u32)
    }

    fn global(&mut self, n: Sym) -> (u32, Sym) {
        let full = qualify(self.source.context, n);
        if !self.globals.contains(&full) {
            self.globals.push(full);
        }
        (slot(full), full)
    }

    /// An error that stands at a place of the text.
    fn error(&self, text: String, at: At) -> QError {
        let mut e = QError::new(text);
        e.push(Frame {
            name: String::new(),
            text: self.source.text.clone(),
            at: at as usize,
            file: self.source.file.clone(),
        });
        e
    }

    fn exprs(&mut self, list: &[Expr]) -> R<Vec<Node>> {
        list.iter().map(|e| self.expr(e)).collect()
    }

    fn expr(&mut self, e: &Expr) -> R<Node> {
        Ok(match e {
            Expr::Const(v) => {
                if !v.is_function() {
                    self.constants.push(v.clone());
                }
                Node::Const(v.clone())
            }
            Expr::Name(n, at) => self.name(*n, *at),
            Expr::Hole => Node::Hole,
            Expr::List(items) => {
                let items = self.exprs(items)?;
                if items.iter().any(|n| matches!(n, Node::Hole)) {
                    let enlist = crate::registry::registry().find(b"enlist");
                    let f = enlist.map_or(Node::Const(Value::Nil), |p| Node::Const(Value::Prim(p)));
                    Node::Call(Box::new(f), items, NOWHERE)
                } else {
                    Node::List(items)
                }
            }
            Expr::Apply(f, args, at) => self.apply(f, args, *at)?,
            Expr::Derive(f, iterator) => match self.expr(f)? {
                Node::Const(v) => Node::Const(crate::value::Derived::value(v, *iterator)),
                f => Node::Derive(Box::new(f), *iterator),
            },
            Expr::Compose(fs) => Node::Compose(self.exprs(fs)?),
            Expr::Lambda(f) => Node::Lambda(self.nested(f, None)?),
            Expr::Assign(a) => self.assign(a)?,
            Expr::Match(p, value, at) => {
                self.bound_in(p);
                let value = self.expr(value)?;
                let p = self.pattern(p)?;
                Node::Match(Box::new((p, value)), *at)
            }
            Expr::Cond(list, at) => Node::Cond(self.exprs(list)?, *at),
            Expr::If(list, at) => Node::If(self.exprs(list)?, *at),
            Expr::Do(list, at) => Node::Do(self.exprs(list)?, *at),
            Expr::While(list, at) => Node::While(self.exprs(list)?, *at),
            Expr::Block(list) => Node::Block(self.exprs(list)?),
            Expr::Return(e) => Node::Return(Box::new(self.expr(e)?)),
            Expr::Signal(e, at) => Node::Signal(Box::new(self.expr(e)?), *at),
            Expr::Table(t) => {
                let columns = self.named(&t.columns)?;
                let keys = self.named(&t.keys)?;
                Node::Table(keys, columns, t.at)
            }
            Expr::Dict(entries) => Node::Dict(self.named(entries)?),
            Expr::Query(q) => {
                let from = self.expr(&q.from)?;
                let limit = q.limit.as_ref().map(|e| self.expr(e)).transpose()?;
                Node::Query(Box::new(QueryNode { query: (**q).clone(), from, limit, at: q.at }))
            }
        })
    }

    fn named(&mut self, list: &[(Sym, Expr)]) -> R<Vec<(Sym, Node)>> {
        list.iter().map(|(n, e)| Ok((*n, self.expr(e)?))).collect()
    }

    fn name(&mut self, n: Sym, at: At) -> Node {
        if let Some(i) = self.slot(n) {
            return Node::Local(i);
        }
        if n.bytes() == b".z.s" && self.lambda {
            return Node::This;
        }
        let (id, _) = self.global(n);
        Node::Global(id, n, at)
    }

    fn nested(&mut self, f: &ast::Function, name: Option<Sym>) -> R<Arc<Lambda>> {
        let name = match name {
            Some(n) if !self.lambda => qualify(self.source.context, n).text().into_owned(),
            Some(n) => n.text().into_owned(),
            None if self.lambda && !self.name.is_empty() => format!("{}@", self.name),
            None => String::new(),
        };
        lambda(f, self.source, name)
    }

    fn apply(&mut self, f: &Expr, args: &[Expr], at: At) -> R<Node> {
        let mut nodes = self.exprs(args)?;
        if nodes.is_empty() {
            nodes.push(Node::Const(Value::Nil));
        }
        if nodes.len() == 1 && matches!(nodes[0], Node::Hole) {
            nodes[0] = Node::Const(Value::Nil);
        }
        let full = !nodes.iter().any(|n| matches!(n, Node::Hole));
        let f = self.expr(f)?;
        if let (Node::Const(Value::Prim(p)), true) = (&f, full) {
            match (call_of(p), nodes.len()) {
                (Call::Monad(call), 1) => {
                    let x = nodes.remove(0);
                    return Ok(Node::Monad(p, call, Box::new(x), at));
                }
                (Call::Dyad(call), 2) => {
                    let y = nodes.remove(1);
                    let x = nodes.remove(0);
                    let fast = fast(p);
                    return Ok(Node::Dyad(Box::new(Dyad { fast, call, x, y, at })));
                }
                (_, 2) if p.text == "@" => {
                    let y = nodes.remove(1);
                    let x = nodes.remove(0);
                    return Ok(Node::Call1(Box::new((x, y)), at));
                }
                _ => {}
            }
        }
        Ok(match nodes.len() {
            1 if full => Node::Call1(Box::new((f, nodes.remove(0))), at),
            2 if full => {
                let y = nodes.remove(1);
                Node::Call2(Box::new((f, nodes.remove(0), y)), at)
            }
            _ => Node::Call(Box::new(f), nodes, at),
        })
    }

    /// Where a name that is assigned to lives.
    fn target(&mut self, n: Sym, global: bool, at: At) -> R<Target> {
        if is_reserved(n) && self.slot(n).is_none() {
            return Err(self.error("assign".into(), at));
        }
        if self.lambda && self.slot(n).is_some() {
            if global && !self.declared.contains(&n) {
                self.assigned.push(n);
                let (id, full) = self.global(n);
                return Ok(Target::Global(id, full));
            }
            if !global && self.assigned.contains(&n) {
                return Err(self.error(n.text().into_owned(), at));
            }
        }
        if let Some(i) = self.slot(n) {
            if !self.declared.contains(&n) {
                self.declared.push(n);
            }
            return Ok(Target::Local(i));
        }
        let (id, full) = self.global(n);
        Ok(Target::Global(id, full))
    }

    fn assign(&mut self, a: &ast::Assign) -> R<Node> {
        let plain = a.index.is_none() && a.with.is_none();
        if plain && a.global && !self.lambda {
            // a view may have the name of a word, as `view` in the sample scripts
            let (slot, name) = self.global(a.name);
            return Ok(Node::View(Box::new(ViewNode { slot, name, value: a.value.clone(), at: a.at })));
        }
        let value = match &a.value {
            Expr::Lambda(f) if plain => Node::Lambda(self.nested(f, Some(a.name))?),
            e => self.expr(e)?,
        };
        if plain {
            return Ok(match self.target(a.name, a.global, a.at)? {
                Target::Local(i) => Node::SetLocal(i, Box::new(value)),
                Target::Global(id, full) => Node::SetGlobal(id, full, Box::new(value), a.at),
            });
        }
        let index = a.index.as_ref().map(|i| self.exprs(i)).transpose()?;
        let with = a.with.as_ref().map(|w| self.expr(w)).transpose()?;
        let target = self.target(a.name, a.global, a.at)?;
        let fast = match (&with, &index) {
            (Some(Node::Const(Value::Prim(p))), None) => match fast(p) {
                f @ (Fast::Add | Fast::Sub | Fast::Mul | Fast::Divide | Fast::And | Fast::Or) => f,
                _ => Fast::None,
            },
            _ => Fast::None,
        };
        Ok(Node::Amend(Box::new(Amend { fast, target, index, with, value, at: a.at })))
    }

    fn bound_in(&mut self, p: &ast::Pattern) {
        match p {
            ast::Pattern::Name(n) => {
                if self.lambda {
                    self.local(*n);
                }
            }
            ast::Pattern::List(items) => items.iter().for_each(|p| self.bound_in(p)),
            ast::Pattern::Dict(items) | ast::Pattern::Table(items) => {
                items.iter().for_each(|(_, p)| self.bound_in(p));
            }
            ast::Pattern::Typed(p, _) => self.bound_in(p),
            ast::Pattern::Skip | ast::Pattern::Const(_) => {}
        }
    }

    fn pattern(&mut self, p: &ast::Pattern) -> R<Pattern> {
        Ok(match p {
            ast::Pattern::Skip => Pattern::Skip,
            ast::Pattern::Name(n) => Pattern::Bind(self.target(*n, false, self.start)?),
            ast::Pattern::Const(v) => Pattern::Const(v.clone()),
            ast::Pattern::List(items) => {
                Pattern::List(items.iter().map(|p| self.pattern(p)).collect::<R<_>>()?)
            }
            ast::Pattern::Dict(items) | ast::Pattern::Table(items) => {
                Pattern::Dict(items.iter().map(|(n, p)| Ok((*n, self.pattern(p)?))).collect::<R<_>>()?)
            }
            ast::Pattern::Typed(p, check) => {
                let check = self.expr(check)?;
                Pattern::Typed(Box::new(self.pattern(p)?), check)
            }
        })
    }
}

/// True for words of q that cannot be assigned to. `view` is a name in kdb+'s own sample script.
pub(crate) fn is_reserved(n: Sym) -> bool {
    let b = n.bytes();
    !b.contains(&b'.')
        && b.first().is_some_and(u8::is_ascii_alphabetic)
        && b != b"view"
        && (crate::registry::registry().find(b).is_some()
            || matches!(b, b"select" | b"exec" | b"update" | b"delete" | b"do" | b"if" | b"while"))
}

fn fast(p: &Primitive) -> Fast {
    match p.word {
        "+" => Fast::Add,
        "-" => Fast::Sub,
        "*" => Fast::Mul,
        "%" => Fast::Divide,
        "&" => Fast::And,
        "|" => Fast::Or,
        "<" => Fast::Less,
        ">" => Fast::More,
        "=" => Fast::Equal,
        "<>" => Fast::Differ,
        "<=" => Fast::NotMore,
        ">=" => Fast::NotLess,
        "div" => Fast::Div,
        "mod" => Fast::Mod,
        "~" => Fast::Match,
        "," => Fast::Join,
        _ => Fast::None,
    }
}
