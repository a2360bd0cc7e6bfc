//! Assignment: through operators, at an index, by pattern.

use super::{
    interp::Interp,
    node::{Amend, Pattern, Target},
    run::Scope,
};
use crate::{
    QError, R,
    ops::{index, list},
    value::Value,
};

impl Interp {
    /// `x op:v`, `x[i]:v`, `x[i]op:v`.
    pub(crate) fn amend(&mut self, s: Scope<'_>, a: &Amend) -> R {
        let value = self.eval(s, &a.value)?;
        self.amend_with(s, a, value)
    }

    /// As [`Self::amend`], with the right side's value.
    pub(crate) fn amend_with(&mut self, s: Scope<'_>, a: &Amend, value: Value) -> R {
        let mut index = Vec::new();
        if let Some(nodes) = &a.index {
            for n in nodes.iter().rev() {
                index.push(match n {
                    super::node::Node::Hole => Value::Nil,
                    n => self.eval(s, n)?,
                });
            }
            index.reverse();
        }
        let with = a.with.as_ref().map(|w| self.eval(s, w)).transpose()?;
        if self.read_only
            && let Target::Global(_, full) = a.target
        {
            return Err(QError::new(format!("noupdate: {full:?}")));
        }
        if a.index.is_none() {
            let Some(f) = with else { return Err(QError::nyi()) };
            let mut old = self.take_target(s, a.target)?;
            if matches!(old, Value::Hole) {
                // a name without a value begins with what changes nothing
                let new = match &f {
                    Value::Prim(p) if p.word == "," && value.is_atom() => Value::from_items(vec![value]),
                    Value::Prim(p) if p.word == "-" => self.apply2(&f, Value::Long(0), value)?,
                    _ => value,
                };
                self.put_target(s, a.target, new.clone())?;
                return Ok(new);
            }
            if matches!(&f, Value::Prim(p) if p.word == ",") {
                match super::inplace::join(old, &value) {
                    Ok(new) => {
                        self.put_target(s, a.target, new.clone())?;
                        return Ok(new);
                    }
                    Err(back) => old = back,
                }
            }
            // a join that cannot fail takes the value as it is and grows it in place
            let grows = matches!(&f, Value::Prim(p) if p.word == ",") && !list::may_fail(&old, &value);
            if !grows && matches!(a.target, Target::Global(..)) {
                self.put_back(a.target, old.clone());
            }
            let new = self.apply2(&f, old, value)?;
            self.put_target(s, a.target, new.clone())?;
            return Ok(new);
        }
        let old = match (self.take_target(s, a.target)?, a.target) {
            (Value::Hole, Target::Global(_, full)) => return Err(QError::new(full.text())),
            (old, _) => old,
        };
        let mut old = match super::inplace::amend(old, &index, with.as_ref(), &value) {
            Ok(new) => {
                self.put_target(s, a.target, new)?;
                return Ok(value);
            }
            Err(old) => old,
        };
        // code of the user's may look at the global while it is amended
        if matches!(a.target, Target::Global(..))
            && with.as_ref().is_some_and(|f| !matches!(f, Value::Prim(_)))
        {
            self.put_back(a.target, old.clone());
        }
        let done = index::assign_index_in(self, &mut old, &index, with.as_ref(), &value);
        self.put_target(s, a.target, old)?;
        done.map(|()| value)
    }

    /// The target's value, taken out of its place.
    fn take_target(&mut self, s: Scope<'_>, t: Target) -> R {
        match t {
            Target::Local(i) => match self.stack.get_mut(s.base + i as usize) {
                Some(place) => Ok(match std::mem::replace(place, Value::Hole) {
                    Value::Hole => Value::empty_list(),
                    v => v,
                }),
                None => Err(QError::nyi()),
            },
            Target::Global(id, full) => {
                if !self.globals.is_set(id) {
                    let name = super::globals::name_of(id);
                    return match self.miss(id, full) {
                        Err(_) if !name.is_null() && !self.views.contains_key(&id) => Ok(Value::Hole),
                        got => got,
                    };
                }
                Ok(std::mem::replace(&mut self.globals.cell_mut(id).value, Value::Nil))
            }
        }
    }

    /// Puts a global's value back that [`Self::take_target`] took.
    fn put_back(&mut self, t: Target, v: Value) {
        if let Target::Global(id, _) = t
            && self.globals.is_set(id)
        {
            self.globals.cell_mut(id).value = v;
        }
    }

    fn put_target(&mut self, s: Scope<'_>, t: Target, v: Value) -> R<()> {
        match t {
            Target::Local(i) => {
                if let Some(place) = self.stack.get_mut(s.base + i as usize) {
                    *place = v;
                }
                Ok(())
            }
            Target::Global(id, full) => self.put_global(id, full, v),
        }
    }

    /// Takes a value apart by a pattern: `'length`, `'type`, or `'match` where it does not fit.
    pub(crate) fn bind(&mut self, s: Scope<'_>, p: &Pattern, v: &Value) -> R<()> {
        match p {
            Pattern::Skip => Ok(()),
            Pattern::Bind(t) => self.put_target(s, *t, v.clone()),
            Pattern::Const(c) => {
                if super::indexing::matches(self, c, v) {
                    Ok(())
                } else {
                    Err(QError::new("match"))
                }
            }
            Pattern::List(items) => {
                if v.is_atom() {
                    return Err(QError::type_());
                }
                if v.count() != items.len() {
                    return Err(QError::length());
                }
                for (i, p) in items.iter().enumerate() {
                    self.bind(s, p, &v.at(i))?;
                }
                Ok(())
            }
            Pattern::Dict(items) => {
                for (k, p) in items {
                    let got = match v {
                        Value::Dict(d) => match d.as_keyed() {
                            Some((k1, v1)) => k1.column(*k).or_else(|| v1.column(*k)).cloned(),
                            None => d.get(*k),
                        },
                        Value::Table(t) => t.column(*k).cloned(),
                        _ => return Err(QError::type_()),
                    };
                    let Some(got) = got else { return Err(QError::new("match")) };
                    self.bind(s, p, &got)?;
                }
                Ok(())
            }
            Pattern::Typed(p, check) => {
                let check = self.eval(s, check)?;
                let v = self.checked(&check, v.clone())?;
                self.bind(s, p, &v)
            }
        }
    }

    /// A value that a type or a filter function lets through.
    fn checked(&mut self, check: &Value, v: Value) -> R {
        match check {
            Value::Sym(name) => {
                let want = type_of_letter(name.bytes());
                match want {
                    Some(n) if n == v.number() => Ok(v),
                    _ => Err(QError::type_()),
                }
            }
            Value::Char(c) => match type_of_letter(&[*c]) {
                Some(n) if n == v.number() => Ok(v),
                _ => Err(QError::type_()),
            },
            Value::Short(n) if i64::from(*n) == i64::from(v.number()) => Ok(v),
            Value::Short(_) => Err(QError::type_()),
            f => self.apply1(f, v),
        }
    }
}

fn type_of_letter(name: &[u8]) -> Option<i8> {
    const LETTERS: &[u8] = b" bg xhijefcspmdznuvt";
    const NAMES: [&str; 20] = [
        "",
        "boolean",
        "guid",
        "",
        "byte",
        "short",
        "int",
        "long",
        "real",
        "float",
        "char",
        "symbol",
        "timestamp",
        "month",
        "date",
        "datetime",
        "timespan",
        "minute",
        "second",
        "time",
    ];
    if let [c] = name {
        let lower = c.to_ascii_lowercase();
        let i = LETTERS.iter().position(|l| *l == lower).filter(|i| *i > 0)? as i8;
        return Some(if c.is_ascii_uppercase() { i } else { -i });
    }
    NAMES.iter().position(|n| !n.is_empty() && n.as_bytes() == name).map(|i| -(i as i8))
}
