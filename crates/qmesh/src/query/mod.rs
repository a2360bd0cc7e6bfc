//! `qmesh query`: asks a running gateway and prints the answer.
//!
//! Results go to stdout, everything else (progress, warnings, errors) to stderr. Exit code 1 where the
//! gateway answered with an error, 2 where the flags make no request.

pub(crate) mod console;
#[cfg(test)]
mod differential;
mod filter;
mod flags;
mod progress;
#[cfg(test)]
mod round_trip;

use std::{io::IsTerminal, io::Write, path::PathBuf};

use clap::{Args, ValueEnum};
use kvalue::{Dict, Sym, Type, Value};
use qipc::net::{Client, ConnectError, ConnectOptions, Credentials};

use crate::Failure;

/// Flags of `query`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  qmesh query --table trade --start 2015.01.07 --end 2015.01.09 --group-by sym --agg 'avg(price),last(price)'
  qmesh query --table trade --filter 'sym in AAPL,IBM' --filter 'price > 100' --limit 10
  qmesh query --table trade --format parquet --out trades.parquet
  qmesh query .kxi.getMeta
  qmesh query .custom.api '{\"table\": \"trade\", \"columns\": [\"sym\"]}'")]
pub struct QueryArgs {
    /// API to call; default .kxi.getData
    pub api: Option<String>,
    /// Its arguments as JSON; flags add to them
    pub args: Option<String>,
    /// QIPC address of the gateway
    #[arg(long, default_value = "127.0.0.1:5040", env = "QMESH_GATEWAY", value_name = "HOST:PORT")]
    pub gateway: String,
    /// User name
    #[arg(long, default_value = "", env = "QMESH_USER")]
    pub user: String,
    /// Password
    #[arg(long, default_value = "", env = "QMESH_PASSWORD", hide_env_values = true)]
    pub password: String,
    /// Table to read
    #[arg(long)]
    pub table: Option<String>,
    /// Inclusive start: 2015.01.07 or 2015-01-07T09:30:00
    #[arg(long)]
    pub start: Option<String>,
    /// Exclusive end
    #[arg(long)]
    pub end: Option<String>,
    /// Label the data must have; repeat for several
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
    /// Condition on rows, `price > 100`; repeat for several
    #[arg(long = "filter", value_name = "COLUMN OP VALUE")]
    pub filters: Vec<String>,
    /// Grouping columns, with commas
    #[arg(long)]
    pub group_by: Option<String>,
    /// Columns and aggregations: `price`, `avg(price)`, `vwap=wavg(size,price)`, with commas
    #[arg(long)]
    pub agg: Option<String>,
    /// Columns to sort by, with commas
    #[arg(long)]
    pub sort: Option<String>,
    /// First n rows; the last n if negative
    #[arg(long, allow_negative_numbers = true)]
    pub limit: Option<i64>,
    /// `zero` or `forward`
    #[arg(long)]
    pub fill: Option<String>,
    /// Time zone of --start and --end
    #[arg(long)]
    pub input_tz: Option<String>,
    /// Time zone of the result
    #[arg(long)]
    pub output_tz: Option<String>,
    /// Milliseconds to wait for the answer
    #[arg(long)]
    pub timeout: Option<i64>,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = Format::Console)]
    pub format: Format,
    /// Times and infinities in CSV: `iso` as other tools read them, `q` as q's `0:` does
    #[arg(long, value_enum, default_value_t = CsvStyle::Iso, value_name = "STYLE")]
    pub csv_style: CsvStyle,
    /// Let Arrow and Parquet write a null for what they cannot hold, instead of an error
    #[arg(long)]
    pub lossy: bool,
    /// File to write the result to instead of stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the answer's header to stderr
    #[arg(long)]
    pub header: bool,
}

/// Forms of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// as q's console shows it; all rows unless stdout is a terminal
    Console,
    /// JSON as the gateway's REST interface gives it
    Json,
    /// one JSON object a row and line
    Ndjson,
    /// comma-separated values
    Csv,
    /// Arrow IPC stream
    Arrow,
    /// Parquet file
    Parquet,
}

/// How CSV shows times, truths and infinities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CsvStyle {
    /// `2024-01-02T09:30:00`, `true`, `inf`
    Iso,
    /// `2024.01.02D09:30:00`, `1`, `0w`
    Q,
}

/// Asks and prints.
pub fn run(args: QueryArgs) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::work)?;
    let (header, payload) = runtime.block_on(ask(&args))?;
    if args.header {
        let _ = std::io::stderr().write_all(console::text(&header, console::Size::ALL).as_bytes());
    }
    refuse_failure(&header)?;
    let mut out: Box<dyn Write> = match &args.out {
        Some(path) => Box::new(
            std::fs::File::create(path)
                .map_err(|e| Failure::Usage(format!("--out {}: {e}", path.display())))?,
        ),
        None => Box::new(std::io::stdout().lock()),
    };
    write(&payload, &args, args.out.is_none() && std::io::stdout().is_terminal(), &mut out)
}

/// The header and payload of one call.
async fn ask(args: &QueryArgs) -> Result<(Value, Value), Failure> {
    let request = request(args)?;
    let progress = progress::Line::start();
    let credentials = Credentials::new(args.user.clone(), args.password.clone());
    let client =
        Client::connect(&args.gateway, &credentials, &ConnectOptions::default()).await.map_err(|e| {
            Failure::Work(match e {
                ConnectError::Protocol { .. } => format!(
                    "{e}: --gateway takes the QIPC port (5040 by default), not that of HTTP (8080 by default)"
                ),
                e => format!(
                    "no gateway at {}: {e}; start one with `qmesh up` or name it with --gateway",
                    args.gateway
                ),
            })
        })?;
    let answer = client.sync(&request).await.map_err(Failure::work)?;
    progress.finish();
    match &answer {
        Value::List(l) if l.len() == 2 => Ok((l.items()[0].clone(), l.items()[1].clone())),
        other => Err(Failure::Work(format!(
            "the gateway answered with a {} instead of (header; payload)",
            other.type_name()
        ))),
    }
}

/// `(api; args; callback; opts)`
fn request(args: &QueryArgs) -> Result<Value, Failure> {
    let mut pairs: Vec<(Sym, Value)> = match &args.args {
        Some(json) => json_args(json, args.api.as_deref())?,
        None => Vec::new(),
    };
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            pairs.push((name.into(), value));
        }
    };
    let sym = |text: &Option<String>| text.as_ref().map(Value::sym);
    set("table", sym(&args.table));
    let is_zoned = args.input_tz.is_some() || args.args.is_some();
    set("startTS", instant("--start", &args.start, is_zoned)?);
    set("endTS", instant("--end", &args.end, is_zoned)?);
    if !args.labels.is_empty() {
        set("labels", Some(flags::labels(&args.labels).map_err(Failure::usage)?));
    }
    let filters: Vec<Value> =
        args.filters.iter().map(|f| filter::filter(f)).collect::<Result<_, _>>().map_err(Failure::usage)?;
    let cast = !filters.is_empty();
    set("filter", cast.then(|| Value::list(filters)));
    set("groupBy", names("--group-by", args.group_by.as_deref())?);
    set("agg", args.agg.as_deref().map(flags::agg).transpose().map_err(Failure::usage)?);
    set("sortCols", names("--sort", args.sort.as_deref())?);
    set("limit", args.limit.map(Value::from));
    set("fill", sym(&args.fill));
    set("inputTZ", sym(&args.input_tz));
    set("outputTZ", sym(&args.output_tz));
    let mut opts: Vec<(&str, Value)> = Vec::new();
    if cast || args.args.is_some() {
        opts.push(("cast", true.into()));
    }
    if let Some(timeout) = args.timeout {
        opts.push(("timeout", timeout.into()));
    }
    let api = match &args.api {
        // Names of APIs have a namespace; those of tables have none.
        Some(table) if !table.contains('.') => {
            return Err(Failure::Usage(format!(
                "`{table}` is no API: for a table of that name use `qmesh query --table {table}`; APIs are named as {}",
                sg::api::GET_DATA
            )));
        }
        Some(api) => api.as_str(),
        None if args.table.is_some() => sg::api::GET_DATA,
        None => return Err(Failure::Usage("name a table with --table, or an API to call".into())),
    };
    if let Some(i) = (1..pairs.len()).find(|i| pairs[..*i].iter().any(|(k, _)| *k == pairs[*i].0)) {
        let name = &pairs[i].0;
        return Err(Failure::Usage(format!(
            "{name} is given by a flag and among the arguments: give it once"
        )));
    }
    let args = Dict::of(pairs.iter().map(|(k, v)| (k.as_bytes(), v.clone())));
    Ok(Value::list([Value::sym(api), args.into(), Value::sym(""), Dict::of(opts).into()]))
}

fn names(flag: &'static str, text: Option<&str>) -> Result<Option<Value>, Failure> {
    text.map(|t| flags::names(flag, t)).transpose().map_err(Failure::usage)
}

/// A bound of the range. Where there may be an input zone, an offset of the text's own goes with it.
fn instant(flag: &str, text: &Option<String>, is_zoned: bool) -> Result<Option<Value>, Failure> {
    let Some(text) = text else { return Ok(None) };
    match kvalue::time::parse(Type::Timestamp, text) {
        Some(_) if is_zoned && kvalue::time::has_offset(text) => Ok(Some(Value::str(text))),
        Some(atom) => Ok(Some(atom.into())),
        None if sg::instant::is_beyond(text) => {
            Err(Failure::Usage(format!("{flag} {}", sg::instant::Unreadable::Beyond(text.clone()))))
        }
        None => Err(Failure::Usage(format!("{flag} `{text}`: expected 2015.01.07 or 2015-01-07T09:30:00"))),
    }
}

fn json_args(json: &str, api: Option<&str>) -> Result<Vec<(Sym, Value)>, Failure> {
    let builtin = sg::api::builtin();
    let api = api.and_then(|name| builtin.iter().find(|a| a.name == name));
    let args = gateway::tool::args_from_json(json, api)
        .map_err(|f| Failure::Usage(format!("arguments `{json}`: {}", f.ai)))?;
    Ok(args.as_dict().map(|d| d.pairs().collect()).unwrap_or_default())
}

/// An error answer as this command's failure.
fn refuse_failure(header: &Value) -> Result<(), Failure> {
    let Some(d) = header.as_dict() else {
        return Err(Failure::Work("the gateway's answer has no header".into()));
    };
    let code = |key| d.get(key).and_then(|v| v.as_i64()).unwrap_or_default();
    if code("rc") == 0 {
        return Ok(());
    }
    let ai = d.get("ai").and_then(|v| v.as_text()).unwrap_or_default();
    Err(Failure::Work(format!("rc {}, ac {}: {}", code("rc"), code("ac"), String::from_utf8_lossy(&ai))))
}

fn write(payload: &Value, args: &QueryArgs, terminal: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let text = |s: String, out: &mut dyn Write| quiet_pipe(out.write_all(s.as_bytes()));
    let loss = if args.lossy { export::Loss::Allowed } else { export::Loss::Refused };
    match args.format {
        Format::Console => {
            let size = if terminal { progress::terminal() } else { console::Size::ALL };
            text(console::text(payload, size), out)
        }
        Format::Json => {
            quiet_pipe(gateway::tool::write_json(payload, out).and_then(|()| out.write_all(b"\n")))
        }
        Format::Ndjson => quiet_pipe(gateway::tool::write_ndjson(payload, out)),
        Format::Csv => {
            let style = match args.csv_style {
                CsvStyle::Iso => export::csv::Style::Iso,
                CsvStyle::Q => export::csv::Style::Q,
            };
            quiet_pipe(export::csv::write(payload, style, out))
        }
        Format::Arrow => exported(export::arrow::write_ipc(payload, loss, out)),
        Format::Parquet => exported(export::parquet::write(payload, loss, out)),
    }
}

/// An export that another flag would mend ends with 2.
fn exported(result: Result<(), export::ExportError>) -> Result<(), Failure> {
    match result {
        Err(export::ExportError::Io(e)) => quiet_pipe(Err(e)),
        Err(e) if e.is_of_the_request() => Err(Failure::Usage(format!("{e} (--lossy allows it)"))),
        other => other.map_err(Failure::work),
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn quiet_pipe(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Failure::work),
    }
}
