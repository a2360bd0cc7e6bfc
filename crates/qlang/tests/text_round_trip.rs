//! q text of a value, read again, is the same value: for values made at random. The seed is printed.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use kvalue::Type;
use qlang::{
    ctx::Settings,
    format::inline,
    host::Closed,
    session::Session,
    value::{Dict, Scalar, Sym, Value, Vector},
};

/// Types that q has a literal for.
const TYPES: [Type; 17] = [
    Type::Boolean,
    Type::Byte,
    Type::Short,
    Type::Int,
    Type::Long,
    Type::Real,
    Type::Float,
    Type::Char,
    Type::Symbol,
    Type::Timestamp,
    Type::Month,
    Type::Date,
    Type::Datetime,
    Type::Timespan,
    Type::Minute,
    Type::Second,
    Type::Time,
];

/// Numbers at random: xorshift, for the same values from the same seed everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A number around zero.
    fn near(&mut self, limit: u64) -> i64 {
        self.below(limit) as i64 - limit as i64 / 2
    }

    fn scalar(&mut self, ty: Type) -> Scalar {
        if self.below(8) == 0 {
            return Scalar::null(ty);
        }
        match ty {
            Type::Boolean => Scalar::Bool(self.below(2) == 1),
            Type::Byte | Type::Char => Scalar::U8(self.below(256) as u8),
            Type::Guid => Scalar::Guid([0; 16]),
            Type::Short => Scalar::I16(self.near(60_000) as i16),
            Type::Int => Scalar::I32(self.near(4_000_000_000) as i32),
            Type::Month => Scalar::I32(self.near(4_000) as i32),
            Type::Date => Scalar::I32(self.near(60_000) as i32),
            Type::Minute => Scalar::I32(self.near(2_000) as i32),
            Type::Second => Scalar::I32(self.near(100_000) as i32),
            Type::Time => Scalar::I32(self.near(100_000_000) as i32),
            Type::Long => Scalar::I64(self.next() as i64 >> self.below(63)),
            Type::Timestamp => Scalar::I64(self.near(4_000_000_000_000_000_000)),
            Type::Timespan => Scalar::I64(self.near(400_000_000_000_000)),
            // Few digits, so that seven are enough to show them.
            Type::Real => Scalar::F32(self.near(20_000) as f32 / 8.0),
            Type::Float => Scalar::F64(self.near(20_000) as f64 / 8.0),
            Type::Datetime => Scalar::F64(self.near(20_000) as f64 + 0.5),
            Type::Symbol => {
                let n = self.below(5) as usize;
                Scalar::Sym(Sym::new((0..n).map(|_| b'a' + self.below(26) as u8).collect::<Vec<u8>>()))
            }
        }
    }

    /// An atom or a vector. Lists of one item are left out: their text is k.
    fn plain(&mut self) -> Value {
        let ty = TYPES[self.below(TYPES.len() as u64) as usize];
        match self.below(5) {
            0 | 1 => Value::atom(ty, self.scalar(ty)),
            2 => Value::Vector(Arc::new(Vector::empty(ty))),
            n => Value::from_items((0..n).map(|_| Value::atom(ty, self.scalar(ty))).collect()),
        }
    }

    fn value(&mut self, depth: u32) -> Value {
        match self.below(if depth == 0 { 2 } else { 4 }) {
            0 | 1 => self.plain(),
            2 => {
                let n = [0, 2, 3][self.below(3) as usize];
                Value::from_items((0..n).map(|_| self.value(depth - 1)).collect())
            }
            _ => {
                let names = vec![Sym::new("a"), Sym::new("b")];
                let values = Value::from_items(vec![self.plain(), self.value(depth - 1)]);
                Value::dict(Dict { keys: Value::syms(names), values, sorted: false })
            }
        }
    }
}

#[test]
fn text_read_again_is_the_same_value() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64) | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut session = Session::new(Box::new(Closed::default()));
    let settings = Settings::default();
    for _ in 0..3_000 {
        let v = random.value(3);
        let text = inline(&v, &settings);
        // Two like dictionaries make a table, whose text is k.
        if text.contains("+`a`b!") {
            continue;
        }
        let again = session.run(&text).unwrap_or_else(|e| panic!("seed {seed}: {text}: {e}"));
        assert_eq!(inline(&again, &settings), text, "seed {seed}");
        assert_eq!(again.number(), v.number(), "seed {seed}: {text}");
    }
}
