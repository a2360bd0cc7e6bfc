//! Random numbers: roll, deal and permute (`n?x`), `rand`. The generator's state is in the settings; `\S` seeds it.

use kvalue::{Physical, Type, types::NULL_LONG};

use crate::{
    QError, R,
    ctx::{Ctx, Settings},
    value::{Data, Scalar, Sym, Value},
};

/// A generator of 64 random bits (splitmix64): small, and good enough for samples.
struct Random(u64);

impl Random {
    /// The generator that goes on where the settings left off.
    fn of(s: &Settings) -> Random {
        Random(if s.random == 0 {
            (s.seed as u32 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
        } else {
            s.random
        })
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// A float in [0,1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `n` different numbers below `of`.
    fn deal(&mut self, n: usize, of: u64) -> Vec<i64> {
        // Few of many are drawn again where they were drawn before; else the head of a shuffle.
        if (n as u64).saturating_mul(4) < of {
            let mut seen = ahash::HashSet::default();
            let mut out = Vec::with_capacity(n);
            while out.len() < n {
                let x = self.below(of) as i64;
                if seen.insert(x) {
                    out.push(x);
                }
            }
            return out;
        }
        let mut all: Vec<i64> = (0..of as i64).collect();
        for i in 0..n {
            let j = i + self.below(of - i as u64) as usize;
            all.swap(i, j);
        }
        all.truncate(n);
        all
    }
}

/// `x?y` where `x` is a number of items: roll, deal (negative) or permute (null). `'length` where more are to be
/// dealt than there are, `'domain` for a bound below zero, `'type` where there is nothing to draw from.
pub fn draw(ctx: &mut dyn Ctx, n: i64, y: Value) -> R {
    let count = if n == NULL_LONG { 0 } else { usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX) };
    let permuted = if n == NULL_LONG { y.as_int().unwrap_or(0).max(0) as usize } else { 0 };
    ctx.reserve(count.max(permuted).saturating_mul(16))?;
    ctx.check()?;
    let mut random = Random::of(ctx.settings());
    let out = drawn(&mut random, n, count, y);
    ctx.settings().random = random.0 | u64::from(random.0 == 0);
    out
}

/// `rand x`: one item.
pub fn rand(ctx: &mut dyn Ctx, x: Value) -> R {
    Ok(draw(ctx, 1, x)?.at(0))
}

fn drawn(random: &mut Random, n: i64, count: usize, y: Value) -> R {
    let is_deal = n < 0;
    if !y.is_atom() {
        let of = y.count();
        let rows: Vec<u32> = match n {
            NULL_LONG => random.deal(of, of as u64).into_iter().map(|i| i as u32).collect(),
            _ if is_deal && count > of => return Err(QError::length()),
            _ if is_deal => random.deal(count, of as u64).into_iter().map(|i| i as u32).collect(),
            _ if of == 0 && count > 0 => return Ok(y.nulls(count)),
            _ => (0..count).map(|_| random.below(of as u64) as u32).collect(),
        };
        return Ok(y.gather(&rows));
    }
    let (ty, s) = y.as_scalar().ok_or_else(QError::type_)?;
    if n == NULL_LONG || is_deal {
        return dealt(random, n == NULL_LONG, count, ty, s);
    }
    rolled(random, count, ty, s)
}

fn dealt(random: &mut Random, permute: bool, count: usize, ty: Type, s: Scalar) -> R {
    match (ty, s) {
        (Type::Guid, _) => rolled(random, count, ty, s),
        (Type::Symbol, Scalar::Sym(name)) => {
            let letters = letters_of(name)?;
            if (16f64).powi(letters as i32) < count as f64 {
                return Err(QError::length());
            }
            let codes = random.deal(count, 16u64.saturating_pow(letters as u32));
            Ok(Value::syms(codes.into_iter().map(|c| word(c as u64, letters)).collect()))
        }
        (Type::Long | Type::Int | Type::Short, s) => {
            let of = s.as_i64().unwrap_or(0);
            if of < 0 {
                return Err(QError::domain());
            }
            let count = if permute { of as usize } else { count };
            if of == 0 && ty == Type::Long && !permute {
                return Ok(Value::longs((0..count).map(|_| random.next() as i64).collect()));
            }
            if count as u64 > of as u64 {
                return Err(QError::length());
            }
            let items = random.deal(count, of as u64);
            Ok(match ty {
                Type::Long => Value::longs(items),
                Type::Int => Value::vector(ty, Data::I32(items.into_iter().map(|n| n as i32).collect())),
                _ => Value::vector(ty, Data::I16(items.into_iter().map(|n| n as i16).collect())),
            })
        }
        _ => Err(QError::type_()),
    }
}

/// The number of letters that a symbol like `` `8 `` asks for.
fn letters_of(name: Sym) -> R<usize> {
    let n = name.text().parse::<usize>().map_err(|_| QError::type_())?;
    if n == 0 || n > 8 { Err(QError::length()) } else { Ok(n) }
}

/// A symbol of letters `a` to `p`, one for four bits.
fn word(code: u64, letters: usize) -> Sym {
    let name: Vec<u8> = (0..letters).map(|i| b'a' + ((code >> (4 * i)) & 15) as u8).collect();
    Sym::new(name)
}

fn rolled(random: &mut Random, count: usize, ty: Type, s: Scalar) -> R {
    let below = |n: i64| if n < 0 { Err(QError::domain()) } else { Ok(n as u64) };
    // A time of zero stands for a whole day.
    let s = match (ty, s) {
        (Type::Timespan, Scalar::I64(0)) => Scalar::I64(kvalue::time::DAY),
        (Type::Time, Scalar::I32(0)) => Scalar::I32(86_400_000),
        (Type::Second, Scalar::I32(0)) => Scalar::I32(86_400),
        (Type::Minute, Scalar::I32(0)) => Scalar::I32(1_440),
        (_, s) => s,
    };
    let data = match (ty, s) {
        (Type::Boolean, _) => Data::Bool((0..count).map(|_| random.next() >> 63 == 1).collect()),
        (Type::Guid, _) => Data::Guid(
            (0..count)
                .map(|_| {
                    let mut g = [0; 16];
                    g[..8].copy_from_slice(&random.next().to_le_bytes());
                    g[8..].copy_from_slice(&random.next().to_le_bytes());
                    g
                })
                .collect(),
        ),
        (Type::Char, Scalar::U8(b' ')) => {
            Data::U8((0..count).map(|_| b'a' + random.below(26) as u8).collect())
        }
        (Type::Symbol, Scalar::Sym(name)) => {
            let letters = letters_of(name)?;
            Data::Sym((0..count).map(|_| word(random.next(), letters)).collect())
        }
        (_, Scalar::U8(n)) => {
            let n = if n == 0 { 256 } else { u64::from(n) };
            Data::U8((0..count).map(|_| random.below(n) as u8).collect())
        }
        (_, Scalar::I16(0)) => Data::I16((0..count).map(|_| random.next() as i16).collect()),
        (_, Scalar::I16(n)) => {
            let n = below(n.into())?;
            Data::I16((0..count).map(|_| random.below(n) as i16).collect())
        }
        (Type::Int, Scalar::I32(0)) => Data::I32((0..count).map(|_| random.next() as i32).collect()),
        (_, Scalar::I32(n)) => {
            let n = below(n.into())?;
            Data::I32((0..count).map(|_| random.below(n) as i32).collect())
        }
        (Type::Long, Scalar::I64(0)) => Data::I64((0..count).map(|_| random.next() as i64).collect()),
        (_, Scalar::I64(n)) => {
            let n = below(n)?;
            Data::I64((0..count).map(|_| random.below(n) as i64).collect())
        }
        (_, Scalar::F32(x)) => Data::F32((0..count).map(|_| (random.unit() * f64::from(x)) as f32).collect()),
        (_, Scalar::F64(x)) if ty.physical() == Physical::F64 => {
            Data::F64((0..count).map(|_| random.unit() * x).collect())
        }
        _ => return Err(QError::type_()),
    };
    Ok(Value::vector(ty, data))
}
