//! The dyads and monads against simple code over single numbers: all types, nulls and infinities among them.

use std::sync::Arc;

use kvalue::{
    Type,
    types::{NULL_FLOAT, NULL_LONG},
};

use super::{Verb, dyad, types};
use crate::{
    R,
    host::Closed,
    session::Session,
    value::{Scalar, Value, order::identical},
};

/// A generator whose seed a failing test prints.
struct Dice(u64);

impl Dice {
    fn new() -> Dice {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Dice(clock.map_or(1, |d| d.as_nanos() as u64) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
}

const VERBS: [Verb; 18] = [
    Verb::Add,
    Verb::Subtract,
    Verb::Multiply,
    Verb::Divide,
    Verb::Lesser,
    Verb::Greater,
    Verb::Equal,
    Verb::NotEqual,
    Verb::Less,
    Verb::More,
    Verb::AtMost,
    Verb::AtLeast,
    Verb::Mod,
    Verb::Div,
    Verb::Xbar,
    Verb::Xexp,
    Verb::Xlog,
    Verb::Fill,
];

/// A number of a type: null, infinite, small or large.
fn number(dice: &mut Dice, ty: Type) -> Value {
    let small = dice.below(41) as i64 - 20;
    let kind = dice.below(8);
    let whole = |null: i64| match kind {
        0 => null,
        1 => null.wrapping_add(1),
        2 => null.wrapping_sub(1),
        3 => small * 1000,
        _ => small,
    };
    let scalar = match Scalar::null(ty) {
        Scalar::Bool(_) => Scalar::Bool(small > 0),
        Scalar::U8(_) => Scalar::U8(small as u8),
        Scalar::I16(n) => Scalar::I16(if kind < 3 { whole(n.into()) as i16 } else { small as i16 }),
        Scalar::I32(n) => Scalar::I32(if kind < 3 { whole(n.into()) as i32 } else { whole(0) as i32 }),
        Scalar::I64(n) => Scalar::I64(whole(n)),
        Scalar::F32(_) => Scalar::F32(match kind {
            0 => f32::NAN,
            1 => f32::INFINITY,
            _ => small as f32 / 4.0,
        }),
        Scalar::F64(_) => Scalar::F64(match kind {
            0 => NULL_FLOAT,
            1 => f64::NEG_INFINITY,
            _ => small as f64 / 4.0,
        }),
        Scalar::Guid(_) => Scalar::Guid([small as u8; 16]),
        Scalar::Sym(_) => {
            Scalar::Sym(if small % 3 == 0 { "".into() } else { format!("s{small}").as_str().into() })
        }
    };
    Value::atom(ty, scalar)
}

fn session() -> Session {
    Session::new(Box::new(Closed::default()))
}

/// What the verb gives for two plain numbers, one by one and in wide arithmetic; `None` where this code does not say.
fn expected(verb: Verb, x: &Value, y: &Value, ty: Type) -> Option<Value> {
    let ((tx, a), (ty_y, b)) = (x.as_scalar()?, y.as_scalar()?);
    if tx.is_temporal() || ty_y.is_temporal() || tx == Type::Char || ty_y == Type::Char || ty == Type::Real {
        return None;
    }
    if verb.is_comparison() && ty == Type::Boolean && tx != Type::Guid && tx != Type::Symbol {
        let (a, b) = (a.as_f64()?, b.as_f64()?);
        let rank = |x: f64| if x.is_nan() { (0, 0.0) } else { (1, x) };
        let order = rank(a).partial_cmp(&rank(b))?;
        return Some(Value::Bool(match verb {
            Verb::Equal => order.is_eq(),
            Verb::NotEqual => order.is_ne(),
            Verb::Less => order.is_lt(),
            Verb::More => order.is_gt(),
            Verb::AtMost => order.is_le(),
            _ => order.is_ge(),
        }));
    }
    if ty == Type::Float {
        let (a, b) = (a.as_f64()?, b.as_f64()?);
        return Some(Value::Float(match verb {
            Verb::Add => a + b,
            Verb::Subtract => a - b,
            Verb::Multiply => a * b,
            Verb::Divide => a / b,
            _ => return None,
        }));
    }
    if !matches!(ty, Type::Int | Type::Long)
        || !matches!(verb, Verb::Add | Verb::Subtract | Verb::Multiply | Verb::Mod)
    {
        return None;
    }
    let (a, b) = (a.as_i64()?, b.as_i64()?);
    let out = if a == NULL_LONG || b == NULL_LONG {
        None
    } else {
        let (a, b) = (i128::from(a), i128::from(b));
        match verb {
            Verb::Add => Some(a + b),
            Verb::Subtract => Some(a - b),
            Verb::Multiply => Some(a * b),
            _ if b == 0 => None,
            _ => Some(a - b * (a as f64 / b as f64).floor() as i128),
        }
    };
    if verb == Verb::Mod && (a.unsigned_abs() > 1 << 40 || b.unsigned_abs() > 1 << 40) {
        return None;
    }
    Some(match (ty, out) {
        (Type::Int, None) => Value::null(ty),
        (Type::Int, Some(n)) => Value::Int(n as i32),
        (_, None) => Value::null(ty),
        (_, Some(n)) => Value::Long(n as i64),
    })
}

fn agree(a: &R, b: &R) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => identical(a, b),
        (Err(a), Err(b)) => a == b,
        _ => false,
    }
}

#[test]
fn vectors_give_what_their_items_give_and_items_what_wide_arithmetic_gives() {
    let mut dice = Dice::new();
    let seed = dice.0;
    let mut session = session();
    let ctx = session.ctx();
    for _ in 0..3000 {
        let verb = VERBS[dice.below(VERBS.len() as u64) as usize];
        let (tx, ty) = (Type::ALL[dice.below(18) as usize], Type::ALL[dice.below(18) as usize]);
        let n = dice.below(6) as usize + 1;
        let xs: Vec<Value> = (0..n).map(|_| number(&mut dice, tx)).collect();
        let ys: Vec<Value> = (0..n).map(|_| number(&mut dice, ty)).collect();
        let about = || format!("seed {seed}: {verb:?} {tx} {ty} {xs:?} {ys:?}");
        let by_item: R<Vec<Value>> =
            xs.iter().zip(&ys).map(|(x, y)| dyad(ctx, verb, x.clone(), y.clone())).collect();
        let (x, y) = (Value::from_items(xs.clone()), Value::from_items(ys.clone()));
        let whole = dyad(ctx, verb, x.clone(), y.clone());
        assert!(agree(&whole, &by_item.clone().map(Value::from_items)), "{} {whole:?} {by_item:?}", about());
        // In place on the left, in place on the right.
        let own = |v: &Value| match v {
            Value::Vector(v) => Value::Vector(Arc::new((**v).clone())),
            v => v.clone(),
        };
        let left = dyad(ctx, verb, own(&x), y.clone());
        let right = dyad(ctx, verb, x.clone(), own(&y));
        assert!(agree(&left, &whole) && agree(&right, &whole), "{} {left:?} {right:?}", about());
        // Atom and vector.
        let spread = dyad(ctx, verb, xs[0].clone(), y.clone());
        let each: R<Vec<Value>> = ys.iter().map(|y| dyad(ctx, verb, xs[0].clone(), y.clone())).collect();
        assert!(agree(&spread, &each.map(Value::from_items)), "{} {spread:?}", about());
        let Some(result) = types::of(verb, tx, ty) else {
            assert!(whole.is_err(), "{}", about());
            continue;
        };
        for ((x, y), got) in xs.iter().zip(&ys).zip(by_item.unwrap()) {
            assert_eq!(got.number(), -(result.number() as i8), "{}", about());
            if let Some(wanted) = expected(verb, x, y, result) {
                assert!(identical(&got, &wanted), "{}: {got:?} {wanted:?}", about());
            }
        }
    }
}

#[test]
fn clocks_meet_as_the_comparison_page_says() {
    let mut session = session();
    let ctx = session.ctx();
    let day = 86_400_000_000_000i64;
    let stamp = Value::Timestamp(7000 * day + 3_600_000_000_000);
    let cases = [
        (Verb::Add, Value::Date(1), Value::Time(1), Value::Timestamp(day + 1_000_000)),
        (Verb::Subtract, stamp.clone(), Value::Date(7000), Value::Timespan(3_600_000_000_000)),
        (Verb::Equal, stamp.clone(), Value::Minute(60), Value::Bool(true)),
        (Verb::Less, stamp.clone(), Value::Month(1000), Value::Bool(true)),
        (Verb::Add, Value::Minute(1), Value::Second(1), Value::Second(61)),
        (Verb::Subtract, Value::Date(9), Value::Date(2), Value::Int(7)),
        (Verb::Xbar, Value::Timespan(300_000_000_000), Value::Second(301), Value::Second(300)),
        (Verb::Xbar, Value::Timespan(day), stamp.clone(), Value::Timestamp(7000 * day)),
    ];
    for (verb, x, y, wanted) in cases {
        let got = dyad(ctx, verb, x.clone(), y.clone()).unwrap();
        assert!(identical(&got, &wanted), "{verb:?} {x:?} {y:?}: {got:?}");
    }
    assert!(dyad(ctx, Verb::Less, Value::Month(1), Value::Minute(1)).is_err());
}

#[test]
fn equality_is_tolerant_and_deep_nesting_is_an_error() {
    let mut session = session();
    let ctx = session.ctx();
    let got = dyad(ctx, Verb::Equal, Value::Float(1.0 + 1e-13), Value::Long(1)).unwrap();
    assert!(identical(&got, &Value::Bool(true)));
    let got = dyad(ctx, Verb::Less, Value::Float(f64::NEG_INFINITY), Value::Float(1.0)).unwrap();
    assert!(identical(&got, &Value::Bool(true)));
    let mut deep = Value::Long(1);
    for _ in 0..1000 {
        deep = Value::list(vec![deep]);
    }
    assert_eq!(dyad(ctx, Verb::Add, deep, Value::Long(1)).unwrap_err().text(), "stack");
}
