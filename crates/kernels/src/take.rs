//! Taking rows out of columns and joining columns end to end.
//!
//! A run of rows shares the column's storage; anything else is gathered once. Symbols that are enumerated over
//! one domain stay enumerated, so that later kernels go on working with codes. A row beyond the end gives the
//! type's null, as q indexes: joins rely on it with [`NO_ROW`](crate::selection::NO_ROW).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kvalue::{
    Atom, Attr, Buf, Codes, Fixed, Physical, ShapeError, Symbols, Table, Type, Value, Vector,
    types::{NULL_INT, NULL_LONG},
};

use crate::{KernelError, Selection, error::describe};

/// The selected rows of a column, sharing storage where they are one run. Sorted, parted and unique survive.
pub fn take(column: &Value, sel: &Selection) -> Value {
    let n = column.count();
    let mut runs = sel.runs();
    let whole_or_run = match (runs.next(), runs.next()) {
        (None, _) => Some(0..0),
        (Some(run), None) if run.end <= n => Some(run),
        _ => None,
    };
    match (column, whole_or_run) {
        (_, Some(run)) if run.len() == n => column.clone(),
        (_, Some(run)) => column.slice(run),
        (Value::Vector(v), None) => {
            // Any ascending choice of rows keeps these; q's `g#` would need its index rebuilt.
            let attr = match v.attr() {
                a @ (Attr::Sorted | Attr::Parted | Attr::Unique) => a,
                _ => Attr::None,
            };
            let taken = match sel {
                Selection::Rows(rows) => gather(v, rows),
                _ => join_runs(v, sel),
            };
            Value::Vector(taken.with_attr(attr))
        }
        (_, None) => take_rows(column, &sel.to_rows()),
    }
}

/// The given rows of a column in the given order; the type's null for a row beyond the end.
pub fn take_rows(column: &Value, rows: &[u32]) -> Value {
    match column {
        Value::Vector(v) => Value::Vector(gather(v, rows)),
        Value::List(l) => {
            let missing = empty_like(l.items().first());
            let items: Vec<Value> = rows
                .iter()
                .map(|&r| l.items().get(r as usize).cloned().unwrap_or_else(|| missing.clone()))
                .collect();
            Value::list(items)
        }
        Value::Table(t) => Value::from(table_rows(t, rows)),
        other => other.clone(),
    }
}

/// The selected rows of a table.
pub fn take_table(table: &Table, sel: &Selection) -> Table {
    with_columns(table, table.columns().iter().map(|c| take(c, sel)).collect())
}

/// The given rows of a table in the given order; nulls for a row beyond the end.
pub fn table_rows(table: &Table, rows: &[u32]) -> Table {
    with_columns(table, table.columns().iter().map(|c| take_rows(c, rows)).collect())
}

/// Columns of equal length stay so under every take: the shape cannot be wrong.
fn with_columns(table: &Table, columns: Vec<Value>) -> Table {
    Table::new(table.names().clone(), columns).unwrap_or_else(|_| table.slice(0..0))
}

/// What q gives for an item beyond the end of a list of lists: the first item's type, empty.
fn empty_like(first: Option<&Value>) -> Value {
    match first {
        Some(Value::Vector(v)) => Value::Vector(Vector::empty(v.ty())),
        Some(Value::Atom(a)) => Value::Atom(Atom::null(a.ty())),
        Some(Value::List(_)) => Value::list([]),
        _ => Value::Null,
    }
}

/// A column of `n` nulls of a type; of empty lists where there is no type (a general list).
pub fn nulls(ty: Option<Type>, n: usize) -> Value {
    match ty {
        Some(ty) => Value::Vector(Vector::repeat(&Atom::null(ty), n)),
        None => Value::list(vec![Value::list([]); n]),
    }
}

fn gather_buf<T: Fixed>(buf: &Buf<T>, rows: &[u32], null: T) -> Vec<T> {
    let le = buf.le();
    rows.iter().map(|&r| le.get(r as usize).map_or(null, |&x| T::from_le(x))).collect()
}

fn gather(v: &Vector, rows: &[u32]) -> Vector {
    macro_rules! fixed {
        ($t:ty, $null:expr) => {
            match v.as_buf::<$t>() {
                Some(buf) => Vector::new(v.ty(), gather_buf(&buf, rows, $null)),
                None => Vector::empty(v.ty()),
            }
        };
    }
    match v.physical() {
        Physical::U8 if v.ty() == Type::Char => fixed!(u8, kvalue::types::NULL_CHAR),
        Physical::U8 => fixed!(u8, 0),
        Physical::I16 => fixed!(i16, kvalue::types::NULL_SHORT),
        Physical::I32 => fixed!(i32, NULL_INT),
        Physical::I64 => fixed!(i64, NULL_LONG),
        Physical::F32 => fixed!(f32, kvalue::types::NULL_REAL),
        Physical::F64 => fixed!(f64, kvalue::types::NULL_FLOAT),
        Physical::Guid => fixed!([u8; 16], [0; 16]),
        Physical::Symbol => {
            let Some(symbols) = v.as_symbols() else { return Vector::empty(Type::Symbol) };
            Vector::symbols(gather_symbols(symbols, rows))
        }
    }
}

fn gather_symbols(symbols: &Symbols, rows: &[u32]) -> Symbols {
    let by_name = || rows.iter().map(|&r| name_at(symbols, r as usize)).collect();
    let Some((domain, codes)) = symbols.as_enumerated() else { return by_name() };
    let codes = match codes {
        Codes::I32(b) => Codes::I32(Buf::from_vec(gather_buf(b, rows, NULL_INT))),
        Codes::I64(b) => Codes::I64(Buf::from_vec(gather_buf(b, rows, NULL_LONG))),
    };
    Symbols::enumerated(domain.clone(), codes).unwrap_or_else(|_| by_name())
}

fn name_at(symbols: &Symbols, row: usize) -> &[u8] {
    if row < symbols.len() { symbols.get(row) } else { b"" }
}

/// Several runs of a vector, as byte ranges.
fn join_runs(v: &Vector, sel: &Selection) -> Vector {
    let n = v.len();
    let parts: Vec<Vector> = sel.runs().map(|r| v.slice(r.start.min(n)..r.end.min(n))).collect();
    concat_vectors(v.ty(), &parts.iter().collect::<Vec<_>>())
}

/// Columns end to end. Vectors of one type stay a vector (symbols over one domain stay enumerated); a general
/// list among them makes a general list. An error where vectors of two types meet, or where a part is no list.
pub fn concat(parts: &[Value]) -> Result<Value, KernelError> {
    if let [one] = parts {
        return Ok(one.clone());
    }
    if let Some(Value::Table(_)) = parts.iter().find(|p| matches!(p, Value::Table(_))) {
        let tables: Option<Vec<&Table>> = parts.iter().map(Value::as_table).collect();
        let tables = tables.ok_or_else(|| not_joinable(parts))?;
        return Ok(Value::from(concat_tables(&tables)?));
    }
    // An empty general list has no type of its own: it is what an empty column looks like.
    let kept: Vec<&Value> = parts.iter().filter(|p| !matches!(p, Value::List(l) if l.is_empty())).collect();
    let vectors: Option<Vec<&Vector>> = kept.iter().map(|p| p.as_vector()).collect();
    match vectors {
        Some(vectors) if !vectors.is_empty() => {
            let ty = vectors[0].ty();
            if let Some(odd) = vectors.iter().find(|v| v.ty() != ty) {
                return Err(KernelError::Type {
                    operation: "join of columns".into(),
                    got: format!("{ty} list and {} list", odd.ty()),
                    expected: "all parts of a column must have one type".into(),
                });
            }
            Ok(Value::Vector(concat_vectors(ty, &vectors)))
        }
        Some(_) => Ok(Value::list([])),
        None => {
            let mut items = Vec::with_capacity(kept.iter().map(|p| p.count()).sum());
            for part in kept {
                match part {
                    Value::List(l) => items.extend_from_slice(l.items()),
                    Value::Vector(v) if v.is_empty() => {}
                    _ => return Err(not_joinable(parts)),
                }
            }
            Ok(Value::list(items))
        }
    }
}

fn not_joinable(parts: &[Value]) -> KernelError {
    let kinds: Vec<String> = parts.iter().take(4).map(describe).collect();
    KernelError::Type {
        operation: "join of columns".into(),
        got: kinds.join(" and "),
        expected: "all parts of a column must be lists of one type".into(),
    }
}

/// Tables of the same columns in the same order, end to end. An error naming the table that differs.
pub fn concat_tables(tables: &[&Table]) -> Result<Table, KernelError> {
    let Some(first) = tables.first() else {
        return Err(KernelError::Length { what: "tables to join".into(), got: 0, expected: 1 });
    };
    if let Some(odd) = tables.iter().find(|t| t.names() != first.names()) {
        return Err(KernelError::Shape(ShapeError::Type {
            what: "tables to join".into(),
            expected: format!("columns {:?}", first.names()),
            got: format!("{:?}", odd.names()),
        }));
    }
    let mut columns = Vec::with_capacity(first.columns().len());
    for i in 0..first.columns().len() {
        let parts: Vec<Value> = tables.iter().map(|t| t.columns()[i].clone()).collect();
        columns.push(concat(&parts)?);
    }
    Ok(Table::new(first.names().clone(), columns)?)
}

fn concat_vectors(ty: Type, parts: &[&Vector]) -> Vector {
    match parts {
        [] => return Vector::empty(ty),
        [one] => return (*one).clone(),
        _ => {}
    }
    if ty == Type::Symbol {
        let symbols: Vec<&Symbols> = parts.iter().filter_map(|p| p.as_symbols()).collect();
        return Vector::symbols(concat_symbols(&symbols));
    }
    let mut bytes = BytesMut::with_capacity(parts.iter().map(|p| p.wire_len()).sum());
    for part in parts.iter().filter_map(|p| p.as_bytes()) {
        bytes.extend_from_slice(part);
    }
    // Whole elements joined are whole elements.
    Vector::fixed(ty, bytes.freeze()).unwrap_or_else(|_| Vector::empty(ty))
}

fn concat_symbols(parts: &[&Symbols]) -> Symbols {
    if let Some(joined) = concat_codes(parts) {
        return joined;
    }
    let len = parts.iter().map(|p| p.len()).sum();
    let mut bytes = BytesMut::with_capacity(parts.iter().map(|p| p.wire_len()).sum());
    for part in parts {
        bytes.extend_from_slice(&part.to_wire());
    }
    let bytes: Bytes = bytes.freeze();
    Symbols::packed(bytes, len).unwrap_or_else(|_| parts.iter().flat_map(|p| p.iter()).collect())
}

/// The parts as one enumeration, where all are over the same domain.
fn concat_codes(parts: &[&Symbols]) -> Option<Symbols> {
    let enumerated: Vec<_> = parts.iter().map(|p| p.as_enumerated()).collect::<Option<_>>()?;
    let (domain, _) = enumerated.first()?;
    if !enumerated.iter().all(|(d, _)| Arc::ptr_eq(d, domain)) {
        return None;
    }
    let len = enumerated.iter().map(|(_, c)| c.len()).sum();
    let codes = if enumerated.iter().all(|(_, c)| matches!(c, Codes::I32(_))) {
        let mut all: Vec<i32> = Vec::with_capacity(len);
        for (_, codes) in &enumerated {
            if let Codes::I32(b) = codes {
                all.extend(b.iter());
            }
        }
        Codes::I32(Buf::from_vec(all))
    } else {
        let wide = |c: i64| if c < 0 { NULL_LONG } else { c };
        let all: Vec<i64> =
            enumerated.iter().flat_map(|(_, c)| (0..c.len()).map(move |i| wide(c.get(i)))).collect();
        Codes::I64(Buf::from_vec(all))
    };
    Symbols::enumerated((*domain).clone(), codes).ok()
}

#[cfg(test)]
mod tests {
    use kvalue::Domain;

    use super::*;

    fn enumerated(codes: &[i32]) -> Value {
        let domain = Arc::new(Domain::new("sym".into(), &["a", "b", "c"].into_iter().collect()));
        over(&domain, codes)
    }

    fn over(domain: &Arc<Domain>, codes: &[i32]) -> Value {
        let codes = Codes::I32(codes.iter().copied().collect());
        Value::Vector(Vector::symbols(Symbols::enumerated(domain.clone(), codes).unwrap()))
    }

    fn is_enumerated(v: &Value) -> bool {
        v.as_vector().and_then(Vector::as_symbols).is_some_and(|s| s.as_enumerated().is_some())
    }

    #[test]
    fn a_run_of_rows_shares_the_storage() {
        let column = Value::from(Vector::longs(vec![1, 2, 3, 4]));
        let taken = take(&column, &Selection::range(1..3));
        assert_eq!(taken, Value::from(Vector::longs(vec![2, 3])));
        let (a, b) = (column.as_vector().unwrap().as_bytes().unwrap(), taken.as_vector().unwrap());
        assert_eq!(b.as_bytes().unwrap().as_ptr(), a[8..].as_ptr());
    }

    #[test]
    fn every_form_of_selection_takes_the_same_rows() {
        let column = Value::from(Vector::longs((0..20).collect()));
        let mask: Vec<bool> = (0..20).map(|i| i % 9 < 6).collect();
        let sel = Selection::from_mask(&mask);
        assert!(matches!(sel, Selection::Ranges(_)));
        assert_eq!(take(&column, &sel), take(&column, &Selection::Rows(sel.to_rows())));
    }

    #[test]
    fn a_row_beyond_the_end_is_null_of_the_type() {
        let column = Value::from(Vector::longs(vec![7]));
        let taken = take_rows(&column, &[0, crate::selection::NO_ROW]);
        assert_eq!(taken, Value::from(Vector::longs(vec![7, NULL_LONG])));
        assert_eq!(take_rows(&enumerated(&[1]), &[9, 0]), Value::syms(["", "b"]));
        let strings = Value::list(vec![Value::str("ab")]);
        assert_eq!(take_rows(&strings, &[5]), Value::list(vec![Value::str("")]));
    }

    #[test]
    fn enumerated_symbols_stay_enumerated_over_one_domain() {
        let domain = Arc::new(Domain::new("sym".into(), &["a", "b"].into_iter().collect()));
        let taken = take_rows(&over(&domain, &[1, 0, 1]), &[2, 0]);
        assert!(is_enumerated(&taken));
        let joined = concat(&[taken, over(&domain, &[0, NULL_INT])]).unwrap();
        assert!(is_enumerated(&joined));
        assert_eq!(joined, Value::syms(["b", "b", "a", ""]));
        let two_domains = concat(&[enumerated(&[0]), over(&domain, &[1])]).unwrap();
        assert!(!is_enumerated(&two_domains));
        assert_eq!(two_domains, Value::syms(["a", "b"]));
    }

    #[test]
    fn columns_of_two_types_do_not_join() {
        let err = concat(&[Value::from(Vector::longs(vec![1])), Value::from(Vector::floats(vec![1.0]))]);
        assert!(err.unwrap_err().to_string().starts_with("type: join of columns"));
    }

    #[test]
    fn an_empty_general_list_joins_with_any_column() {
        let longs = Value::from(Vector::longs(vec![1]));
        assert_eq!(concat(&[Value::list([]), longs.clone()]).unwrap(), longs);
        let strings = Value::list(vec![Value::str("a b"), Value::str("")]);
        assert_eq!(concat(&[strings.clone(), Value::list([])]).unwrap(), strings);
    }

    #[test]
    fn tables_of_other_columns_do_not_join() {
        let a = Table::of([("a", Value::from(Vector::longs(vec![1])))]).unwrap();
        let b = Table::of([("b", Value::from(Vector::longs(vec![1])))]).unwrap();
        assert!(concat_tables(&[&a, &b]).is_err());
        assert_eq!(concat_tables(&[&a, &a]).unwrap().len(), 2);
    }
}
