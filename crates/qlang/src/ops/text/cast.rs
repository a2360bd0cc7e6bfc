//! `$`: casts by type number, letter and name, parts of dates and times; tok and pad are told apart here.

use std::sync::Arc;

use kvalue::{
    Type,
    time::{DAY, SECOND, civil_from_days, days_from_civil},
    types::{INF_INT, INF_LONG, INF_SHORT, NULL_INT, NULL_LONG, NULL_SHORT},
};

use super::{enumerate, map::deep, tok};
use crate::{
    QError, R,
    ctx::Ctx,
    ops::arith,
    value::{Data, Scalar, Sym, Value, Vector},
};

/// `x$y`
pub fn dollar(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    match &x {
        Value::Sym(s) if s.is_null() => symbols(y),
        Value::Sym(s) => cast_named(ctx, *s, y),
        Value::Char(c) => letter(ctx, *c, y),
        Value::Short(n) => by_number(ctx, *n, y),
        Value::Long(n) => super::pad::pad(ctx, *n, y),
        Value::Int(n) => super::pad::pad(ctx, i64::from(*n), y),
        Value::Bool(n) => super::pad::pad(ctx, i64::from(*n), y),
        Value::Byte(n) => super::pad::pad(ctx, i64::from(*n), y),
        Value::Vector(v) if matches!(v.ty, Type::Float | Type::Real) => arith::matrix::mmu(ctx, x, y),
        Value::List(l) if matches!(l.first(), Some(Value::Vector(v)) if matches!(v.ty, Type::Float | Type::Real)) => {
            arith::matrix::mmu(ctx, x, y)
        }
        Value::Vector(_) | Value::List(_) => each(ctx, x, y),
        Value::Enum(e) => dollar(ctx, e.value(), y),
        _ => Err(QError::type_()),
    }
}

/// Items of `x` with items of `y`.
fn each(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let n = x.count();
    let pairs = match &y {
        Value::Dict(d) if d.as_keyed().is_none() => {
            let values = each(ctx, x, d.values.clone())?;
            return Ok(Value::dict(crate::value::Dict { keys: d.keys.clone(), values, sorted: false }));
        }
        y if y.is_atom() => n,
        y if y.count() != n => return Err(QError::length()),
        _ => n,
    };
    let mut out = Vec::with_capacity(pairs);
    for i in 0..pairs {
        let item = if y.is_atom() { y.clone() } else { y.at(i) };
        out.push(dollar(ctx, x.at(i), item)?);
    }
    Ok(Value::from_items(out))
}

fn letter(ctx: &mut dyn Ctx, c: u8, y: Value) -> R {
    match c {
        b'*' | b' ' => Ok(y),
        b'S' if !is_text(&y) => symbols(y),
        b'A'..=b'Z' => {
            let ty = tok::letter_type(c).ok_or_else(QError::type_)?;
            let day_first = ctx.settings().day_first;
            tok::tok(ty, y, day_first)
        }
        b's' => symbols(y),
        c => to(Type::from_letter(c as char).ok_or_else(QError::type_)?, y),
    }
}

fn is_text(y: &Value) -> bool {
    matches!(y, Value::Char(_)) || y.is_string()
}

fn by_number(ctx: &mut dyn Ctx, n: i16, y: Value) -> R {
    let ty = u8::try_from(n.unsigned_abs()).ok().and_then(Type::from_number);
    match ty {
        _ if n == 0 => Ok(y),
        None => Err(QError::type_()),
        Some(Type::Symbol) => symbols(y),
        Some(ty) if n < 0 => {
            let day_first = ctx.settings().day_first;
            tok::tok(ty, y, day_first)
        }
        Some(ty) => to(ty, y),
    }
}

/// `` `$x ``: strings below `x` as symbols.
fn symbols(y: Value) -> R {
    let sym = |text: &[u8]| Sym::new(text.trim_ascii());
    if let Value::List(l) = &y {
        if l.is_empty() {
            return Ok(Value::syms(Vec::new()));
        }
        let all: Option<Vec<Sym>> = l
            .iter()
            .map(|v| match v {
                Value::Vector(v) => v.as_chars().map(sym),
                Value::Char(c) => Some(sym(&[*c])),
                _ => None,
            })
            .collect();
        if let Some(all) = all {
            return Ok(Value::syms(all));
        }
    }
    deep(y, &mut |v| match &v {
        Value::Vector(t) => match t.as_chars() {
            Some(text) => Ok(Value::Sym(sym(text))),
            None if t.ty == Type::Symbol && t.number() == 20 => Ok(t.resolved()),
            None if t.ty == Type::Symbol => Ok(v),
            None if t.is_empty() => Ok(Value::syms(Vec::new())),
            None => Err(QError::type_()),
        },
        Value::Char(c) => Ok(Value::Sym(sym(&[*c]))),
        Value::Sym(_) => Ok(v),
        Value::Enum(e) => Ok(e.value()),
        _ => Err(QError::type_()),
    })
}

/// The type of a name as `$` takes it: `long`, `timestamp`, …
pub fn named_type(name: &[u8]) -> Option<Type> {
    Type::ALL.into_iter().find(|t| t.name().as_bytes() == name)
}

/// Cast by name, the part of a date or time, or the enumeration over a global: what `` `name$x `` and `x.name` do.
/// `'cast` where an item is not in the enumeration's domain, `'name` where there is no such global.
pub fn cast_named(ctx: &mut dyn Ctx, name: Sym, y: Value) -> R {
    match cast_word(name.bytes(), y) {
        Ok(cast) => cast,
        Err(y) => enumerate::over(ctx, name, y),
    }
}

/// Cast by the name of a type or of a part of a date or time; `Err` gives the value back where the name is neither.
pub fn cast_word(name: &[u8], y: Value) -> Result<R, Value> {
    match named_type(name) {
        Some(Type::Symbol) => Ok(symbols(y)),
        Some(ty) => Ok(to(ty, y)),
        None => match Part::named(name) {
            Some(part) => Ok(part_of(part, y)),
            None => Err(y),
        },
    }
}

/// True for the names that [`cast_named`] knows without looking at globals: types, and parts of dates and times.
pub fn is_cast_name(name: &[u8]) -> bool {
    named_type(name).is_some() || Part::named(name).is_some()
}

/// A part of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Week,
}

impl Part {
    fn named(name: &[u8]) -> Option<Part> {
        Some(match name {
            b"year" => Part::Year,
            b"mm" => Part::Month,
            b"dd" => Part::Day,
            b"hh" => Part::Hour,
            b"uu" => Part::Minute,
            b"ss" => Part::Second,
            b"week" => Part::Week,
            _ => return None,
        })
    }
}

fn part_of(part: Part, y: Value) -> R {
    let ty = if part == Part::Week { Type::Date } else { Type::Int };
    deep(y, &mut |v| match &v {
        Value::Vector(v) => {
            let days = numbers(v)?;
            let out = days.iter().map(|n| one_part(part, v.ty, *n)).collect::<R<Vec<i32>>>()?;
            Ok(Value::vector(ty, Data::I32(out.into())))
        }
        v => {
            let (from, x) = v.as_scalar().ok_or_else(QError::type_)?;
            Ok(Value::atom(ty, Scalar::I32(one_part(part, from, raw(from, x)?)?)))
        }
    })
}

/// A temporal or integral element as a long; a datetime as nanoseconds.
fn raw(ty: Type, x: Scalar) -> R<i64> {
    match (ty, x) {
        (Type::Datetime, Scalar::F64(d)) => Ok(datetime_nanos(d)),
        (Type::Symbol | Type::Guid, _) => Err(QError::type_()),
        (_, x) => x.as_i64().ok_or_else(QError::type_),
    }
}

fn datetime_nanos(d: f64) -> i64 {
    if d.is_nan() {
        NULL_LONG
    } else if d.is_infinite() {
        if d > 0.0 { INF_LONG } else { -INF_LONG }
    } else {
        // To the nearest millisecond, as a datetime shows.
        ((d * 86_400_000.0).round() * 1e6) as i64
    }
}

fn numbers(v: &Arc<Vector>) -> R<Vec<i64>> {
    Ok(match (&v.data, v.ty) {
        (Data::I32(d), _) => d.iter().map(|&n| wide(n)).collect(),
        (Data::I64(d), _) => d.to_vec(),
        (Data::F64(d), Type::Datetime) => d.iter().map(|&x| datetime_nanos(x)).collect(),
        _ if v.is_empty() => Vec::new(),
        _ => return Err(QError::type_()),
    })
}

fn one_part(part: Part, ty: Type, n: i64) -> R<i32> {
    if n == NULL_LONG {
        return if ty.is_temporal() { Ok(NULL_INT) } else { Err(QError::type_()) };
    }
    let day = || -> R<i64> {
        Ok(match ty {
            Type::Timestamp | Type::Datetime => n.div_euclid(DAY),
            Type::Date => n,
            Type::Month => month_days(n),
            Type::Timespan => n / DAY,
            _ => return Err(QError::type_()),
        })
    };
    let seconds = || -> R<i64> {
        Ok(match ty {
            Type::Timestamp | Type::Datetime => n.rem_euclid(DAY) / SECOND,
            Type::Timespan => n % DAY / SECOND,
            Type::Date | Type::Month => 0,
            Type::Minute => n * 60,
            Type::Second => n,
            Type::Time => n / 1_000,
            _ => return Err(QError::type_()),
        })
    };
    let clock = matches!(ty, Type::Minute | Type::Second | Type::Time | Type::Timespan);
    Ok(match part {
        Part::Year => civil_from_days(day()?).0 as i32,
        Part::Month if clock => (seconds()? / 60 % 60) as i32,
        Part::Month => civil_from_days(day()?).1 as i32,
        Part::Day if ty == Type::Timespan => day()? as i32,
        Part::Day => civil_from_days(day()?).2 as i32,
        Part::Hour => (seconds()? / 3_600) as i32,
        Part::Minute => (seconds()? / 60 % 60) as i32,
        Part::Second => (seconds()? % 60) as i32,
        Part::Week => {
            let d = day()?;
            (d - (d - 2).rem_euclid(7)) as i32
        }
    })
}

fn month_days(m: i64) -> i64 {
    let m = m + 24_000;
    days_from_civil(m.div_euclid(12), m.rem_euclid(12) as u32 + 1, 1).unwrap_or(i64::from(NULL_INT))
}

fn wide(n: i32) -> i64 {
    if n == NULL_INT { NULL_LONG } else { i64::from(n) }
}

/// Casts everything below a value to a type. `'type` where there is no cast.
pub fn to(ty: Type, y: Value) -> R {
    if ty == Type::Symbol {
        return symbols(y);
    }
    deep(y, &mut |v| match &v {
        Value::Vector(x) => vector(ty, x),
        Value::Enum(e) => Ok(Value::atom(ty, scalar(ty, Type::Long, Scalar::I64(e.index))?)),
        v => {
            let (from, x) = v.as_scalar().ok_or_else(QError::type_)?;
            Ok(Value::atom(ty, scalar(ty, from, x)?))
        }
    })
    .map(|v| {
        if matches!(&v, Value::List(l) if l.is_empty()) {
            Value::Vector(Arc::new(Vector::empty(ty)))
        } else {
            v
        }
    })
}

fn vector(ty: Type, v: &Arc<Vector>) -> R {
    if v.ty == ty && !matches!(v.data, Data::Enum(..)) {
        return Ok(Value::Vector(v.clone()));
    }
    let source = match &v.data {
        Data::Enum(_, codes) => Arc::new(Vector::new(Type::Long, Data::I64(codes.clone()))),
        _ => v.clone(),
    };
    if source.is_empty() {
        return Ok(Value::Vector(Arc::new(Vector::empty(ty))));
    }
    // The common ones without a detour over scalars.
    match (&source.data, source.ty, ty) {
        (Data::I64(d), Type::Long, Type::Float) => {
            let one = |&n: &i64| if n == NULL_LONG { kvalue::types::NULL_FLOAT } else { n as f64 };
            return Ok(Value::floats(d.iter().map(one).collect()));
        }
        (Data::I64(d), _, Type::Long | Type::Timestamp | Type::Timespan)
            if source.ty == Type::Long || ty == Type::Long =>
        {
            return Ok(Value::vector(ty, Data::I64(d.clone())));
        }
        (Data::I32(d), _, Type::Long) => {
            return Ok(Value::longs(d.iter().map(|&n| wide(n)).collect()));
        }
        _ => {}
    }
    macro_rules! collect {
        ($source:ident, $from:ident, $to:ident) => {{
            let mut out = Vec::with_capacity($source.len());
            for &x in $source.iter() {
                match scalar(ty, source.ty, Scalar::$from(x))? {
                    Scalar::$to(x) => out.push(x),
                    _ => return Err(QError::type_()),
                }
            }
            Data::$to(out.into())
        }};
    }
    macro_rules! from {
        ($to:ident) => {
            match &source.data {
                Data::Bool(d) => collect!(d, Bool, $to),
                Data::Guid(d) => collect!(d, Guid, $to),
                Data::U8(d) => collect!(d, U8, $to),
                Data::I16(d) => collect!(d, I16, $to),
                Data::I32(d) => collect!(d, I32, $to),
                Data::I64(d) => collect!(d, I64, $to),
                Data::F32(d) => collect!(d, F32, $to),
                Data::F64(d) => collect!(d, F64, $to),
                Data::Sym(d) => collect!(d, Sym, $to),
                Data::Enum(..) => return Err(QError::type_()),
            }
        };
    }
    let data = match ty {
        Type::Boolean => from!(Bool),
        Type::Guid => from!(Guid),
        Type::Byte | Type::Char => from!(U8),
        Type::Short => from!(I16),
        Type::Int | Type::Month | Type::Date | Type::Minute | Type::Second | Type::Time => from!(I32),
        Type::Long | Type::Timestamp | Type::Timespan => from!(I64),
        Type::Real => from!(F32),
        Type::Float | Type::Datetime => from!(F64),
        Type::Symbol => return Err(QError::type_()),
    };
    Ok(Value::vector(ty, data))
}

/// One element in another type.
pub fn scalar(ty: Type, from: Type, x: Scalar) -> R<Scalar> {
    if ty == from {
        return Ok(x);
    }
    if matches!(from, Type::Symbol | Type::Guid) || matches!(ty, Type::Symbol | Type::Guid) {
        return Err(QError::type_());
    }
    if from.is_temporal() && ty.is_temporal() {
        return temporal(ty, from, x);
    }
    Ok(match ty {
        Type::Float | Type::Datetime => Scalar::F64(x.as_f64().ok_or_else(QError::type_)?),
        Type::Real => Scalar::F32(match x {
            Scalar::F32(x) => x,
            x => x.as_f64().ok_or_else(QError::type_)? as f32,
        }),
        Type::Boolean => Scalar::Bool(match x {
            Scalar::F64(x) => x != 0.0,
            Scalar::F32(x) => x != 0.0,
            x => x.as_i64() != Some(0),
        }),
        ty => {
            let n = match x {
                Scalar::F64(x) => rounded(x),
                Scalar::F32(x) => rounded(f64::from(x)),
                x => x.as_i64().ok_or_else(QError::type_)?,
            };
            match ty {
                Type::Byte | Type::Char => Scalar::U8(narrow_int(n) as u8),
                Type::Short => Scalar::I16(match n {
                    NULL_LONG => NULL_SHORT,
                    n => n.clamp(-i64::from(INF_SHORT), i64::from(INF_SHORT)) as i16,
                }),
                Type::Long | Type::Timestamp | Type::Timespan => Scalar::I64(n),
                _ => Scalar::I32(narrow_int(n)),
            }
        }
    })
}

/// A float to the nearest whole number; the infinities become those of longs.
fn rounded(x: f64) -> i64 {
    if x.is_nan() {
        NULL_LONG
    } else if x >= 9.2e18 {
        INF_LONG
    } else if x <= -9.2e18 {
        -INF_LONG
    } else {
        (x + 0.5).floor() as i64
    }
}

fn narrow_int(n: i64) -> i32 {
    match n {
        NULL_LONG => NULL_INT,
        n => n.clamp(-i64::from(INF_INT), i64::from(INF_INT)) as i32,
    }
}

/// Conversions between the types that count time.
fn temporal(ty: Type, from: Type, x: Scalar) -> R<Scalar> {
    let n = raw(from, x)?;
    let infinite = match from {
        Type::Timestamp | Type::Timespan | Type::Datetime => INF_LONG,
        _ => i64::from(INF_INT),
    };
    let special = n == NULL_LONG || n == infinite || n == -infinite;
    let sign = if n < 0 { -1 } else { 1 };
    if special {
        return Ok(match (ty, n) {
            (ty, NULL_LONG) => Scalar::null(ty),
            (Type::Datetime, _) => Scalar::F64(f64::INFINITY * sign as f64),
            (Type::Timestamp | Type::Timespan, _) => Scalar::I64(sign * INF_LONG),
            _ => Scalar::I32(sign as i32 * INF_INT),
        });
    }
    // Days and nanoseconds of the day; spans keep what is beyond a day in the nanoseconds.
    let (days, nanos) = match from {
        Type::Timestamp | Type::Datetime => (n.div_euclid(DAY), n.rem_euclid(DAY)),
        Type::Date => (n, 0),
        Type::Month => (month_days(n), 0),
        Type::Timespan => (0, n),
        Type::Minute => (0, n.saturating_mul(60 * SECOND)),
        Type::Second => (0, n * SECOND),
        _ => (0, n * 1_000_000),
    };
    let span = matches!(from, Type::Timespan | Type::Minute | Type::Second | Type::Time);
    let of_day = |unit: i64| Scalar::I32(narrow_int(nanos.div_euclid(unit)));
    let all_days = || if span { nanos.div_euclid(DAY) } else { days };
    Ok(match ty {
        Type::Timestamp => {
            let total = i128::from(days) * i128::from(DAY) + i128::from(nanos);
            Scalar::I64(
                i64::try_from(total)
                    .map_or(if total < 0 { -INF_LONG } else { INF_LONG }, |n| n.max(-INF_LONG)),
            )
        }
        Type::Datetime => match x {
            Scalar::F64(d) => Scalar::F64(d),
            _ => Scalar::F64(days as f64 + nanos as f64 / DAY as f64),
        },
        Type::Date => Scalar::I32(narrow_int(all_days())),
        Type::Month => {
            let (y, m, _) = civil_from_days(all_days());
            Scalar::I32(((y - 2000) * 12 + i64::from(m) - 1) as i32)
        }
        Type::Timespan => Scalar::I64(nanos),
        Type::Minute => of_day(60 * SECOND),
        Type::Second => of_day(SECOND),
        _ => of_day(1_000_000),
    })
}
