//! Requests of the load generators, and one connection for sending.
//!
//! Both the mesh and the chain are asked by this code over QIPC, so that the client costs both the same.

use std::net::SocketAddr;

use kvalue::{Atom, Dict, Value};
use qipc::net::{ConnectOptions, Credentials, Reader, Writer, connect};
use qipc::{Body, Frame, Limits, Message, MessageType};

use crate::error::Error;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Request {
    /// `.kxi.ping`
    Ping,
    /// `.kxi.getData`: one symbol in one minute
    Small,
    /// `.kxi.getData`: every row of the table
    Raw,
    /// `.kxi.getData`: the average price by symbol, of every row
    GroupBy,
}

const MINUTE: i64 = 60_000_000_000;
/// 2015.01.07D09:30, in nanoseconds since 2000.01.01: 26 trades of the symbol that is asked for are in that minute.
const BUSY_MINUTE: i64 = (5485 * 1440 + 570) * MINUTE;

impl Request {
    /// The message.
    pub(crate) fn frame(self) -> Result<Frame, Error> {
        let api = if self == Request::Ping { ".kxi.ping" } else { ".kxi.getData" };
        let call = [Value::sym(api), self.args(), Value::sym(""), Value::empty_dict()];
        Ok(Frame::of_value(MessageType::Sync, &Value::list(call))?)
    }

    fn args(self) -> Value {
        let instant = |at: i64| Value::Atom(Atom::Timestamp(at));
        let text = |words: &[&str]| Value::list(words.iter().map(Value::sym).collect::<Vec<_>>());
        let table = ("table", Value::sym("trade"));
        let args = match self {
            Request::Ping => return Value::empty_dict(),
            Request::Raw => vec![table],
            Request::Small => vec![
                table,
                ("startTS", instant(BUSY_MINUTE)),
                ("endTS", instant(BUSY_MINUTE + MINUTE)),
                ("filter", Value::list([text(&["=", "sym", "AAPL"])])),
            ],
            Request::GroupBy => vec![
                table,
                ("groupBy", Value::sym("sym")),
                ("agg", Value::list([text(&["mean", "avg", "price"])])),
            ],
        };
        Value::from(Dict::of(args))
    }
}

/// A connection that asks one request after the other.
pub(crate) struct Connection {
    address: SocketAddr,
    reader: Reader,
    writer: Writer,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Error> {
        let who = Credentials { user: "bench".into(), ..Credentials::default() };
        let (reader, writer) = connect(&address.to_string(), &who, &ConnectOptions::default()).await?.split();
        Ok(Connection { address, reader, writer })
    }

    /// Sends the request and waits until all of the answer is here.
    pub(crate) async fn ask(&mut self, frame: &Frame) -> Result<Message, Error> {
        self.writer.send(frame.clone()).await.map_err(Error::io("sending a request"))?;
        let address = self.address;
        let message = self.reader.next().await.map_err(|source| Error::Read { address, source })?;
        message.ok_or_else(|| self.odd("the end of the connection".into()))
    }

    /// Bytes of the answer, header included; an error where the answer is one or its return code is not 0.
    pub(crate) fn success(&self, message: &Message) -> Result<usize, Error> {
        let Body::Object(raw) = &message.body else { return Err(self.odd(format!("{:?}", message.body))) };
        let limits = Limits::internal();
        let items = qipc::list_items(&raw.0, &limits)?;
        let header = items.into_iter().next().ok_or_else(|| self.odd("an empty list".into()))?;
        let header = qipc::decode(header, &limits)?;
        let field = |name: &str| header.as_dict().and_then(|header| header.get(name));
        match field("rc").and_then(|rc| rc.as_i64()) {
            Some(0) => Ok(raw.0.len() + qipc::message::HEADER_LEN),
            rc => Err(self.odd(format!("rc {rc:?}, ai {:?}", field("ai")))),
        }
    }

    /// An error where the answer is a table without a row: what is measured is to find something.
    pub(crate) fn found_something(&self, message: &Message) -> Result<(), Error> {
        match message.decode(&Limits::internal())?.map(|answer| answer.index(1)) {
            Ok(Value::Table(table)) if table.is_empty() => Err(self.odd("a table without rows".into())),
            _ => Ok(()),
        }
    }

    fn odd(&self, got: String) -> Error {
        Error::Answer {
            address: self.address,
            got,
            expected: "(header; payload) with rc 0, and rows where it is a table",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_calls_of_four_items() {
        for request in [Request::Ping, Request::Small, Request::Raw, Request::GroupBy] {
            let message = Message::parse(request.frame().unwrap().to_bytes(), &Limits::internal()).unwrap();
            let call = message.decode(&Limits::internal()).unwrap().unwrap();
            assert_eq!(call.count(), 4, "{request:?}");
            assert!(call.index(0).as_name().unwrap().as_bytes().starts_with(b".kxi."));
        }
    }
}
