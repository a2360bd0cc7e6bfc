//! A q process that answers each sync message with its last item, for trying clients written by others:
//! `cargo run -p qipc --example echo_server -- 127.0.0.1:5000`.
//!
//! `fail` as the first item is answered with an error, `big` with a table of a million rows.

use kvalue::{Table, Value, Vector};
use qipc::{
    Frame, Limits, MessageType,
    net::{AcceptOptions, Listener, Reader, Writer},
};

/// The answer to a request.
fn answer(request: &Value) -> Frame {
    let Value::List(items) = request else { return frame(request) };
    let name = items.items().first().and_then(Value::as_name);
    match (name, items.items().last()) {
        (Some(name), _) if &name == "fail" => Frame::of_error("type"),
        (Some(name), _) if &name == "big" => frame(&big()),
        (_, Some(last)) => frame(last),
        (_, None) => Frame::of_error("length"),
    }
}

fn frame(value: &Value) -> Frame {
    Frame::of_value(MessageType::Response, value).unwrap_or_else(|e| Frame::of_error(&e.to_string()))
}

fn big() -> Value {
    let rows = 0..1_000_000i64;
    let columns = [
        ("time", Value::from(Vector::timestamps(rows.clone().collect()))),
        ("sym", Value::syms(rows.clone().map(|i| if i % 2 == 0 { "AAPL" } else { "MSFT" }))),
        ("price", Value::from(Vector::floats(rows.map(|i| i as f64 / 8.0).collect()))),
    ];
    Table::of(columns).map_or(Value::Null, Value::from)
}

async fn serve(
    mut reader: Reader,
    mut writer: Writer,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let limits = Limits::client();
    while let Some(message) = reader.next().await? {
        let request = message.decode(&limits)?;
        println!("{:?} {request:?}", message.ty);
        if let (MessageType::Sync, Ok(request)) = (message.ty, request) {
            writer.send(answer(&request)).await?;
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = Listener::bind(&addr, AcceptOptions::for_clients(), 100).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let pending = listener.accept().await;
        tokio::spawn(async move {
            let peer = pending.peer;
            match pending.handshake(|user, password| user != "nobody" && password != b"wrong").await {
                Ok(connection) => {
                    let (reader, writer) = connection.split();
                    if let Err(error) = serve(reader, writer).await {
                        println!("{peer}: {error}");
                    }
                }
                Err(error) => println!("{peer}: {error}"),
            }
        });
    }
}
