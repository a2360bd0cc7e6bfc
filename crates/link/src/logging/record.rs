//! The JSON record of a log line: that of KX's processes (`time`, `component`, `level`, `message`, `corr`), then the
//! fields of ours and the target.

use std::{fmt, sync::OnceLock};

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Writes one record a line.
pub(super) struct Record;

impl<S, N> FormatEvent<S, N> for Record
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let about = event.metadata();
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let Fields(mut fields) = fields;
        let mut record = Map::new();
        record.insert("time".into(), time(kvalue::time::now()).into());
        record.insert("component".into(), component(about.target()).into());
        record.insert("level".into(), about.level().as_str().into());
        for name in ["message", "corr"] {
            if let Some(value) = fields.shift_remove(name) {
                record.insert(name.into(), value);
            }
        }
        record.insert("target".into(), about.target().into());
        for (name, value) in fields {
            // A field must not replace one of the record's own.
            let name = if record.contains_key(&name) { format!("field.{name}") } else { name };
            record.insert(name, value);
        }
        writeln!(to, "{}", Value::Object(record))
    }
}

/// `2020-12-15T14:28:23.098432000z`, as KX writes it.
fn time(nanos: i64) -> String {
    let text = kvalue::time::text(&kvalue::Atom::Timestamp(nanos));
    match text.split_once('D') {
        Some((day, clock)) => format!("{}T{clock}z", day.replace('.', "-")),
        None => text,
    }
}

/// The component of what all processes share: links, discovery, the process itself.
static SHARED: OnceLock<&'static str> = OnceLock::new();

/// Names the process whose shared parts speak. The first name stays.
pub(super) fn speak_as(component: &'static str) {
    let _ = SHARED.set(component);
}

/// The name that KX's processes have for the part of ours that speaks.
fn component(target: &str) -> &str {
    match target.split("::").next().unwrap_or(target) {
        "gateway" => "GW",
        "coordinator" | "routing" => "RC",
        "aggregator" => "AGG",
        "data_access" | "getdata" | "hdb" => "DA",
        other => SHARED.get().copied().unwrap_or(other),
    }
}

struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().into(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{fmt::layer, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn records(say: impl FnOnce()) -> Vec<Map<String, Value>> {
        let memory = Memory::default();
        let writer = memory.clone();
        let layer = layer().event_format(Record).with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        let bytes = memory.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    #[test]
    fn a_record_begins_as_those_of_kx() {
        let said = records(|| {
            tracing::warn!(target: "data_access::eod", corr = %"c-1", rows = 7, level = "mine", "day {}", "saved");
        });
        let [record] = &said[..] else { panic!("{said:?}") };
        let names: Vec<&str> = record.keys().map(String::as_str).collect();
        assert_eq!(names, ["time", "component", "level", "message", "corr", "target", "rows", "field.level"]);
        assert_eq!((&record["component"], &record["level"]), (&"DA".into(), &"WARN".into()));
        assert_eq!(
            (&record["message"], &record["corr"], &record["rows"]),
            (&"day saved".into(), &"c-1".into(), &7.into())
        );
        assert_eq!(time(0), "2000-01-01T00:00:00.000000000z");
    }

    #[test]
    fn whatever_is_said_stays_one_line_of_json() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut texts = Vec::new();
        for _ in 0..1000 {
            let mut text = String::new();
            for _ in 0..seed % 24 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Quotes, backslashes, line ends and control characters are as frequent as letters.
                text.extend(char::from_u32((seed >> 40) as u32 % 0x250));
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            texts.push(text);
        }
        let said =
            records(|| texts.iter().for_each(|text| tracing::info!(corr = %text, why = text, "{text}")));
        assert_eq!(said.len(), texts.len());
        for (record, text) in said.iter().zip(&texts) {
            assert!(["message", "corr", "why"].iter().all(|name| record[*name] == text.as_str()), "{text:?}");
        }
    }
}
