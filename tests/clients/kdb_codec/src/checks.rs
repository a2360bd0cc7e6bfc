//! The checks, and how this client asks.

use std::collections::BTreeMap;
use std::env;
use std::future::Future;
use std::pin::Pin;

use kdb_codec::{ConnectionMethod, K, QStream, qattribute, qmsg_type, qtype};
use serde_json::Value as Json;

use crate::sample;

/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;
/// New name, function, column or columns.
const AGG: [&[&str]; 8] = [
    &["n", "count", "price"],
    &["size", "sum", "size"],
    &["high", "max", "price"],
    &["low", "min", "price"],
    &["mean", "avg", "price"],
    &["vwap", "wavg", "size", "price"],
    &["open", "first", "price"],
    &["close", "last", "price"],
];

/// Why a check failed.
pub struct Fail(pub String);

impl From<kdb_codec::Error> for Fail {
    fn from(error: kdb_codec::Error) -> Self {
        Fail(error.to_string())
    }
}

/// A check, run on the mesh.
pub type Check = for<'a> fn(&'a Mesh) -> Pin<Box<dyn Future<Output = Result<(), Fail>> + 'a>>;

/// Where the mesh is, and what is true of its data.
pub struct Mesh {
    host: String,
    port: u16,
    trade: BTreeMap<String, Json>,
    gallery: Json,
}

impl Mesh {
    /// As the test command sets the variables.
    pub fn from_env() -> Result<Self, Fail> {
        let var = |name: &str| env::var(name).map_err(|_| Fail(format!("the variable {name} is not set")));
        let json = |name: &str| -> Result<Json, Fail> {
            let path = var(name)?;
            let text = std::fs::read_to_string(&path).map_err(|e| Fail(format!("{path}: {e}")))?;
            serde_json::from_str(&text).map_err(|e| Fail(format!("{path}: {e}")))
        };
        let days = json("QMESH_TRUTH")?["trade"].as_object().cloned().unwrap_or_default();
        Ok(Mesh {
            host: var("QMESH_HOST").unwrap_or_else(|_| "127.0.0.1".into()),
            port: var("QMESH_QIPC_PORT")?.parse().map_err(|e| Fail(format!("QMESH_QIPC_PORT: {e}")))?,
            trade: days.into_iter().collect(),
            gallery: json("QMESH_GALLERY")?,
        })
    }

    async fn connect(&self) -> Result<QStream, Fail> {
        Ok(QStream::connect(ConnectionMethod::TCP, &self.host, self.port, "user:pass").await?)
    }

    /// Ask and give back header and payload, which must say that all went well.
    async fn call(&self, api: &str, args: Vec<(&str, K)>, opts: Vec<(&str, K)>) -> Result<(K, K), Fail> {
        let (header, payload) = self.ask(api, args, opts).await?;
        let codes = codes(&header)?;
        equal(codes, (0, 0), "rc and ac")?;
        Ok((header, payload))
    }

    async fn ask(&self, api: &str, args: Vec<(&str, K)>, opts: Vec<(&str, K)>) -> Result<(K, K), Fail> {
        let mut stream = self.connect().await?;
        let answer = stream.send_sync_message(&request(api, args, "", opts)?).await?;
        stream.shutdown().await?;
        pair(answer)
    }
}

fn symbol(name: &str) -> K {
    K::new_symbol(name.into())
}

fn symbols(names: &[&str]) -> K {
    K::new_symbol_list(names.iter().map(|n| n.to_string()).collect(), qattribute::NONE)
}

fn dictionary(pairs: Vec<(&str, K)>) -> Result<K, Fail> {
    let (names, values): (Vec<&str>, Vec<K>) = pairs.into_iter().unzip();
    Ok(K::new_dictionary(symbols(&names), K::new_compound_list(values))?)
}

fn request(api: &str, args: Vec<(&str, K)>, callback: &str, opts: Vec<(&str, K)>) -> Result<K, Fail> {
    Ok(K::new_compound_list(vec![symbol(api), dictionary(args)?, symbol(callback), dictionary(opts)?]))
}

fn pair(answer: K) -> Result<(K, K), Fail> {
    match answer.as_vec::<K>().map(Vec::as_slice) {
        Ok([header, payload]) => Ok((header.clone(), payload.clone())),
        _ => Err(Fail(format!("an answer that is no pair: {answer}"))),
    }
}

fn codes(header: &K) -> Result<(i16, i16), Fail> {
    Ok((header.try_find(&symbol("rc"))?.get_short()?, header.try_find(&symbol("ac"))?.get_short()?))
}

fn rows(table: &K) -> Result<usize, Fail> {
    if table.get_type() == qtype::TABLE {
        let columns = table.get_dictionary()?.as_vec::<K>()?;
        return Ok(columns[1].as_vec::<K>()?.first().map_or(0, K::len));
    }
    Ok(table.len())
}

fn equal<T: PartialEq + std::fmt::Debug>(got: T, expected: T, what: &str) -> Result<(), Fail> {
    if got == expected { Ok(()) } else { Err(Fail(format!("{what} is {got:?}, expected {expected:?}"))) }
}

fn close(got: f64, expected: f64, what: &str) -> Result<(), Fail> {
    let near = (got - expected).abs() <= 1e-9 * got.abs().max(expected.abs());
    if near { Ok(()) } else { Err(Fail(format!("{what} is {got}, expected {expected}"))) }
}

fn number(value: &Json) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Nanoseconds from 2000 to the start of `2015.01.07`, as the bytes of a timestamp: this client's own constructor
/// takes a type of another crate.
fn timestamp(nanos: i64) -> Result<K, Fail> {
    let mut bytes = vec![0xf4];
    bytes.extend(nanos.to_le_bytes());
    Ok(K::q_ipc_decode(&bytes, 1)?)
}

/// Days from 2000.01.01 to `yyyy.mm.dd`.
fn days(date: &str) -> Option<i64> {
    let parts: Vec<i64> = date.split('.').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day] = parts.try_into().ok()?;
    // Months counted from March, so that the leap day is the last one.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some(
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 730_426,
    )
}

pub async fn ping(mesh: &Mesh) -> Result<(), Fail> {
    let (_, payload) = mesh.call(".kxi.ping", vec![], vec![]).await?;
    let reached = payload.as_vec::<u8>()?;
    equal(!reached.is_empty() && reached.iter().all(|b| *b == 1), true, "every target was reached")
}

pub async fn one_day_of_trades(mesh: &Mesh) -> Result<(), Fail> {
    for (day, truth) in &mesh.trade {
        let start = days(day).ok_or_else(|| Fail(format!("the date {day}")))? * DAY;
        let args = vec![
            ("table", symbol("trade")),
            ("startTS", timestamp(start)?),
            ("endTS", timestamp(start + DAY)?),
        ];
        let (_, payload) = mesh.call(".kxi.getData", args, vec![]).await?;
        equal(rows(&payload)? as u64, truth["rows"].as_u64().unwrap_or(0), "rows")?;
        let size: i64 = payload.get_column("size")?.as_vec::<i32>()?.iter().map(|s| i64::from(*s)).sum();
        equal(size, truth["size"].as_i64().unwrap_or(0), "sum of size")?;
        close(
            payload.get_column("price")?.as_vec::<f64>()?.iter().sum(),
            number(&truth["price"]),
            "sum of price",
        )?;
    }
    Ok(())
}

pub async fn group_by_over_all_days(mesh: &Mesh) -> Result<(), Fail> {
    let agg = K::new_compound_list(AGG.iter().map(|a| symbols(a)).collect());
    let args = vec![("table", symbol("trade")), ("groupBy", symbol("sym")), ("agg", agg)];
    let (_, payload) = mesh.call(".kxi.getData", args, vec![]).await?;
    let names = payload.get_column("sym")?.as_vec::<String>()?.clone();
    let mut expected: Vec<&String> =
        mesh.trade.values().filter_map(|d| d["bySym"].as_object()).flat_map(|o| o.keys()).collect();
    expected.sort();
    expected.dedup();
    equal(names.iter().collect(), expected, "groups")?;
    for (row, name) in names.iter().enumerate() {
        let parts: Vec<&Json> =
            mesh.trade.values().map(|d| &d["bySym"][name]).filter(|p| p.is_object()).collect();
        let total = |key: &str| parts.iter().map(|p| number(&p[key])).sum::<f64>();
        let float =
            |column: &str| -> Result<f64, Fail> { Ok(payload.get_column(column)?.as_vec::<f64>()?[row]) };
        // A count is a long; the sum of ints is an int, as in q.
        let count = payload.get_column("n")?.as_vec::<i64>()?[row] as f64;
        let size = f64::from(payload.get_column("size")?.as_vec::<i32>()?[row]);
        close(count, total("count"), &format!("n of {name}"))?;
        close(size, total("size"), &format!("size of {name}"))?;
        close(float("mean")?, total("price") / total("count"), &format!("mean of {name}"))?;
        close(float("vwap")?, total("turnover") / total("size"), &format!("vwap of {name}"))?;
        close(
            float("high")?,
            parts.iter().map(|p| number(&p["max"])).fold(f64::MIN, f64::max),
            &format!("high of {name}"),
        )?;
        close(
            float("low")?,
            parts.iter().map(|p| number(&p["min"])).fold(f64::MAX, f64::min),
            &format!("low of {name}"),
        )?;
        close(
            float("open")?,
            parts.first().map_or(f64::NAN, |p| number(&p["first"])),
            &format!("open of {name}"),
        )?;
        close(
            float("close")?,
            parts.last().map_or(f64::NAN, |p| number(&p["last"])),
            &format!("close of {name}"),
        )?;
    }
    Ok(())
}

pub async fn errors_name_what_was_wrong(mesh: &Mesh) -> Result<(), Fail> {
    let (header, payload) =
        mesh.ask(".kxi.getData", vec![("table", symbol("no_such_table"))], vec![]).await?;
    equal((codes(&header)?, payload.len()), ((56, 27), 0), "rc, ac and rows")?;
    let ai = header.try_find(&symbol("ai"))?.as_string()?.to_string();
    equal(ai.contains("no_such_table"), true, &format!("ai names the table: {ai}"))?;
    let args = vec![("table", symbol("trade")), ("startTS", symbol("yesterday"))];
    let (header, _) = mesh.ask(".kxi.getData", args, vec![]).await?;
    equal(codes(&header)?, (5, 23), "rc and ac of bad arguments")?;
    let mut stream = mesh.connect().await?;
    let refused = stream.send_sync_message(&"1+1").await;
    let is_error = refused.as_ref().map_or(true, |k| k.get_type() == qtype::ERROR);
    equal(is_error, true, "a text query is refused")?;
    Ok(stream.shutdown().await?)
}

pub async fn asynchronous_calls(mesh: &Mesh) -> Result<(), Fail> {
    const COUNT: i64 = 20;
    let mut stream = mesh.connect().await?;
    for n in 0..COUNT {
        let args = vec![("table", symbol("trade")), ("limit", K::new_long(n + 1))];
        let call = request(".kxi.getData", args, "onData", vec![("appN", K::new_long(n))])?;
        stream.send_async_message(&call).await?;
    }
    let mut seen = Vec::new();
    for _ in 0..COUNT {
        let (message_type, answer) = stream.receive_message().await?;
        equal(message_type, qmsg_type::asynchronous, "type of the message")?;
        let items = answer.as_vec::<K>()?;
        equal(items.len(), 3, "items of the answer")?;
        equal(items[0].get_symbol()?, "onData", "callback")?;
        seen.push((items[1].try_find(&symbol("appN"))?.get_long()?, rows(&items[2])? as i64));
    }
    // They come as they are ready, each exactly once.
    seen.sort_unstable();
    equal(seen, (0..COUNT).map(|n| (n, n + 1)).collect(), "appN and rows")?;
    Ok(stream.shutdown().await?)
}

pub async fn every_type_in_a_table(mesh: &Mesh) -> Result<(), Fail> {
    let args = vec![("table", symbol("gallery")), ("sortCols", symbol("time"))];
    let (_, payload) = mesh.call(".kxi.getData", args, vec![]).await?;
    let columns = mesh.gallery["columns"].as_array().ok_or_else(|| Fail("gallery: no columns".into()))?;
    for column in columns {
        let (Some(name), Some(ty), Some(values)) =
            (column["name"].as_str(), column["type"].as_str(), column["values"].as_array())
        else {
            return Err(Fail(format!("gallery: {column}")));
        };
        let mut got = payload.get_column(name)?.q_ipc_encode();
        // An attribute is a promise about the rows, no part of them.
        got[1] = 0;
        let expected = sample::column(ty, values)?;
        equal(nan_free(ty, got), nan_free(ty, expected), name)?;
    }
    Ok(())
}

/// Every NaN is q's null, whatever its bits.
fn nan_free(ty: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    let width = match ty {
        "real" => 4,
        "float" | "datetime" => 8,
        _ => return bytes,
    };
    for item in bytes[6..].chunks_exact_mut(width) {
        let nan = match item.try_into() {
            Ok(eight) => f64::from_le_bytes(eight).is_nan(),
            Err(_) => f32::from_le_bytes([item[0], item[1], item[2], item[3]]).is_nan(),
        };
        if nan {
            item.fill(0xff);
        }
    }
    bytes
}

pub async fn every_type_comes_back(mesh: &Mesh) -> Result<(), Fail> {
    let sent = sample::vectors(include_str!("../../../data/qipc-vectors.json"))?;
    equal(sent.len() > 45, true, &format!("{} values to send", sent.len()))?;
    let opts = sent.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let (header, _) = mesh.call(".kxi.ping", vec![], opts).await?;
    for (name, value) in &sent {
        let back = header.try_find(&symbol(name))?;
        equal(back.q_ipc_encode(), value.q_ipc_encode(), name)?;
    }
    Ok(())
}

pub async fn hundred_megabytes(mesh: &Mesh) -> Result<(), Fail> {
    let (_, payload) = mesh.call(".kxi.getData", vec![("table", symbol("big"))], vec![]).await?;
    let expected = mesh.gallery["big"]["rows"].as_u64().unwrap_or(0);
    equal(rows(&payload)? as u64, expected, "rows")?;
    let (whole, rest) = (expected / 1000, expected % 1000);
    for k in 0..10 {
        let sum = whole * 499_500 + rest * rest.saturating_sub(1) / 2 + k * expected;
        let got: f64 = payload.get_column(format!("f{k}"))?.as_vec::<f64>()?.iter().sum();
        close(got, sum as f64, &format!("sum of f{k}"))?;
    }
    Ok(())
}
