//! The names of `.z`.

use super::{globals::split, interp::Interp};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Sym, Value},
};

const DAY: i64 = 86_400_000_000_000;

impl Interp {
    /// The value of a name of `.z`; `None` where there is no such name.
    pub(crate) fn dotz(&mut self, full: Sym) -> Option<R> {
        let (space, leaf) = split(full);
        if space.bytes() != b".z" {
            return None;
        }
        if let Some(v) = self.system.handlers.get(&full) {
            return Some(Ok(v.clone()));
        }
        let now = self.host.now();
        let zone = match self.settings.offset {
            Some(n) if n.abs() < 24 => i64::from(n) * 3_600_000_000_000,
            Some(n) => i64::from(n) * 60_000_000_000,
            None => self.host.zone(now),
        };
        let local = now + zone;
        Some(Ok(match leaf.bytes() {
            b"p" => Value::Timestamp(now),
            b"P" => Value::Timestamp(local),
            b"d" => Value::Date(now.div_euclid(DAY) as i32),
            b"D" => Value::Date(local.div_euclid(DAY) as i32),
            b"n" => Value::Timespan(now.rem_euclid(DAY)),
            b"N" => Value::Timespan(local.rem_euclid(DAY)),
            b"t" => Value::Time((now.rem_euclid(DAY) / 1_000_000) as i32),
            b"T" => Value::Time((local.rem_euclid(DAY) / 1_000_000) as i32),
            b"z" => Value::Datetime(now as f64 / DAY as f64),
            b"Z" => Value::Datetime(local as f64 / DAY as f64),
            b"K" => Value::Float(4.1),
            b"k" => Value::Date(8894),
            b"o" => Value::sym("l64"),
            b"s" => return Some(Err(QError::new(".z.s"))),
            b"f" => Value::Sym(self.system.file),
            b"q" => Value::Bool(false),
            b"ex" | b"ey" => Value::Nil,
            _ => {
                let p = crate::registry::registry().find(full.bytes())?;
                return Some(self.primitive(p, vec![Value::Nil]));
            }
        }))
    }

    /// Sets a name of `.z`: handlers and what else may be set.
    pub(crate) fn set_dotz(&mut self, full: Sym, value: Value) -> R<()> {
        match full.bytes() {
            b".z.p" | b".z.P" | b".z.d" | b".z.D" | b".z.t" | b".z.T" | b".z.n" | b".z.N" | b".z.z"
            | b".z.Z" | b".z.K" | b".z.k" | b".z.o" | b".z.i" | b".z.w" | b".z.a" | b".z.u" | b".z.h"
            | b".z.s" => Err(QError::assign()),
            b".z.zd" => {
                let n =
                    value.items().iter().filter_map(Value::as_int).map(|n| n as i32).collect::<Vec<i32>>();
                if let [a, b, c] = n[..] {
                    self.settings().compression = Some((a, b, c));
                }
                self.system.handlers.insert(full, value);
                Ok(())
            }
            _ => {
                self.system.handlers.insert(full, value);
                Ok(())
            }
        }
    }
}
