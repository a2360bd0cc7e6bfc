//! Names that columns get where the text gives none.

use ahash::{HashMap, HashSet};

use crate::{
    syntax::ast::{Expr, Verb},
    value::{Sym, Value},
};

/// The template that a word begins.
pub fn template(word: &str) -> Option<Verb> {
    Some(match word {
        "select" => Verb::Select,
        "exec" => Verb::Exec,
        "update" => Verb::Update,
        "delete" => Verb::Delete,
        _ => return None,
    })
}

/// The name that an expression gives its column: of a symbol its last part, of arithmetic and comparison the left
/// operand's, of any other application the last argument's. `None` for the rest: the column is then `x`.
pub fn of(e: &Expr) -> Option<Sym> {
    let mut e = e;
    loop {
        e = match e {
            Expr::Name(name, _) => {
                let last = name.bytes().rsplit(|b| *b == b'.').next().unwrap_or_default();
                return if last == b"i" || last.is_empty() { None } else { Some(Sym::new(last)) };
            }
            Expr::Apply(f, args, _) if is_arithmetic(f) => args.first()?,
            Expr::Apply(_, args, _) => args.last()?,
            Expr::List(items) => items.last()?,
            Expr::Cond(parts, _) => parts.first()?,
            Expr::Query(q) => &q.from,
            _ => return None,
        }
    }
}

/// True for operators that calculate or compare.
fn is_arithmetic(f: &Expr) -> bool {
    let signs = ["+", "-", "*", "%", "&", "|", "^", "=", "<", ">", "<=", ">=", "<>", "~", ","];
    matches!(f, Expr::Const(Value::Prim(p)) if signs.contains(&p.word))
}

/// The names of columns: given ones, else those of the expressions; one that is taken gets a number behind it.
pub fn names(columns: &[(Sym, Expr)]) -> Vec<Sym> {
    let mut taken: HashSet<Sym> = HashSet::default();
    let mut numbers: HashMap<Sym, usize> = HashMap::default();
    let mut out: Vec<Sym> = Vec::with_capacity(columns.len());
    for (name, e) in columns {
        let mut name = *name;
        if name.is_null() {
            let base = of(e).unwrap_or_else(|| Sym::new("x"));
            name = base;
            while taken.contains(&name) {
                let n = numbers.entry(base).or_default();
                *n += 1;
                name = Sym::new([base.bytes(), n.to_string().as_bytes()].concat());
            }
        }
        taken.insert(name);
        out.push(name);
    }
    out
}
