//! Random requests of rows or of aggregates, in each form and as SQL.

use kvalue::{Atom, Dict, Type, Value, Vector, time::DAY};
use serde_json::json;

use super::{Random, condition::Condition, rows::COLUMNS, rows::FIRST_DAY};

/// Functions that DuckDB has too: q's name, columns, SQL over them as `$a` and `$b`.
const FUNCTIONS: [(&str, &[&str], &str); 25] = [
    ("count", &["w"], "count(*)"),
    ("sum", &["w"], "sum($a)"),
    ("sum", &["y"], "sum($a)"),
    ("sum", &["k"], "sum($a)"),
    ("avg", &["y"], "avg($a)"),
    ("avg", &["k"], "avg($a)"),
    ("min", &["w"], "min($a)"),
    ("max", &["w"], "max($a)"),
    ("min", &["y"], "min($a)"),
    ("max", &["time"], "max($a)"),
    ("min", &["time"], "min($a)"),
    ("all", &["b"], "bool_and($a)"),
    ("any", &["b"], "bool_or($a)"),
    ("var", &["y"], "var_pop($a)"),
    ("dev", &["k"], "stddev_pop($a)"),
    ("svar", &["y"], "var_samp($a)"),
    ("sdev", &["y"], "stddev_samp($a)"),
    ("cov", &["y", "k"], "covar_pop($a, $b)"),
    ("scov", &["y", "k"], "covar_samp($a, $b)"),
    ("wsum", &["k", "y"], "sum($a * $b)"),
    ("wavg", &["k", "y"], "sum($a * $b) / nullif(sum($a), 0)"),
    ("first", &["y"], "arg_min($a, id)"),
    ("last", &["y"], "arg_max($a, id)"),
    ("first", &["time"], "arg_min($a, id)"),
    ("last", &["sym"], "arg_max($a, id)"),
];

/// A bound of the range.
#[derive(Debug, Clone)]
struct Bound {
    typed: Value,
    text: String,
    utc: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Request {
    start: Option<Bound>,
    end: Option<Bound>,
    /// hours that local time is ahead
    zone: Option<i64>,
    filter: Vec<Condition>,
    group: Vec<&'static str>,
    /// none: rows
    functions: Vec<usize>,
    columns: Vec<&'static str>,
    sort: Vec<&'static str>,
    limit: Option<Vec<i64>>,
}

fn bound(random: &mut Random, zone: Option<i64>) -> Bound {
    let hour = 3_600_000_000_000;
    let ahead = zone.unwrap_or(0) * hour;
    if random.one_in(4) {
        let day = FIRST_DAY + random.between(-1, 2);
        let (text, atom) = match random.below(3) {
            0 => (kvalue::time::text(&Atom::Date(day as i32)), Atom::Date(day as i32)),
            1 => (kvalue::time::text(&Atom::Date(day as i32)).replace('.', ""), Atom::Timestamp(day * DAY)),
            _ => ("2024-01".into(), Atom::Month(288)),
        };
        let local = match atom {
            Atom::Month(_) => 8_766 * DAY,
            _ => day * DAY,
        };
        return Bound { typed: Value::Atom(atom), text, utc: local - ahead };
    }
    let local = FIRST_DAY * DAY + random.between(-3, 50) * hour + random.between(0, 1) * 1_800_000_000_000;
    let q = kvalue::time::text(&Atom::Timestamp(local));
    let iso = q.replacen('.', "-", 2).replacen('D', "T", 1);
    match random.below(4) {
        0 => Bound { typed: Value::Atom(Atom::Timestamp(local)), text: q, utc: local - ahead },
        1 => {
            let basic = iso.split('.').next().unwrap_or_default().replace(['-', ':'], "");
            Bound { typed: Value::Atom(Atom::Timestamp(local)), text: basic, utc: local - ahead }
        }
        2 => Bound { typed: Value::Atom(Atom::Timestamp(local)), text: iso, utc: local - ahead },
        // An offset of its own counts, whatever the zone.
        _ => {
            let text = format!("{iso}+05:30");
            Bound { typed: Value::str(&text), text, utc: local - 19_800_000_000_000 }
        }
    }
}

impl Request {
    pub(super) fn random(random: &mut Random) -> Request {
        let zone = random.one_in(4).then(|| random.between(-11, 11)).filter(|z| *z != 0);
        let (mut start, mut end) =
            (random.one_in(2).then(|| bound(random, zone)), random.one_in(2).then(|| bound(random, zone)));
        if let (Some(a), Some(b)) = (&start, &end)
            && a.utc > b.utc
        {
            std::mem::swap(&mut start, &mut end);
        }
        let filter = (0..random.below(3)).map(|_| Condition::random(random, 2)).collect();
        let is_rows = random.one_in(2);
        let group = match is_rows {
            true => vec![],
            false => random
                .pick(&[vec![], vec!["sym"], vec!["b"], vec!["sym", "b"], vec!["d"], vec!["h", "c"]])
                .clone(),
        };
        let functions = match is_rows {
            true => vec![],
            false => (0..random.between(1, 4)).map(|_| random.below(FUNCTIONS.len())).collect(),
        };
        let mut columns = vec!["id"];
        for _ in 0..random.below(5) {
            let name = COLUMNS[random.below(COLUMNS.len())].0;
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        let sort = match (is_rows, random.one_in(2)) {
            (true, true) => vec![*random.pick(&columns)],
            (false, true) => group.clone(),
            _ => vec![],
        };
        // Groups come in no order that SQL has.
        let limited = random.one_in(2) && (is_rows || !sort.is_empty());
        let limit = limited.then(|| match random.below(3) {
            0 => vec![random.between(-30, -1)],
            1 => vec![random.between(0, 20), random.between(0, 30)],
            _ => vec![random.between(0, 40)],
        });
        // Strings have no order that sortCols takes.
        let sort = if sort.contains(&"s") || sort.contains(&"g") { vec![] } else { sort };
        Request { start, end, zone, filter, group, functions, columns, sort, limit }
    }

    /// True where SQL's rows come in the order of the answer's.
    pub(super) fn is_ordered(&self) -> bool {
        self.functions.is_empty() || !self.sort.is_empty()
    }

    fn zone_name(&self) -> Option<String> {
        // The names of the tz database count the other way round.
        self.zone.map(|z| format!("Etc/GMT{}{}", if z > 0 { "-" } else { "+" }, z.abs()))
    }

    fn entries(&self) -> Vec<Vec<String>> {
        let entry = |(n, f): (usize, &usize)| {
            let (name, columns, _) = FUNCTIONS[*f];
            let columns = columns.iter().map(|c| c.to_string());
            [format!("a{n}"), name.to_string()].into_iter().chain(columns).collect()
        };
        self.functions.iter().enumerate().map(entry).collect()
    }

    pub(super) fn typed(&self) -> Value {
        let mut args = vec![("table", Value::sym("t"))];
        for (name, bound) in [("startTS", &self.start), ("endTS", &self.end)] {
            args.extend(bound.as_ref().map(|b| (name, b.typed.clone())));
        }
        args.extend(self.zone_name().map(|z| ("inputTZ", Value::sym(z))));
        if !self.filter.is_empty() {
            args.push(("filter", Value::list(self.filter.iter().map(Condition::typed).collect::<Vec<_>>())));
        }
        if !self.group.is_empty() {
            args.push(("groupBy", Value::syms(&self.group)));
        }
        args.push(match self.functions.is_empty() {
            true => ("agg", Value::syms(&self.columns)),
            false => ("agg", Value::list(self.entries().iter().map(Value::syms).collect::<Vec<_>>())),
        });
        if !self.sort.is_empty() {
            args.push(("sortCols", Value::syms(&self.sort)));
        }
        args.extend(self.limit.as_ref().map(|l| match l[..] {
            [n] => ("limit", Value::from(n)),
            _ => ("limit", Value::Vector(Vector::new(Type::Long, l.clone()))),
        }));
        Dict::of(args).into()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let mut args = json!({"table": "t"});
        for (name, bound) in [("startTS", &self.start), ("endTS", &self.end)] {
            if let Some(bound) = bound {
                args[name] = json!(bound.text);
            }
        }
        if let Some(zone) = self.zone_name() {
            args["inputTZ"] = json!(zone);
        }
        match &self.filter[..] {
            [] => {}
            // A condition alone needs no list around it.
            [one] => args["filter"] = one.json(),
            all => args["filter"] = json!(all.iter().map(Condition::json).collect::<Vec<_>>()),
        }
        if !self.group.is_empty() {
            args["groupBy"] = json!(self.group);
        }
        args["agg"] = if self.functions.is_empty() { json!(self.columns) } else { json!(self.entries()) };
        if !self.sort.is_empty() {
            args["sortCols"] = json!(self.sort);
        }
        if let Some(limit) = &self.limit {
            args["limit"] = if limit.len() == 1 { json!(limit[0]) } else { json!(limit) };
        }
        args
    }

    /// Flags of `qmesh query`; `None` where they cannot say it.
    pub(super) fn flags(&self) -> Option<Vec<String>> {
        let mut flags = vec!["--table".to_string(), "t".into()];
        let mut add = |name: &str, value: String| flags.extend([name.to_string(), value]);
        for (name, bound) in [("--start", &self.start), ("--end", &self.end)] {
            if let Some(bound) = bound {
                add(name, bound.text.clone());
            }
        }
        if let Some(zone) = self.zone_name() {
            add("--input-tz", zone);
        }
        for condition in &self.filter {
            add("--filter", condition.flag()?);
        }
        if !self.group.is_empty() {
            add("--group-by", self.group.join(","));
        }
        let function = |e: &Vec<String>| format!("{}={}({})", e[0], e[1], e[2..].join(","));
        match self.functions.is_empty() {
            true => add("--agg", self.columns.join(",")),
            false => add("--agg", self.entries().iter().map(function).collect::<Vec<_>>().join(", ")),
        }
        if !self.sort.is_empty() {
            add("--sort", self.sort.join(","));
        }
        match self.limit.as_deref() {
            None => {}
            Some([n]) => add("--limit", n.to_string()),
            Some(_) => return None,
        }
        Some(flags)
    }

    pub(super) fn sql(&self) -> String {
        let mut conditions = vec!["true".to_string()];
        conditions.extend(self.start.iter().map(|b| format!("time >= {}", b.utc)));
        conditions.extend(self.end.iter().map(|b| format!("time < {}", b.utc)));
        conditions.extend(self.filter.iter().map(Condition::sql));
        let conditions = conditions.join(" AND ");
        let function = |f: &usize| {
            let (_, columns, sql) = FUNCTIONS[*f];
            sql.replace("$a", columns[0]).replace("$b", columns.last().unwrap_or(&""))
        };
        let (shown, inner): (Vec<String>, String) = match self.functions.is_empty() {
            true => {
                let shown = self.columns.iter().map(|c| c.to_string()).collect();
                (shown, format!("SELECT * FROM t WHERE {conditions}"))
            }
            false => {
                let made = self.functions.iter().enumerate().map(|(n, f)| format!("{} AS a{n}", function(f)));
                let all: Vec<String> = self.group.iter().map(|g| g.to_string()).chain(made).collect();
                let group = match self.group.is_empty() {
                    // Over no rows SQL has nulls where q has its own neutral values: left out.
                    true => "HAVING count(*) > 0".to_string(),
                    false => format!("GROUP BY {}", self.group.join(", ")),
                };
                let names = (0..self.functions.len()).map(|n| format!("a{n}"));
                let shown = self.group.iter().map(|g| g.to_string()).chain(names).collect();
                (shown, format!("SELECT {} FROM t WHERE {conditions} {group}", all.join(", ")))
            }
        };
        let by_id = self.functions.is_empty().then_some("id");
        let mut order: Vec<String> = self.sort.iter().map(|s| format!("{s} ASC NULLS FIRST")).collect();
        order.extend(by_id.map(String::from));
        let order = if order.is_empty() { "1".into() } else { order.join(", ") };
        let window = match self.limit.as_deref() {
            None => "true".to_string(),
            Some([n]) if *n < 0 => format!("rn > total - {}", -n),
            Some([n]) => format!("rn <= {n}"),
            Some(all) => format!("rn > {} AND rn <= {}", all[0], all[0] + all[1]),
        };
        format!(
            "SELECT {} FROM (SELECT *, row_number() OVER (ORDER BY {order}) AS rn, count(*) OVER () AS total FROM ({inner})) WHERE {window} ORDER BY rn",
            shown.join(", ")
        )
    }
}
