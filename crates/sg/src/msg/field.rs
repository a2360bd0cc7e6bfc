//! The kinds of fields internal messages have, and how each lies on the wire.

use bytes::{BufMut, Bytes};
use kvalue::{Atom, Sym, Type, Value};
use qipc::{Limits, Raw};

use super::{
    fastpath,
    frame::{Builder, Object},
};
use crate::{
    Api, Corr, InstanceId, LabelSet, PortionId, Purview, TimeRange,
    codes::{Ac, Rc},
};

/// A field of an internal message.
pub(super) trait Field: Sized {
    /// True where nobody looks into it here: as the last field it is all that is left of the message, and whoever
    /// uses it checks it.
    const OPAQUE: bool = false;

    /// Appends the field's object.
    fn put(&self, out: &mut Builder);
    /// Reads it from its object; the error is one clause.
    fn get(object: Object<'_>) -> Result<Self, String>;
    /// Reads the field at the start of `rest`, without a scan, and returns the length read. `None` for another encoding
    /// or damage: then [`Self::get`] gives the reason.
    fn quick(_rest: Object<'_>) -> Option<(Self, usize)> {
        None
    }
}

/// A result in its wire form, as the segments of one object; never decoded on the way.
#[derive(Debug, Clone, Default)]
pub struct Payload(pub Vec<Bytes>);

/// Type of a byte vector.
const BYTES: u8 = 4;

impl Payload {
    /// The empty list `()`: what a failure carries.
    pub fn empty() -> Self {
        Payload(vec![Bytes::from_static(&[0, 0, 0, 0, 0, 0])])
    }

    /// The encoded value.
    pub fn of(value: &Value) -> Self {
        Payload(vec![Raw::of(value).0])
    }

    /// Bytes that are no object, made one: a byte vector.
    pub fn of_stream(stream: Bytes) -> Self {
        let [a, b, c, d] = (stream.len() as u32).to_le_bytes();
        Payload(vec![Bytes::copy_from_slice(&[BYTES, 0, a, b, c, d]), stream])
    }

    /// The bytes of [`Self::of_stream`]; `None` where it is something else.
    pub fn into_stream(self) -> Option<Self> {
        let object = self.into_bytes();
        let len = object.get(2..6).and_then(|len| len.try_into().ok()).map(u32::from_le_bytes)?;
        (object[0] == BYTES && object.len() == 6 + len as usize).then(|| Payload(vec![object.slice(6..)]))
    }

    /// Bytes of the object.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// True where there are no bytes at all, which no object has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The object in one piece; copies only where it has several segments.
    pub fn into_bytes(self) -> Bytes {
        match <[Bytes; 1]>::try_from(self.0) {
            Ok([one]) => one,
            Err(many) => many.concat().into(),
        }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.0.concat() == other.0.concat()
    }
}

/// Bytes that are data, not an object: a q byte vector on the wire.
#[derive(Debug, Clone, Default)]
pub struct Chunk(pub Vec<Bytes>);

impl Chunk {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// True without any byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl PartialEq for Chunk {
    fn eq(&self, other: &Self) -> bool {
        self.0.concat() == other.0.concat()
    }
}

/// One portion as the Agg is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPortion {
    /// its id within the attempt
    pub id: PortionId,
    /// label set
    pub labels: LabelSet,
    /// table, null for APIs without one
    pub table: Sym,
    /// stretch of time
    pub range: TimeRange,
}

/// A portion that a DAP was still running when it registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// request
    pub corr: Corr,
    /// attempt
    pub attempt: i32,
    /// portion
    pub portion: PortionId,
}

pub(super) fn value(object: Object<'_>) -> Result<Value, String> {
    qipc::decode(object.shared(), &Limits::internal()).map_err(|e| e.to_string())
}

pub(super) fn put_value(out: &mut Builder, value: &Value) {
    let object = Raw::of(value).0;
    out.share(&object);
}

/// Fields that are one atom of fixed width.
macro_rules! atom_fields {
    ($($t:ty: $ty:literal, $n:literal, |$x:ident| $bytes:expr, |$b:ident| $get:expr;)*) => {$(
        impl Field for $t {
            fn put(&self, out: &mut Builder) {
                let $x = self;
                out.out().put_u8($ty);
                out.out().put_slice(&$bytes);
            }
            fn get(object: Object<'_>) -> Result<Self, String> {
                match object.bytes().split_first() {
                    Some((&$ty, rest)) => match <[u8; $n]>::try_from(rest) {
                        Ok($b) => Ok($get),
                        Err(_) => Err("atom of the wrong length".into()),
                    },
                    Some((ty, _)) => Err(format!("type {} where {} is needed", *ty as i8, $ty as u8 as i8)),
                    None => Err("empty".into()),
                }
            }
            fn quick(rest: Object<'_>) -> Option<(Self, usize)> {
                match rest.bytes().first_chunk::<{ 1 + $n }>() {
                    Some([$ty, item @ ..]) => {
                        let $b: [u8; $n] = *item;
                        Some(($get, 1 + $n))
                    }
                    _ => None,
                }
            }
        }
    )*};
}

atom_fields! {
    bool: 0xff, 1, |x| [u8::from(*x)], |b| b[0] != 0;
    Corr: 0xfe, 16, |x| x.0, |b| Corr(b);
    InstanceId: 0xfe, 16, |x| x.0, |b| InstanceId(b);
    Rc: 0xfb, 2, |x| x.0.to_le_bytes(), |b| Rc(i16::from_le_bytes(b));
    Ac: 0xfb, 2, |x| x.0.to_le_bytes(), |b| Ac(i16::from_le_bytes(b));
    i32: 0xfa, 4, |x| x.to_le_bytes(), |b| i32::from_le_bytes(b);
    PortionId: 0xfa, 4, |x| x.0.to_le_bytes(), |b| PortionId(u32::from_le_bytes(b));
    i64: 0xf9, 8, |x| x.to_le_bytes(), |b| i64::from_le_bytes(b);
}

impl Field for Sym {
    fn put(&self, out: &mut Builder) {
        let out = out.out();
        out.put_u8(0xf5);
        out.put_slice(self.as_bytes());
        out.put_u8(0);
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        match object.bytes() {
            [0xf5, name @ .., 0] => Ok(Sym::new(name)),
            _ => value(object)?.as_name().ok_or_else(|| "not a symbol".to_string()),
        }
    }
    fn quick(rest: Object<'_>) -> Option<(Self, usize)> {
        let [0xf5, name @ ..] = rest.bytes() else { return None };
        let len = kvalue::nul::find(name)?;
        Some((Sym::new(&name[..len]), 2 + len))
    }
}

impl Field for String {
    fn put(&self, out: &mut Builder) {
        put_vector(out, 10, self.len());
        out.out().put_slice(self.as_bytes());
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        if let Some(text) = fastpath::text(object.bytes()) {
            return Ok(String::from_utf8_lossy(text).into_owned());
        }
        let text = value(object)?.as_text().ok_or_else(|| "not a string".to_string())?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
    fn quick(rest: Object<'_>) -> Option<(Self, usize)> {
        let (text, len) = fastpath::text_at(rest.bytes())?;
        Some((String::from_utf8_lossy(text).into_owned(), len))
    }
}

impl Field for Raw {
    const OPAQUE: bool = true;

    fn put(&self, out: &mut Builder) {
        out.share(&self.0);
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        Ok(Raw(object.shared()))
    }
}

impl Field for Payload {
    const OPAQUE: bool = true;

    fn put(&self, out: &mut Builder) {
        self.0.iter().for_each(|segment| out.share(segment));
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        Ok(Payload(vec![object.shared()]))
    }
}

impl Field for Chunk {
    fn put(&self, out: &mut Builder) {
        put_vector(out, 4, self.len());
        self.0.iter().for_each(|segment| out.share(segment));
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        match value(object)? {
            Value::Vector(v) if v.ty() == Type::Byte => {
                Ok(Chunk(v.as_bytes().map(|b| vec![b.clone()]).unwrap_or_default()))
            }
            other => Err(format!("a {} where bytes are needed", other.type_name())),
        }
    }
}

/// Header of a vector of fewer than 2^32 items, which the links' frame limits guarantee.
fn put_vector(out: &mut Builder, ty: u8, len: usize) {
    let out = out.out();
    out.put_u8(ty);
    out.put_u8(0);
    out.put_u32_le(len as u32);
}

impl Field for Purview {
    fn put(&self, out: &mut Builder) {
        put_value(out, &self.to_value());
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        Purview::from_value(&value(object)?).map_err(|f| f.ai)
    }
}

impl Field for LabelSet {
    fn put(&self, out: &mut Builder) {
        fastpath::put_labels(self, out.out());
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        if let Some(labels) = fastpath::labels(object.bytes()) {
            return Ok(labels);
        }
        LabelSet::from_value(&value(object)?).map_err(|f| f.ai)
    }
    fn quick(rest: Object<'_>) -> Option<(Self, usize)> {
        fastpath::labels_at(rest.bytes())
    }
}

impl Field for TimeRange {
    fn put(&self, out: &mut Builder) {
        put_vector(out, 12, 2);
        out.out().put_i64_le(self.start());
        out.out().put_i64_le(self.end());
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        let bounds = fastpath::two_timestamps(object.bytes()).or_else(|| {
            let bounds = value(object).ok()?.as_vector()?.as_buf::<i64>().filter(|b| b.len() == 2)?;
            Some([bounds.get(0), bounds.get(1)])
        });
        let [start, end] = bounds.ok_or_else(|| "not a pair of timestamps".to_string())?;
        TimeRange::new(start, end).ok_or_else(|| "range runs backwards".to_string())
    }
    fn quick(rest: Object<'_>) -> Option<(Self, usize)> {
        const LEN: usize = 6 + 16;
        let [start, end] = fastpath::two_timestamps(rest.bytes().get(..LEN)?)?;
        Some((TimeRange::new(start, end)?, LEN))
    }
}

impl Field for Vec<Api> {
    fn put(&self, out: &mut Builder) {
        put_value(out, &Value::list(self.iter().map(Api::to_value).collect::<Vec<_>>()));
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        let list = value(object)?;
        (0..list.count())
            .map(|i| Api::from_value(&list.index(i)).ok_or_else(|| format!("entry {i} has no name")))
            .collect()
    }
}

impl Field for Vec<Corr> {
    fn put(&self, out: &mut Builder) {
        put_vector(out, 2, self.len());
        self.iter().for_each(|corr| out.out().put_slice(&corr.0));
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        let list = value(object)?;
        let guids = list.as_vector().filter(|v| v.ty() == Type::Guid).and_then(|v| v.as_bytes());
        let guids = guids.ok_or_else(|| format!("a {} where guids are needed", list.type_name()))?;
        Ok(guids.chunks_exact(16).filter_map(|g| g.try_into().ok()).map(Corr).collect())
    }
}

impl Field for Vec<PortionId> {
    fn put(&self, out: &mut Builder) {
        put_vector(out, 6, self.len());
        self.iter().for_each(|id| out.out().put_u32_le(id.0));
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        let ids = Vec::<i32>::get(object)?;
        Ok(ids.into_iter().map(|id| PortionId(id.cast_unsigned())).collect())
    }
}

impl Field for Vec<Running> {
    fn put(&self, out: &mut Builder) {
        let items = self.iter().map(|r| {
            Value::list([
                Value::Atom(Atom::Guid(r.corr.0)),
                r.attempt.into(),
                Value::Atom(Atom::Int(r.portion.0 as i32)),
            ])
        });
        put_value(out, &Value::list(items.collect::<Vec<_>>()));
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        let list = value(object)?;
        (0..list.count())
            .map(|i| {
                let item = list.index(i);
                match (item.index(0), item.index(1).as_i64(), item.index(2).as_i64()) {
                    (Value::Atom(Atom::Guid(g)), Some(attempt), Some(portion)) => Ok(Running {
                        corr: Corr(g),
                        attempt: attempt as i32,
                        portion: PortionId(portion as u32),
                    }),
                    _ => Err(format!("entry {i} is not (corr; attempt; portion)")),
                }
            })
            .collect()
    }
}

impl Field for Vec<PlannedPortion> {
    fn put(&self, out: &mut Builder) {
        fastpath::put_portions(self, out.out());
    }
    fn get(object: Object<'_>) -> Result<Self, String> {
        if let Some(one) = fastpath::one_portion(object.bytes()) {
            return Ok(vec![one]);
        }
        let table = value(object)?;
        let rows = table.as_table().ok_or("portions must be a table")?;
        let column = |name: &str| rows.column(name).ok_or_else(|| format!("portions lack {name}"));
        let (id, labels, name) = (column("id")?, column("labels")?, column("table")?);
        let (start, end) = (column("startTS")?, column("endTS")?);
        let portion = |i: usize| {
            Some(PlannedPortion {
                id: PortionId(u32::try_from(id.index(i).as_i64()?).ok()?),
                labels: LabelSet::from_value(&labels.index(i)).ok()?,
                table: name.index(i).as_sym()?,
                range: TimeRange::new(start.index(i).as_i64()?, end.index(i).as_i64()?)?,
            })
        };
        (0..rows.len()).map(|i| portion(i).ok_or_else(|| format!("portion {i} is malformed"))).collect()
    }
}
