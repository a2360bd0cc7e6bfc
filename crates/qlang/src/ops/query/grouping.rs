//! `by`: groups of rows, and phrases evaluated group by group.

use std::sync::Arc;

use super::{
    scope::{Rows, Scope},
    tree::{eval_in, names_in},
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Groups, Sym, Table, Value},
};

/// The rows of a scope by groups whose keys ascend.
pub struct Grouped {
    /// names of the key columns
    pub names: Vec<Sym>,
    /// key columns, one item a group
    pub keys: Vec<Value>,
    /// the group of each row of the scope
    pub groups: Groups,
    /// what phrases are evaluated in: rows by group, made when first needed
    sorted: Option<Sorted>,
}

struct Sorted {
    scope: Scope,
    /// places of the scope's rows, group by group
    places: Vec<u32>,
    starts: Vec<u32>,
}

impl Grouped {
    /// Groups the rows of the scope by these phrases.
    pub fn by(ctx: &mut dyn Ctx, scope: &mut Scope, names: Vec<Sym>, trees: &[Value]) -> R<Grouped> {
        let n = scope.len();
        let mut columns = Vec::with_capacity(trees.len());
        for tree in trees {
            columns.push(as_column(eval_in(ctx, tree, scope)?, n)?);
        }
        let refs: Vec<&Value> = columns.iter().collect();
        let groups = Groups::ascending(&refs, n);
        let keys = columns.iter().map(|c| c.gather(&groups.firsts)).collect();
        Ok(Grouped { names, keys, groups, sorted: None })
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// True where there is no group.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Places of the scope's rows group by group, and where each group begins.
    pub fn places(&mut self, scope: &mut Scope) -> R<(&[u32], &[u32])> {
        let s = self.sorted(scope, &[])?;
        Ok((&s.places, &s.starts))
    }

    fn sorted(&mut self, scope: &mut Scope, trees: &[Value]) -> R<&mut Sorted> {
        if self.sorted.is_none() {
            let (places, starts) = self.groups.sorted_rows();
            let empty = Table { names: Vec::new().into(), columns: Vec::new(), sorted: false };
            self.sorted = Some(Sorted { scope: Scope::of_table(Arc::new(empty)), places, starts });
        }
        let Some(s) = self.sorted.as_mut() else { return Err(QError::nyi()) };
        // Only the columns that the phrases name are put in the order of the groups, each once.
        let mut wanted: Vec<Sym> = Vec::new();
        let mut numbers = false;
        for tree in trees {
            names_in(tree, &mut |name| {
                let bytes = name.bytes();
                let end = bytes.iter().position(|&b| b == b'.').filter(|&d| d > 0).unwrap_or(bytes.len());
                let name = Sym::new(&bytes[..end]);
                numbers |= name.bytes() == b"i";
                if scope.position(name).is_some() && !wanted.contains(&name) {
                    wanted.push(name);
                }
            });
        }
        wanted.retain(|w| s.scope.position(*w).is_none());
        if !wanted.is_empty() || numbers {
            let whole = std::mem::replace(
                &mut s.scope,
                Scope::of_table(Arc::new(Table {
                    names: Vec::new().into(),
                    columns: Vec::new(),
                    sorted: false,
                })),
            );
            let mut names = whole.names().to_vec();
            let mut whole = whole;
            whole.look_at(Rows::All);
            let mut columns = (0..names.len()).map(|i| whole.whole(i)).collect::<R<Vec<_>>>()?;
            for name in wanted {
                let Some(at) = scope.position(name) else { continue };
                columns.push(scope.column(at)?.gather(&s.places));
                names.push(name);
            }
            let table = Table { names: names.into(), columns, sorted: false };
            s.scope = Scope::of_table(Arc::new(table)).numbered(scope.virtual_i().gather(&s.places));
        }
        Ok(s)
    }

    /// The value of a phrase for each group, in the order of the groups.
    pub fn eval(&mut self, ctx: &mut dyn Ctx, scope: &mut Scope, tree: &Value) -> R<Vec<Value>> {
        let s = self.sorted(scope, std::slice::from_ref(tree))?;
        let mut out = Vec::with_capacity(s.starts.len().saturating_sub(1));
        for w in s.starts.windows(2) {
            ctx.check()?;
            s.scope.look_at(Rows::Run(w[0] as usize, (w[1] - w[0]) as usize));
            out.push(eval_in(ctx, tree, &mut s.scope)?);
        }
        Ok(out)
    }
}

/// A phrase's value as a column of `n` rows: an atom is repeated; `'length` for a list of another length.
pub fn as_column(v: Value, n: usize) -> R {
    match &v {
        Value::Vector(_) | Value::List(_) | Value::Table(_) => {
            if v.count() == n {
                Ok(v)
            } else {
                Err(QError::length())
            }
        }
        Value::Dict(d) if d.as_keyed().is_none() && d.len() == n => Ok(d.values.clone()),
        atom if atom.is_atom() => Ok(atom.repeat(n)),
        _ => Err(QError::type_()),
    }
}
