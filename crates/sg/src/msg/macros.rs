//! How messages are declared: a list each with its struct, name, encoding and decoding, and the enum of them all.
//!
//! Rule kept: the lists are the only places that know names and shapes.

use super::frame::{Builder, Fields, MsgError};

/// One kind of message.
pub(super) trait Message: Sized {
    /// its name on the wire
    const NAME: &'static str;
    /// names of its fields, in order
    const FIELDS: &'static [&'static str];
    /// Appends its fields.
    fn put(&self, out: &mut Builder);
    /// Reads them.
    fn take(fields: &mut Fields) -> Result<Self, MsgError>;
}

/// Declares messages: a struct each, and how it is written and read.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident = $wire:literal { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $name { $($(#[$fdoc])* pub $field: $ty,)* }

            impl $crate::msg::macros::Message for $name {
                const NAME: &'static str = $wire;
                const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

                fn put(&self, out: &mut $crate::msg::frame::Builder) {
                    $(out.field(&self.$field);)*
                }

                fn take(
                    fields: &mut $crate::msg::frame::Fields,
                ) -> Result<Self, $crate::msg::frame::MsgError> {
                    Ok($name { $($field: fields.take($wire, stringify!($field))?,)* })
                }
            }
        )*
    };
}

/// Declares the enum of all messages, in the order of the documentation.
macro_rules! any {
    ($($name:ident,)*) => {
        $(
            impl From<$name> for Msg {
                fn from(m: $name) -> Msg { Msg::$name(m) }
            }
        )*

        /// Any internal message.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)] // each variant is documented at the struct of the same name
        pub enum Msg { $($name($name),)* }

        impl Msg {
            /// Name and field names of every message, for the documentation.
            pub const SHAPES: &'static [(&'static str, &'static [&'static str])] =
                &[$((<$name as macros::Message>::NAME, <$name as macros::Message>::FIELDS)),*];

            /// The message's name on the wire.
            pub fn name(&self) -> &'static str {
                match self { $(Msg::$name(_) => <$name as macros::Message>::NAME,)* }
            }

            /// The message as the segments of one QIPC frame. Payload bytes are shared, not copied.
            pub fn to_frame(&self) -> qipc::Frame {
                self.encoded(|encoded| match encoded {
                    Encoded::Small(bytes) => bytes::Bytes::copy_from_slice(bytes).into(),
                    Encoded::Large(frame) => frame,
                })
            }

            /// Encodes the message for a writer: small messages share a reused buffer.
            pub fn encoded<R>(&self, to: impl FnOnce(Encoded<'_>) -> R) -> R {
                let mut out = frame::Builder::new(self.name());
                match self { $(Msg::$name(m) => macros::Message::put(m, &mut out),)* }
                out.finish(to)
            }

            /// Reads a message received; an error says which field is wrong.
            pub fn decode(object: &Raw) -> Result<Msg, MsgError> {
                let (name, mut fields) = frame::Fields::open(object)?;
                match &name[..] {
                    $(n if n == <$name as macros::Message>::NAME.as_bytes() => {
                        let message = <$name as macros::Message>::take(&mut fields)?;
                        fields.finish(<$name as macros::Message>::NAME)?;
                        Ok(Msg::$name(message))
                    })*
                    _ => Err(MsgError::Unknown { name: String::from_utf8_lossy(&name).into_owned() }),
                }
            }
        }
    };
}
