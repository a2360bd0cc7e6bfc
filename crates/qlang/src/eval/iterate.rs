//! Iterators: each, over, scan, prior, each-left, each-right, with every number of arguments.

use kvalue::Type;

use super::{apply::rank, interp::Interp, run::truth_of};
use crate::{
    QError, R,
    registry::registry,
    value::{Data, Derived, Dict, Iterator, Value},
};

impl Interp {
    /// A derived function on its arguments.
    pub(crate) fn derived(&mut self, d: &Derived, args: Vec<Value>) -> R {
        let f = &d.operand;
        if args.len() == 1 && matches!(d.iterator, Iterator::EachLeft | Iterator::EachRight) {
            let function = Value::Derived(std::sync::Arc::new(d.clone()));
            return Ok(Value::Projection(std::sync::Arc::new(crate::value::Projection { function, args })));
        }
        match d.iterator {
            Iterator::Each => self.each(f, args),
            Iterator::EachLeft => {
                let (x, y) = pair(args)?;
                let Some((x, y)) = x.zip(y) else { return Err(QError::rank()) };
                self.each_left(f, x, y)
            }
            Iterator::EachRight => {
                let (x, y) = pair(args)?;
                let Some((x, y)) = x.zip(y) else { return Err(QError::rank()) };
                self.each_right(f, x, y)
            }
            Iterator::Prior => {
                let mut args = args;
                match args.len() {
                    1 => {
                        let x = args.remove(0);
                        if is_unary(f) { self.peach(f, x) } else { self.prior(f, None, x) }
                    }
                    2 => {
                        let y = args.remove(1);
                        self.prior(f, Some(args.remove(0)), y)
                    }
                    _ => Err(QError::rank()),
                }
            }
            Iterator::Over => self.accumulate(f, args, false),
            Iterator::Scan => self.accumulate(f, args, true),
        }
    }

    /// `f'`: over one list, over several side by side; `i'` of a list of positions: case.
    pub(crate) fn each(&mut self, f: &Value, mut args: Vec<Value>) -> R {
        if args.len() == 1 {
            let x = args.remove(0);
            if rank(f) > 1 && f.is_function() {
                let d = Derived::value(f.clone(), Iterator::Each);
                return Ok(Value::Projection(std::sync::Arc::new(crate::value::Projection {
                    function: d,
                    args: vec![x],
                })));
            }
            return self.each1(f, x);
        }
        if let Value::Vector(_) | Value::Long(_) | Value::Int(_) | Value::Short(_) | Value::Byte(_) = f {
            return self.case(f, args);
        }
        self.each_many(f, args)
    }

    /// `f each x`: keys of a dictionary stay, a table is taken by rows.
    pub(crate) fn each1(&mut self, f: &Value, x: Value) -> R {
        match x {
            x if x.is_atom() => self.apply1(f, x),
            Value::Dict(d) => {
                let values = self.each1(f, d.values.clone())?;
                if d.is_empty() && values.count() == 0 {
                    return Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: false }));
                }
                Ok(Value::dict(Dict::new(d.keys.clone(), values)?))
            }
            Value::Vector(v) => {
                if let Some(got) = self.each_whole(f, &Value::Vector(v.clone())) {
                    return got;
                }
                if let Some(got) = super::scalar::each(self, f, &Value::Vector(v.clone())) {
                    return Ok(got);
                }
                let n = v.len();
                let mut out = Vec::with_capacity(n);
                for i in 0..n {
                    self.tick()?;
                    out.push(self.apply1(f, v.at(i))?);
                }
                Ok(Value::from_items(out))
            }
            Value::List(l) => {
                let mut out = Vec::with_capacity(l.len());
                for item in l.iter() {
                    self.tick()?;
                    out.push(self.apply1(f, item.clone())?);
                }
                Ok(Value::from_items(out))
            }
            x => {
                let n = x.count();
                let mut out = Vec::with_capacity(n);
                for i in 0..n {
                    self.tick()?;
                    out.push(self.apply1(f, x.at(i))?);
                }
                Ok(Value::from_items(out))
            }
        }
    }

    /// Atomic primitives map over a vector by themselves.
    fn each_whole(&mut self, f: &Value, x: &Value) -> Option<R> {
        let Value::Prim(p) = f else { return None };
        let whole =
            matches!(p.word, "neg" | "not" | "abs" | "string" | "floor" | "sqrt" | "exp" | "lower" | "upper");
        (whole && x.count() > 0 && !x.is_string()).then(|| self.apply1(f, x.clone()))
    }

    /// `f'[x;y;…]`: lists side by side, atoms with each.
    fn each_many(&mut self, f: &Value, args: Vec<Value>) -> R {
        if args.iter().all(Value::is_atom) {
            return self.apply_value(f, args);
        }
        if let Some(at) = args.iter().position(|a| matches!(a, Value::Dict(_))) {
            return self.each_dict(f, args, at);
        }
        let n = common_count(&args)?;
        let mut out = Vec::with_capacity(n);
        for i in 0..n {
            self.tick()?;
            if let [x, y] = &args[..] {
                let (x, y) = (nth(x, i), nth(y, i));
                out.push(self.apply2(f, x, y)?);
            } else {
                out.push(self.apply_value(f, args.iter().map(|a| nth(a, i)).collect())?);
            }
        }
        Ok(Value::from_items(out))
    }

    /// Side by side with a dictionary: entries are matched by key where all dictionaries have one key list or
    /// several, lists by position.
    fn each_dict(&mut self, f: &Value, args: Vec<Value>, at: usize) -> R {
        let keys = match &args[at] {
            Value::Dict(d) => d.keys.clone(),
            _ => return Err(QError::type_()),
        };
        let mut all = keys.items();
        for a in &args {
            if let Value::Dict(d) = a {
                for k in d.keys.items() {
                    if !all.iter().any(|o| super::indexing::matches(self, o, &k)) {
                        all.push(k);
                    }
                }
            }
        }
        let grown = all.len() > keys.count();
        let keys = if grown { Value::from_items(all) } else { keys };
        let mut lists = Vec::with_capacity(args.len());
        for a in args {
            lists.push(match a {
                Value::Dict(_) => super::indexing::index(self, &a, vec![keys.clone()])?,
                a => a,
            });
        }
        let values = self.each_many(f, lists)?;
        Ok(Value::dict(Dict::new(keys, values)?))
    }

    /// `i'[a;b;…]`: item i of the result from the argument that `i` says.
    fn case(&mut self, which: &Value, args: Vec<Value>) -> R {
        let pick = |w: &Value, i: usize| -> Value {
            let n = w.as_int().and_then(|n| usize::try_from(n).ok());
            match n.and_then(|n| args.get(n)) {
                Some(a) => nth(a, i),
                None => Value::empty_list(),
            }
        };
        if which.is_atom() {
            let n = common_count(&args).unwrap_or(1);
            if args.iter().all(Value::is_atom) {
                return Ok(pick(which, 0));
            }
            return Ok(Value::from_items((0..n).map(|i| pick(which, i)).collect()));
        }
        let n = which.count();
        if args.iter().any(|a| !a.is_atom() && a.count() != n) {
            return Err(QError::length());
        }
        Ok(Value::from_items((0..n).map(|i| pick(&which.at(i), i)).collect()))
    }

    pub(crate) fn each_left(&mut self, f: &Value, x: Value, y: Value) -> R {
        match x {
            x if x.is_atom() => self.apply2(f, x, y),
            Value::Dict(d) => {
                let values = self.each_left(f, d.values.clone(), y)?;
                Ok(Value::dict(Dict::new(d.keys.clone(), values)?))
            }
            x => {
                let n = x.count();
                let mut out = Vec::with_capacity(n);
                for i in 0..n {
                    self.tick()?;
                    out.push(self.apply2(f, x.at(i), y.clone())?);
                }
                Ok(Value::from_items(out))
            }
        }
    }

    pub(crate) fn each_right(&mut self, f: &Value, x: Value, y: Value) -> R {
        match y {
            y if y.is_atom() => self.apply2(f, x, y),
            Value::Dict(d) => {
                let values = self.each_right(f, x, d.values.clone())?;
                Ok(Value::dict(Dict::new(d.keys.clone(), values)?))
            }
            y => {
                let n = y.count();
                let mut out = Vec::with_capacity(n);
                for i in 0..n {
                    self.tick()?;
                    out.push(self.apply2(f, x.clone(), y.at(i))?);
                }
                Ok(Value::from_items(out))
            }
        }
    }

    /// `f':`: each item with the one before it; the first with `first`, or with what means nothing to `f`.
    pub(crate) fn prior(&mut self, f: &Value, first: Option<Value>, x: Value) -> R {
        if x.is_atom() {
            return if first.is_some() { Err(QError::type_()) } else { Ok(x) };
        }
        if let Value::Dict(d) = &x {
            let values = self.prior(f, first, d.values.clone())?;
            return Ok(Value::dict(Dict::new(d.keys.clone(), values)?));
        }
        if first.is_none()
            && let Value::Prim(p) = f
        {
            let word: Option<&[u8]> = match p.word {
                "-" => Some(b"deltas"),
                "~" | "%" | "+" => None,
                _ => None,
            };
            if let Some(Value::Prim(q)) = word.and_then(|w| registry().find(w)).map(Value::Prim) {
                return self.primitive(q, vec![x]);
            }
        }
        let n = x.count();
        let mut out = Vec::with_capacity(n);
        let mut before = match first {
            Some(v) => v,
            None if n == 0 => return Ok(x),
            None => match self.identity(f, &x) {
                Some(v) => v,
                None => x.at(0).null_like(),
            },
        };
        for i in 0..n {
            self.tick()?;
            let item = x.at(i);
            out.push(self.apply2(f, item.clone(), before)?);
            before = item;
        }
        Ok(Value::from_items(out))
    }

    /// What changes nothing when `f` takes it on the left: for the verbs that q knows it of.
    fn identity(&mut self, f: &Value, like: &Value) -> Option<Value> {
        let Value::Prim(p) = f else { return None };
        let float = matches!(like, Value::Vector(v) if matches!(v.ty, Type::Float | Type::Real));
        let number = |n: i64| if float { Value::Float(n as f64) } else { Value::Long(n) };
        Some(match p.word {
            "+" | "-" => number(0),
            "*" => number(1),
            "%" => Value::Float(1.0),
            "&" | "and" if float => Value::Float(f64::INFINITY),
            "|" | "or" if float => Value::Float(f64::NEG_INFINITY),
            "&" | "and" => Value::Long(i64::MAX),
            "|" | "or" => Value::Long(-i64::MAX),
            "," => Value::empty_list(),
            "^" => like.at(0).null_like(),
            _ => return None,
        })
    }

    /// `f/` and `f\` in all forms.
    pub(crate) fn accumulate(&mut self, f: &Value, mut args: Vec<Value>, scan: bool) -> R {
        let unary = is_unary(f) || (!f.is_function() && args.len() < 3 && !is_matrix(f));
        match args.len() {
            1 => {
                let x = args.remove(0);
                if unary { self.converge(f, x, scan) } else { self.fold(f, None, x, scan) }
            }
            2 => {
                let y = args.remove(1);
                let x = args.remove(0);
                if unary { self.repeat(f, &x, y, scan) } else { self.fold(f, Some(x), y, scan) }
            }
            _ => self.fold_many(f, args, scan),
        }
    }

    /// Until the result repeats, or is the first value again.
    fn converge(&mut self, f: &Value, x: Value, scan: bool) -> R {
        let mut all = if scan { vec![x.clone()] } else { Vec::new() };
        let first = x.clone();
        let mut last = x;
        loop {
            self.tick()?;
            let next = self.apply1(f, last.clone())?;
            if super::indexing::matches(self, &next, &last) || super::indexing::matches(self, &next, &first) {
                break;
            }
            if scan {
                self.stack_room(all.len())?;
                all.push(next.clone());
            }
            last = next;
        }
        Ok(if scan { Value::from_items(all) } else { last })
    }

    /// `n f/x` and `cond f/x`.
    fn repeat(&mut self, f: &Value, how: &Value, x: Value, scan: bool) -> R {
        let mut all = if scan { vec![x.clone()] } else { Vec::new() };
        let mut v = x;
        let times = match how {
            Value::Float(_) | Value::Real(_) => return Err(QError::type_()),
            how if how.is_function() || !how.is_atom() => None,
            how => Some(how.as_int().ok_or_else(QError::type_)?),
        };
        if let (Some(n), false) = (times, scan) {
            if let Some(got) = super::scalar::repeat(self, f, n, &v) {
                return Ok(got);
            }
            for _ in 0..n {
                self.tick()?;
                v = self.apply1(f, v)?;
            }
            return Ok(v);
        }
        let mut left = times.unwrap_or(i64::MAX);
        while left > 0 {
            self.tick()?;
            if times.is_none() {
                let c = self.apply1(how, v.clone())?;
                if !truth_of(&c).ok_or_else(QError::type_)? {
                    break;
                }
            }
            left -= 1;
            if scan {
                v = self.apply1(f, v.clone())?;
                self.stack_room(all.len())?;
                all.push(v.clone());
            } else {
                v = self.apply1(f, v)?;
            }
        }
        Ok(if scan { Value::from_items(all) } else { v })
    }

    /// Long results of scans are asked for in blocks.
    fn stack_room(&mut self, n: usize) -> R<()> {
        if n & 0xffff == 0xffff { crate::ctx::Ctx::reserve(self, n * size_of::<Value>()) } else { Ok(()) }
    }

    /// `f/[list]`, `f/[first;list]`.
    fn fold(&mut self, f: &Value, first: Option<Value>, x: Value, scan: bool) -> R {
        if let Value::Dict(d) = &x {
            let got = self.fold(f, first, d.values.clone(), scan)?;
            if scan && got.count() == d.len() {
                return Ok(Value::dict(Dict::new(d.keys.clone(), got)?));
            }
            return Ok(got);
        }
        if x.is_atom() {
            return match first {
                Some(v) => self.apply2(f, v, x),
                None => Ok(x),
            };
        }
        if let Value::Prim(p) = f
            && let Some(word) = whole(p.word, scan)
            && matches!(&x, Value::Vector(v) if v.ty != Type::Char && v.ty != Type::Symbol && !matches!(v.data, Data::Enum(..)))
            && x.count() > 0
            && let Some(q) = registry().find(word)
            && (first.is_none() || !scan)
        {
            let got = self.primitive(q, vec![x])?;
            return match first {
                Some(v) => self.apply2(f, v, got),
                None => Ok(got),
            };
        }
        let n = x.count();
        let mut i = 0;
        let mut v = match first {
            Some(v) => v,
            None if n == 0 => {
                if scan {
                    return Ok(x);
                }
                return Ok(self.identity(f, &x).unwrap_or_else(Value::empty_list));
            }
            None => {
                i = 1;
                x.at(0)
            }
        };
        if n > 8
            && let Some(got) = super::scalar::fold(self, f, &v, &x, i, scan)
        {
            return Ok(got);
        }
        let mut all = Vec::new();
        if scan {
            all.reserve(n);
            if i == 1 {
                all.push(v.clone());
            }
        }
        while i < n {
            self.tick()?;
            v = self.apply2(f, v, x.at(i))?;
            if scan {
                all.push(v.clone());
            }
            i += 1;
        }
        Ok(if scan { Value::from_items(all) } else { v })
    }

    /// `f/[x;y;z]`: first value and lists side by side.
    fn fold_many(&mut self, f: &Value, mut args: Vec<Value>, scan: bool) -> R {
        let mut v = args.remove(0);
        if args.iter().all(Value::is_atom) {
            args.insert(0, v);
            return self.apply_value(f, args);
        }
        let n = common_count(&args)?;
        let mut all = Vec::new();
        for i in 0..n {
            self.tick()?;
            let mut now = Vec::with_capacity(args.len() + 1);
            now.push(v);
            now.extend(args.iter().map(|a| nth(a, i)));
            v = self.apply_value(f, now)?;
            if scan {
                all.push(v.clone());
            }
        }
        Ok(if scan { Value::from_items(all) } else { v })
    }
}

/// The primitive that does a fold of a verb over a whole vector.
fn whole(word: &str, scan: bool) -> Option<&'static [u8]> {
    Some(match (word, scan) {
        ("+", false) => b"sum",
        ("*", false) => b"prd",
        ("|", false) => b"max",
        ("&", false) => b"min",
        ("+", true) => b"sums",
        ("*", true) => b"prds",
        ("|", true) => b"maxs",
        ("&", true) => b"mins",
        _ => return None,
    })
}

/// True for functions that take one argument under over, scan and prior.
pub(crate) fn is_unary(f: &Value) -> bool {
    match f {
        Value::Prim(p) => p.max == 1 || (p.min == 1 && p.word != "enlist"),
        Value::Derived(d) => match d.iterator {
            Iterator::EachLeft | Iterator::EachRight => false,
            Iterator::Each => is_unary(&d.operand),
            _ => true,
        },
        f if f.is_function() => rank(f) == 1,
        _ => false,
    }
}

/// True for a list of lists, of dictionaries or of functions: it is indexed twice.
fn is_matrix(f: &Value) -> bool {
    matches!(f, Value::List(l) if l.first().is_some_and(|i| !i.is_atom() || i.is_function()))
        || matches!(f, Value::Table(_))
}

/// Item `i` of a list; an atom itself.
fn nth(v: &Value, i: usize) -> Value {
    if v.is_atom() { v.clone() } else { v.at(i) }
}

/// The length that all lists have; `'length` where they differ.
fn common_count(args: &[Value]) -> R<usize> {
    let mut n = None;
    for a in args.iter().filter(|a| !a.is_atom()) {
        match n {
            None => n = Some(a.count()),
            Some(m) if m != a.count() => return Err(QError::length()),
            Some(_) => {}
        }
    }
    n.ok_or_else(QError::length)
}

fn pair(args: Vec<Value>) -> R<(Option<Value>, Option<Value>)> {
    let mut args = args.into_iter();
    let (x, y) = (args.next(), args.next());
    if args.next().is_some() { Err(QError::rank()) } else { Ok((x, y)) }
}
