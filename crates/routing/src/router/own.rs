//! The APIs that the coordinator answers itself: `.kxi.getMeta`, `.qmesh.explain`, `.qmesh.queries`,
//! `.qmesh.cancel`.
//!
//! Rule kept (contract table §5): a caller sees and cancels requests of its own user name. A coordinator that
//! knows no identities yet takes the name the gateway passes on.

use kvalue::{Atom, Dict, Sym, Table, Type, Value, Vector};
use qipc::{Limits, Raw};
use sg::{
    Ac, Api, Corr, Failure, Rc, TimeRange,
    api::{AGG_RAZE, GET_META},
    args::RoutingArgs,
    ids::parse_guid,
    meta::{self, Mesh},
    msg::{Answer, Payload, Request as Ask},
    opts,
};

use super::{Router, end::extra_of_own};
use crate::{
    event::{MILLI, Note, PeerId},
    request::{Place, Request},
};

/// What each request would be answered by.
const EXPLAIN: &str = ".qmesh.explain";
/// Requests in flight.
const QUERIES: &str = ".qmesh.queries";
/// Ends a request.
const CANCEL: &str = ".qmesh.cancel";

/// Metadata of the coordinator's own APIs, beyond those DAPs register.
pub(super) fn apis() -> Vec<Api> {
    let api = |name: &str, description: &str, returns| Api {
        name: name.into(),
        description: description.into(),
        params: Vec::new(),
        returns,
        agg_fn: AGG_RAZE.into(),
        safe: true,
        custom: false,
    };
    vec![
        api(EXPLAIN, "where a call (api; args; opts) would run and why", 99),
        api(QUERIES, "requests in flight of the caller's user name", 98),
        api(CANCEL, "ends a request in flight, by its corr", -1),
    ]
}

/// True for APIs that never reach a DAP.
pub(super) fn is_own(api: &Sym) -> bool {
    [GET_META, EXPLAIN, QUERIES, CANCEL].iter().any(|own| api == own)
}

impl Router {
    pub(super) fn answer_own(&mut self, gw: PeerId, m: &Ask) -> Result<(), Failure> {
        let value = match &m.api {
            api if api == GET_META => self.get_meta(m)?,
            api if api == EXPLAIN => self.explain(&arguments(&m.args)?)?,
            api if api == QUERIES => self.queries(&m.user),
            _ => self.cancel_by_name(&m.user, &arguments(&m.args)?)?,
        };
        let object = Raw::try_of(&value).map_err(|e| Failure::new(Rc::ERR, Ac::INTERNAL, e.to_string()))?;
        self.stats.succeeded += 1;
        self.note(Note::Ended {
            corr: m.corr,
            api: m.api.clone(),
            rc: Rc::OK,
            ai: String::new(),
            took: 0,
            portions: 0,
        });
        self.send(
            gw,
            Answer {
                corr: m.corr,
                attempt: m.attempt,
                rc: Rc::OK,
                ac: Ac::OK,
                ai: String::new(),
                extra: extra_of_own(),
                payload: Payload(vec![object.0]),
            },
        );
        Ok(())
    }

    fn get_meta(&self, m: &Ask) -> Result<Value, Failure> {
        let version = meta::version(option(&m.opts, "version")?.and_then(|v| v.as_i64()))?;
        let (labels, routing) = self.label_query(&m.args)?;
        let scope = &routing.scope;
        let wanted = |p: &sg::Purview| {
            labels.matches(&p.labels)
                && (scope.assembly.is_null() || p.assembly == scope.assembly)
                && (scope.tier.is_null() || p.tier == scope.tier)
                && (scope.dap.is_null() || p.name == scope.dap)
                && (routing.range == TimeRange::ALL
                    || p.tables.iter().any(|t| t.range.intersect(routing.range).is_some()))
        };
        let mut daps: Vec<_> = self.fleet.iter().map(|(_, d)| &*d.purview).filter(|p| wanted(p)).collect();
        daps.sort_by(|a, b| a.name.cmp(&b.name));
        let mut aggs: Vec<_> =
            self.aggs.iter().map(|(_, a)| (a.name.clone(), a.agg_fns.as_slice())).collect();
        aggs.sort_by(|a, b| a.0.cmp(&b.0));
        let rcs = vec![(self.settings.name.clone(), self.settings.started)];
        Ok(Mesh { rcs, daps, aggs }.build(version))
    }

    // ---- .qmesh.queries, .qmesh.cancel ------------------------------------------------------------------

    fn queries(&self, user: &Sym) -> Value {
        let mine = self.sorted(|r| &r.user == user);
        let requests: Vec<&Request> = mine.iter().filter_map(|seq| self.requests.get(seq)).collect();
        let count = |which: fn(&Place) -> bool| {
            let counts =
                requests.iter().map(|r| r.portions.iter().filter(|p| which(&p.place)).count() as i64);
            Value::from(Vector::longs(counts.collect()))
        };
        let guids: Vec<Atom> = requests.iter().map(|r| Atom::Guid(r.corr.0)).collect();
        let millis = |f: &dyn Fn(&Request) -> u64| {
            Value::from(Vector::longs(requests.iter().map(|r| (f(r) / MILLI) as i64).collect()))
        };
        let columns = [
            ("corr", Vector::from_atoms(Type::Guid, &guids).map_or(Value::Null, Value::from)),
            ("api", Value::syms(requests.iter().map(|r| r.api_name.as_bytes()))),
            ("user", Value::syms(requests.iter().map(|r| r.user.as_bytes()))),
            ("runningMs", millis(&|r| self.now.saturating_sub(r.arrived))),
            ("leftMs", millis(&|r| r.deadline.saturating_sub(self.now))),
            ("portions", count(|p| *p != Place::Replaced)),
            ("waiting", count(|p| matches!(p, Place::Waiting(_)))),
            ("running", count(|p| matches!(p, Place::Leased(_)))),
            ("collected", count(|p| *p == Place::Got)),
        ];
        Table::of(columns).map_or(Value::Null, Value::from)
    }

    fn cancel_by_name(&mut self, user: &Sym, args: &Dict) -> Result<Value, Failure> {
        let corr = match args.get("corr") {
            Some(Value::Atom(Atom::Guid(g))) => Some(g),
            Some(other) => other.as_name().and_then(|n| parse_guid(&n.text())),
            None => None,
        };
        let corr = corr.ok_or_else(|| Failure::arg("corr must be the guid of a request, or its text"))?;
        let found = self.by_corr.get(&Corr(corr)).copied();
        let Some(seq) = found.filter(|seq| self.requests.get(seq).is_some_and(|r| &r.user == user)) else {
            return Ok(false.into());
        };
        let ai = format!("cancelled by {}", if user.is_null() { "its caller".into() } else { user.text() });
        self.fail(seq, Failure::new(Rc::CANCELLED, Ac::CANCELLED, ai));
        Ok(true.into())
    }

    // ---- .qmesh.explain ---------------------------------------------------------------------------------

    fn explain(&self, args: &Dict) -> Result<Value, Failure> {
        let name = args.get("api").and_then(|v| v.as_name());
        let name = name.ok_or_else(|| Failure::arg("api must be the name of the API to explain"))?;
        let inner = args.get("args").unwrap_or_else(Value::empty_dict);
        let inner = Raw::try_of(&inner).map_err(|e| Failure::arg(e.to_string()))?;
        let api = self.apis.find(&name).ok_or_else(|| {
            Failure::new(
                Rc::NOT_SUPPORTED,
                Ac::API,
                format!("API {name} is not registered by any data process"),
            )
        })?;
        let routing = self.routing_args(api, &inner)?;
        let pieces = self.able(api, &name, self.coverage.pieces(&routing, self.settings.max_portions)?)?;
        let source_names = |ids: &[crate::coverage::SourceId]| {
            let found = ids.iter().filter_map(|id| self.coverage.source(*id));
            Value::syms(found.map(|s| s.id.as_bytes().to_vec()).collect::<Vec<_>>())
        };
        let tiers = pieces.iter().map(|p| {
            let source = p.sources.first().and_then(|s| self.coverage.source(*s));
            source.map(|s| s.tier.clone()).unwrap_or_default()
        });
        let chosen = pieces.iter().map(|p| {
            let picked = self.fleet.pick(&p.sources, self.now, |source, dap| {
                dap.apis.contains(&api) && self.holds_piece(&routing, p, source, dap)
            });
            picked.and_then(|peer| self.fleet.get(peer)).map(|d| d.name().clone()).unwrap_or_default()
        });
        let candidates = pieces.iter().map(|p| {
            let found = p.sources.iter().filter_map(|s| self.coverage.source(*s));
            let names = found.flat_map(|s| s.replicas.values().map(|r| r.name.as_bytes().to_vec()));
            Value::syms(names.collect::<Vec<_>>())
        });
        let portions = Table::of([
            ("labels", Value::list(pieces.iter().map(|p| p.labels.to_value()).collect::<Vec<_>>())),
            ("tier", Value::syms(tiers.map(|t| t.as_bytes().to_vec()).collect::<Vec<_>>())),
            ("source", Value::list(pieces.iter().map(|p| source_names(&p.sources)).collect::<Vec<_>>())),
            ("startTS", Vector::timestamps(pieces.iter().map(|p| p.range.start()).collect()).into()),
            ("endTS", Vector::timestamps(pieces.iter().map(|p| p.range.end()).collect()).into()),
            ("replica", Value::syms(chosen.map(|c| c.as_bytes().to_vec()).collect::<Vec<_>>())),
            ("candidates", Value::list(candidates.collect::<Vec<_>>())),
        ]);
        let skipped = self.skipped(&name, &routing, &pieces);
        Ok(Dict::of([
            ("api", Value::from(name.clone())),
            ("aggFn", self.apis.get(api).map(|a| a.agg_fn.clone()).unwrap_or_default().into()),
            ("safe", self.apis.is_safe(api).into()),
            ("portions", portions.map_or(Value::Null, Value::from)),
            ("skipped", skipped),
            ("warnings", Value::list(routing.warnings.iter().map(Value::str).collect::<Vec<_>>())),
        ])
        .into())
    }

    fn holds_piece(
        &self,
        routing: &RoutingArgs,
        piece: &crate::coverage::select::Piece,
        source: crate::coverage::SourceId,
        dap: &crate::fleet::Dap,
    ) -> bool {
        if !routing.scope.dap.is_null() {
            return dap.name() == &routing.scope.dap;
        }
        dap.holds(&routing.table, self.coverage.need(source, &routing.table, piece.range))
    }

    /// Each connected DAP that would get nothing, and why.
    fn skipped(&self, api: &Sym, routing: &RoutingArgs, pieces: &[crate::coverage::select::Piece]) -> Value {
        let used = |source| pieces.iter().any(|p| p.sources.contains(&source));
        let mut rows: Vec<(Sym, String)> = Vec::new();
        for (_, dap) in self.fleet.iter().filter(|(_, d)| !used(d.source)) {
            let p = &dap.purview;
            let scope = &routing.scope;
            let why = if !routing.labels.matches(&p.labels) {
                format!("its labels {} do not match", p.labels)
            } else if !scope.assembly.is_null() && p.assembly != scope.assembly {
                format!("its assembly is {}", p.assembly)
            } else if !scope.tier.is_null() && p.tier != scope.tier {
                format!("its tier is {}", p.tier)
            } else if !scope.dap.is_null() && p.name != scope.dap {
                "another process is asked by name".into()
            } else if !routing.table.is_null() && p.table(&routing.table).is_none() {
                format!("it has no table {}", routing.table)
            } else if !p.has_api(api) {
                format!("it has no API {api}")
            } else {
                "its times lie outside, or a newer tier serves them".into()
            };
            rows.push((p.name.clone(), why));
        }
        rows.sort();
        let columns = [
            ("dap", Value::syms(rows.iter().map(|(name, _)| name.as_bytes()))),
            ("why", Value::list(rows.iter().map(|(_, why)| Value::str(why)).collect::<Vec<_>>())),
        ];
        Table::of(columns).map_or(Value::Null, Value::from)
    }
}

fn arguments(args: &Raw) -> Result<Dict, Failure> {
    let value = args.decode(&Limits::client()).map_err(|e| Failure::arg(format!("args: {e}")))?;
    match value {
        Value::Dict(d) => Ok((*d).clone()),
        Value::Null => Ok(Dict::of::<&str>([])),
        other => Err(Failure::arg(format!("args must be a dictionary, got a {}", other.type_name()))),
    }
}

fn option(raw: &Raw, name: &str) -> Result<Option<Value>, Failure> {
    let limits = Limits::client();
    let pairs = opts::pairs(&raw.0, &limits).map_err(|e| Failure::arg(e.to_string()))?;
    let found = pairs.into_iter().find(|(key, _)| key == name);
    let decoded = found.map(|(_, object)| qipc::decode(object, &limits));
    decoded.transpose().map_err(|e| Failure::arg(format!("opts field {name}: {e}")))
}
