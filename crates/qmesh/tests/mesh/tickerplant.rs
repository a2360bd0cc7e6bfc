//! A tickerplant without a log: answers a subscription as `u.q` does, then sends what it is told to.

use kvalue::{Table, Value};
use qipc::{
    MessageType,
    net::{AcceptOptions, Listener},
};
use tokio::sync::mpsc;

pub struct Tickerplant {
    pub addr: String,
    out: mpsc::UnboundedSender<Value>,
}

impl Tickerplant {
    /// Publishes one table; its subscriber is the first to connect.
    pub async fn start(name: &'static str, schema: Table) -> Tickerplant {
        let listener = Listener::bind("127.0.0.1:0", AcceptOptions::default(), 4).await.expect("a port");
        let addr = listener.local_addr().expect("an address").to_string();
        let (out, mut published) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let connection = listener.accept().await.handshake(|_, _| true).await.expect("a handshake");
            let (mut reader, mut writer) = connection.split();
            reader.next().await.expect("a subscription").expect("a subscription");
            let pairs = Value::list([Value::list([Value::sym(name), schema.into()])]);
            let no_log = Value::list([Value::from(0i64), Value::sym("")]);
            let reply = Value::list([pairs, no_log]);
            writer.send_message(MessageType::Response, &reply).await.expect("a subscriber");
            while let Some(message) = published.recv().await {
                if writer.send_message(MessageType::Async, &message).await.is_err() {
                    return;
                }
            }
        });
        Tickerplant { addr, out }
    }

    pub fn send(&self, message: Value) {
        self.out.send(message).expect("the tickerplant runs");
    }
}
