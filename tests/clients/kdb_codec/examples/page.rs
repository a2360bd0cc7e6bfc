//! The snippet of docs/clients.md, compiled and run by `cargo xtask pages`.

use kdb_codec::{ConnectionMethod, K, QStream, qattribute};

fn sym(s: &str) -> K { K::new_symbol(s.into()) }
fn syms(list: &[&str]) -> K { K::new_symbol_list(list.iter().map(|s| s.to_string()).collect(), qattribute::NONE) }

#[tokio::main]
async fn main() -> kdb_codec::Result<()> {
    let mut q = QStream::connect(ConnectionMethod::TCP, "localhost", 5040, "user:pass").await?;
    let agg = K::new_compound_list(vec![syms(&["mean", "avg", "price"]), syms(&["close", "last", "price"])]);
    let args = K::new_dictionary(
        syms(&["table", "groupBy", "agg"]),
        K::new_compound_list(vec![sym("trade"), sym("sym"), agg]),
    )?;
    let opts = K::new_dictionary(syms(&[]), K::new_compound_list(vec![]))?;
    let answer = q.send_sync_message(&K::new_compound_list(vec![sym(".kxi.getData"), args, sym(""), opts])).await?;
    println!("{answer}");
    q.shutdown().await
}
