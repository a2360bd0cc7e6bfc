//! Views: `a::expr` outside of lambdas, evaluated when read after something that they use has changed.

use std::sync::Arc;

use super::{
    compile::{self, Source},
    globals::{name_of, slot},
    interp::{Interp, interp},
    node::{Code, ViewNode},
    run::Scope,
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Sym, Value},
};

/// A view.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) name: Sym,
    pub(crate) text: String,
    pub(crate) code: Arc<Code>,
    /// cells that it reads
    pub(crate) uses: Vec<u32>,
    /// its value is in its cell
    pub(crate) fresh: bool,
    running: bool,
}

impl Interp {
    pub(crate) fn make_view(&mut self, s: Scope<'_>, v: &ViewNode) -> R {
        let source = Source { text: s.code.text.clone(), file: s.code.file.clone(), context: self.context };
        let code = compile::statement(&v.value, &source)?;
        if self.read_only {
            return Err(QError::noupdate());
        }
        if after_dot(&s.code.text, v.at) {
            let value = self.run_code(&code)?;
            self.assign_global(v.slot, v.name, value.clone())?;
            return Ok(value);
        }
        let after = s.code.text.get(v.at as usize..).unwrap_or("");
        let text = after.split_once("::").map_or("", |p| p.1).trim_end().to_owned();
        let uses: Vec<u32> = code.globals.iter().map(|n| slot(*n)).collect();
        for u in &uses {
            self.globals.cell_mut(*u).watched = true;
        }
        self.globals.remove(v.name);
        // the name is listed in its namespace; the cell is empty until the view is read
        self.globals.set(v.name, Value::Nil)?;
        let cell = self.globals.cell_mut(v.slot);
        cell.value = Value::Hole;
        cell.watched = true;
        let view = View { name: v.name, text, code: Arc::new(code), uses, fresh: false, running: false };
        self.views.insert(v.slot, view);
        self.changed(v.slot);
        Ok(Value::Nil)
    }

    /// The value of a view that is not fresh.
    pub(crate) fn view_value(&mut self, id: u32) -> R {
        let Some(view) = self.views.get_mut(&id) else { return Err(QError::nyi()) };
        if view.running {
            return Err(QError::new("loop"));
        }
        view.running = true;
        let code = view.code.clone();
        let space = super::globals::split(name_of(id)).0;
        let space = Sym::new(space.bytes().strip_prefix(b".").unwrap_or_default());
        let outer = std::mem::replace(&mut self.context, space);
        let got = self.enter().and_then(|()| {
            let got = self.run_code(&code);
            self.depth -= 1;
            got
        });
        self.context = outer;
        if let Some(view) = self.views.get_mut(&id) {
            view.running = false;
            view.fresh = got.is_ok();
        }
        let v = got?;
        self.globals.cell_mut(id).value = v.clone();
        Ok(v)
    }

    /// A global has changed: the views that use it are stale.
    pub(crate) fn changed(&mut self, id: u32) {
        let stale: Vec<u32> = self
            .views
            .iter()
            .filter(|(i, v)| v.fresh && v.uses.contains(&id) && **i != id)
            .map(|(i, _)| *i)
            .collect();
        for i in stale {
            if let Some(v) = self.views.get_mut(&i) {
                v.fresh = false;
            }
            self.globals.cell_mut(i).value = Value::Hole;
            self.changed(i);
        }
    }

    /// The name in the current namespace; `None` for names in others.
    fn own_name(&self, full: Sym) -> Option<Sym> {
        let (space, leaf) = super::globals::split(full);
        let here = space.bytes().strip_prefix(b".").unwrap_or_default();
        (here == self.context.bytes()).then_some(leaf)
    }

    /// Names of the views of the current namespace, sorted; those to be evaluated alone, where asked.
    pub(crate) fn view_names(&self, pending: bool) -> Value {
        let mut names: Vec<Sym> = self
            .views
            .values()
            .filter(|v| !pending || !v.fresh)
            .filter_map(|v| self.own_name(v.name))
            .collect();
        names.sort_by_key(|n| n.bytes());
        let n = names.len();
        match Value::syms(names) {
            Value::Vector(v) if n > 0 => {
                Value::Vector(Arc::new(Arc::unwrap_or_clone(v).with_attr(kvalue::Attr::Sorted)))
            }
            v => v,
        }
    }
}

/// True where the name is written with its namespace: such names are set, they are no views.
fn after_dot(text: &str, at: u32) -> bool {
    if text.get(at as usize..).is_some_and(|t| t.starts_with('.')) {
        return true;
    }
    let before = text.get(..at as usize).unwrap_or("");
    let name =
        before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')).next().unwrap_or("");
    name.starts_with('.')
}

/// ``view `v``: the text of a view.
pub(crate) fn view(ctx: &mut dyn Ctx, x: Value) -> R {
    let name = x.as_sym().ok_or_else(QError::type_)?;
    let interp = interp(ctx)?;
    match interp.views.get(&slot(super::globals::qualify(interp.context, name))) {
        Some(v) => Ok(Value::string(v.text.as_bytes())),
        None => Err(QError::type_()),
    }
}

/// `views[]`.
pub(crate) fn views(ctx: &mut dyn Ctx, _: Value) -> R {
    Ok(interp(ctx)?.view_names(false))
}
