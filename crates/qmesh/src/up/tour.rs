//! What `qmesh up` prints when it is ready: addresses, and one query to paste for curl, q and Python, with the
//! answer that the running mesh really gave.

use std::{io::Write, net::SocketAddr, time::Duration};

use kvalue::{Dict, Table, Type, Value};
use qipc::net::{Client, ConnectOptions, Credentials};

use super::GatewayAddrs;
use crate::{Failure, query::console};

/// Data processes that the mesh's metadata shows.
pub(super) async fn registered(gateway: SocketAddr) -> Result<usize, Failure> {
    let (_, meta) = call(gateway, sg::api::GET_META, Value::empty_dict()).await?;
    Ok(meta.as_dict().and_then(|d| d.get("dap")).map_or(0, |t| t.count()))
}

async fn call(gateway: SocketAddr, api: &str, args: Value) -> Result<(Value, Value), Failure> {
    let options = ConnectOptions { connect_time: Duration::from_secs(2), ..ConnectOptions::default() };
    let client = Client::connect(&gateway.to_string(), &Credentials::new("tour", ""), &options)
        .await
        .map_err(Failure::work)?;
    let answer =
        client.call(api, vec![args, Value::sym(""), Value::empty_dict()]).await.map_err(Failure::work)?;
    Ok((answer.index(0), answer.index(1)))
}

/// A query that suits the data that is there.
struct Example {
    table: String,
    start: String,
    end: String,
    group: Option<String>,
    /// name, function, column
    aggs: Vec<(String, &'static str, String)>,
}

impl Example {
    fn of(schema: &Table, dap: &Table) -> Option<Example> {
        let names = schema.column("table")?.as_names()?;
        let pick = names.iter().position(|n| n == "trade").unwrap_or(0);
        let columns = schema.column("columns")?.index(pick);
        let columns = columns.as_table()?;
        let column_names = columns.column("column")?.as_names()?;
        let types: Vec<i64> =
            (0..columns.len()).filter_map(|i| columns.column("typ")?.index(i).as_i64()).collect();
        let find = |wanted: &[Type]| {
            types
                .iter()
                .position(|t| wanted.iter().any(|w| i64::from(w.number()) == *t))
                .map(|i| column_names[i].text().into_owned())
        };
        let number = find(&[Type::Float, Type::Real])
            .or_else(|| find(&[Type::Long, Type::Int, Type::Short]))
            .or_else(|| column_names.first().map(|n| n.text().into_owned()))?;
        let aggs = [("rows", "count"), ("high", "max"), ("mean", "avg")];
        let bound = |column: &str| {
            let all = (0..dap.len()).filter_map(|i| dap.column(column)?.index(i).as_i64());
            all.filter(|&t| !kvalue::time::is_special(Type::Timestamp, t)).collect::<Vec<_>>()
        };
        let text =
            |t: i64| kvalue::time::text(&kvalue::Atom::Timestamp(t)).chars().take(10).collect::<String>();
        let start = bound("startTS").into_iter().min().map_or("2000.01.01".into(), text);
        let tomorrow = kvalue::time::now() / kvalue::time::DAY * kvalue::time::DAY + kvalue::time::DAY;
        let open_ended = (0..dap.len()).any(|i| {
            dap.column("endTS")
                .and_then(|c| c.index(i).as_i64())
                .is_some_and(|t| kvalue::time::is_special(Type::Timestamp, t))
        });
        let end = match bound("endTS").into_iter().max() {
            Some(t) if !open_ended => text(t),
            _ => text(tomorrow),
        };
        Some(Example {
            table: names.get(pick)?.text().into_owned(),
            start,
            end,
            group: find(&[Type::Symbol]),
            aggs: aggs.into_iter().map(|(n, f)| (n.to_string(), f, number.clone())).collect(),
        })
    }

    fn args(&self) -> Value {
        let instant = |t: &str| kvalue::time::parse(Type::Timestamp, t).map_or(Value::Null, Value::Atom);
        let aggs = self.aggs.iter().map(|(n, f, c)| Value::syms([n.as_str(), f, c.as_str()]));
        let mut pairs = vec![
            ("table", Value::sym(&self.table)),
            ("startTS", instant(&self.start)),
            ("endTS", instant(&self.end)),
            ("agg", Value::list(aggs.collect::<Vec<_>>())),
        ];
        if let Some(group) = &self.group {
            pairs.push(("groupBy", Value::syms([group])));
        }
        Dict::of(pairs).into()
    }

    fn json(&self) -> String {
        let mut object = serde_json::json!({"table": self.table, "startTS": self.start, "endTS": self.end});
        if let Some(group) = &self.group {
            object["groupBy"] = serde_json::json!([group]);
        }
        object["agg"] = self.aggs.iter().map(|(n, f, c)| serde_json::json!([n, f, c])).collect();
        object.to_string()
    }

    fn q(&self) -> String {
        let aggs: Vec<String> = self.aggs.iter().map(|(n, f, c)| format!("`{n}`{f}`{c}")).collect();
        let (keys, group) = match &self.group {
            Some(group) => ("`table`startTS`endTS`groupBy`agg", format!("enlist`{group};")),
            None => ("`table`startTS`endTS`agg", String::new()),
        };
        format!("{keys}!(`{};{}D0;{}D0;{group}({}))", self.table, self.start, self.end, aggs.join(";"))
    }
}

/// Prints the tour. A reader that is gone (`| head`) is no reason to end the mesh.
pub(super) async fn print(gateway: &GatewayAddrs, daps: usize, took: Duration) {
    let text = text(gateway, daps, took).await;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

async fn text(gateway: &GatewayAddrs, daps: usize, took: Duration) -> String {
    let (qipc, http) = (gateway.qipc, gateway.http);
    let mut lines = vec![
        format!("qmesh is ready after {:.1} s: {daps} data processes", took.as_secs_f64()),
        format!("  QIPC  {qipc}"),
        format!("  HTTP  http://{http}"),
    ];
    match example(qipc).await {
        Ok(Some((example, answer))) => lines.extend([
            String::new(),
            format!(
                "curl  curl -s http://{http}/data -H 'Content-Type: application/json' -d '{}'",
                example.json().replace('\'', "'\\''")
            ),
            format!("q     last (hopen`:{qipc})(`.kxi.getData;{};`;(0#`)!())", example.q()),
            format!(
                "py    import pykx as kx, json; q=kx.SyncQConnection('{}', {}, no_ctx=True)",
                qipc.ip(),
                qipc.port()
            ),
            format!(
                "      q(kx.SymbolAtom('.kxi.getData'), {}, kx.SymbolAtom(''), {{'cast': True}})",
                example.json()
            ),
            String::new(),
            console::text(&answer, console::Size { lines: 15, width: 100 }),
        ]),
        Ok(None) => lines.extend([String::new(), "no table is served yet".into()]),
        Err(failure) => lines.extend([String::new(), format!("the example query failed: {failure}")]),
    }
    lines.push("Ctrl-C ends it.".into());
    lines.join("\n") + "\n"
}

async fn example(gateway: SocketAddr) -> Result<Option<(Example, Value)>, Failure> {
    let (_, meta) = call(gateway, sg::api::GET_META, Value::empty_dict()).await?;
    let tables = meta.as_dict().and_then(|d| Some((d.get("schema")?, d.get("dap")?)));
    let Some((Value::Table(schema), Value::Table(dap))) = tables else { return Ok(None) };
    let Some(example) = Example::of(&schema, &dap) else { return Ok(None) };
    let (header, answer) = call(gateway, sg::api::GET_DATA, example.args()).await?;
    match header.as_dict().and_then(|h| h.get("rc")?.as_i64()) {
        Some(0) => Ok(Some((example, answer))),
        _ => Err(Failure::Work(console::text(&header, console::Size::ALL))),
    }
}
