//! `-8!`, `-9!`, `-18!`: values as the bytes of a message, and back.

use bytes::Bytes;
use kvalue::Type;
use qipc::{Body, Limits, Message, MessageType};

use crate::{
    QError, R,
    convert::{revive, to_kvalue},
    ctx::{Ctx, Def},
    value::{Data, Value},
};

/// The rows.
pub static ROWS: &[Def] =
    &[Def::monad("-8!", serialize), Def::monad("-9!", deserialize), Def::monad("-18!", compressed)];

/// Bytes as a byte vector, without a copy.
fn bytes_value(bytes: Bytes) -> Value {
    let data = crate::value::Buf::map(bytes.clone()).unwrap_or_else(|| bytes.to_vec().into());
    Value::vector(Type::Byte, Data::U8(data))
}

fn message(ctx: &mut dyn Ctx, x: &Value) -> R<Bytes> {
    let value = to_kvalue(x)?;
    ctx.reserve(qipc::encoded_len(&value))?;
    qipc::encode_message(MessageType::Async, &value).map_err(|_| QError::limit())
}

/// `-8!x`: the message of a value.
pub fn serialize(ctx: &mut dyn Ctx, x: Value) -> R {
    message(ctx, &x).map(bytes_value)
}

/// `-18!x`: as `-8!`, compressed where that halves it.
pub fn compressed(ctx: &mut dyn Ctx, x: Value) -> R {
    let plain = message(ctx, &x)?;
    Ok(bytes_value(qipc::compress(&plain).unwrap_or(plain)))
}

/// `-9!x`: the value of a message, compressed or not, of either byte order. `'type` for what is no byte vector,
/// `'badmsg` for bytes that are no message; the message of an error signals it.
pub fn deserialize(ctx: &mut dyn Ctx, x: Value) -> R {
    let Value::Vector(v) = &x else { return Err(QError::type_()) };
    let Data::U8(bytes) = &v.data else { return Err(QError::type_()) };
    let bytes = bytes.mapped().cloned().unwrap_or_else(|| Bytes::copy_from_slice(bytes));
    let limits = Limits::internal();
    let bad = |_| QError::new("badmsg");
    let message = Message::parse(bytes, &limits).map_err(bad)?;
    match message.body {
        Body::Error(text) => Err(QError::new(String::from_utf8_lossy(&text).into_owned())),
        Body::Object(object) => {
            let value = qipc::decode(object.0, &limits).map_err(bad)?;
            revive(ctx, &value)
        }
    }
}
