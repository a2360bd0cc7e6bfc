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
    ids::parse_guid,
    meta::{self, Mesh},
    msg::{Answer, Payload, Request as Ask},
    opts,
};

use super::{Router, completion::extra_of_own};
use crate::{
    event::{MILLI, Note, PeerId},
    request::{Place, Request},
    trace::RequestTrace,
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
        api(
            EXPLAIN,
            "where a call (api; args; opts) would run and why; of a request by its corr, its way leg by leg",
            99,
        ),
        api(QUERIES, "requests in flight of the caller's user name", 98),
        api(CANCEL, "ends a request in flight, by its corr", -1),
    ]
}

/// True for APIs that never reach a DAP.
pub(super) fn is_own(api: &Sym) -> bool {
    [GET_META, EXPLAIN, QUERIES, CANCEL].iter().any(|own| api == own)
}

/// The arguments of such an API.
fn takes(api: &Sym) -> &'static [&'static str] {
    match () {
        () if api == EXPLAIN => &["api", "args", "opts", "corr"],
        () if api == QUERIES => &[],
        () => &["corr"],
    }
}

/// A built-in API that all coordinators answer together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// list requests
    Queries,
    /// the way of one
    Trace,
    /// end one
    Cancel,
}

impl Asked {
    pub(super) fn of(api: &Sym) -> Asked {
        match () {
            () if api == QUERIES => Asked::Queries,
            () if api == EXPLAIN => Asked::Trace,
            () => Asked::Cancel,
        }
    }
}

/// Nobody knows a request that is to be explained.
pub(super) fn unknown_request() -> Failure {
    Failure::arg(
        "no request of this corr is in flight or among the last that each coordinator remembers, or it is not yours",
    )
}

/// A corr, as a guid or its text.
fn corr_of(args: &Dict) -> Result<Corr, Failure> {
    let corr = match args.get("corr") {
        Some(Value::Atom(Atom::Guid(g))) => Some(g),
        Some(other) => other.as_text().and_then(|t| parse_guid(&String::from_utf8_lossy(&t))),
        None => None,
    };
    corr.map(Corr).ok_or_else(|| Failure::arg("corr must be the guid of a request, or its text"))
}

impl Router {
    pub(super) fn answer_own(&mut self, gw: PeerId, m: &Ask) -> Result<(), Failure> {
        let value = match &m.api {
            api if api == GET_META => self.get_meta(m)?,
            api => {
                sg::args::only(&api.text(), &m.args, takes(api), &|_| false)?;
                let args = arguments(&m.args)?;
                if api == EXPLAIN && args.get("corr").is_none() {
                    let value = self.explain(&args)?;
                    return self.answer_with(gw, (m.corr, m.attempt), (&m.api, &m.opts), &value);
                }
                let own = self.own_part(api, &m.user, &args)?;
                let knows = own.as_bool() == Some(true) || own.as_dict().is_some();
                if !self.mesh.is_alone() && !knows {
                    self.ask_peers(gw, m, own);
                    return Ok(());
                }
                match api == EXPLAIN && !knows {
                    true => return Err(unknown_request()),
                    false => own,
                }
            }
        };
        self.answer_with(gw, (m.corr, m.attempt), (&m.api, &m.opts), &value)
    }

    /// Answers a request with a value that no Agg was needed for.
    pub(super) fn answer_with(
        &mut self,
        gw: PeerId,
        (corr, attempt): (Corr, i32),
        (api, opts): (&Sym, &Raw),
        value: &Value,
    ) -> Result<(), Failure> {
        let object = Raw::try_of(value).map_err(|e| Failure::new(Rc::ERR, Ac::INTERNAL, e.to_string()))?;
        self.stats.succeeded += 1;
        self.note(Note::Ended {
            corr,
            opts: opts.clone(),
            api: api.clone(),
            rc: Rc::OK,
            ai: String::new(),
            took: 0,
            portions: 0,
        });
        self.send(
            gw,
            Answer {
                corr,
                attempt,
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
        let peers = self.mesh.nodes.values().map(|n| (n.name.clone(), n.started));
        let rcs = [(self.settings.name.clone(), self.settings.started)].into_iter().chain(peers).collect();
        Ok(Mesh { rcs, daps, aggs }.build(version))
    }

    // ---- .qmesh.queries, .qmesh.cancel ------------------------------------------------------------------

    pub(super) fn queries(&self, user: &Sym) -> Value {
        let mine = self.sorted(|r| &r.user == user);
        let of = |seq: &u64| self.requests.get(seq).map(|r| &**r);
        let requests: Vec<&Request> = mine.iter().filter_map(of).collect();
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
            ("waiting", count(|p| matches!(p, Place::Waiting(_) | Place::Resting(_)))),
            ("running", count(|p| matches!(p, Place::Leased(_)))),
            ("collected", count(|p| *p == Place::Got)),
        ];
        Table::of(columns).map_or(Value::Null, Value::from)
    }

    /// The way of a request of this user, in flight or ended; null where there is none.
    pub(super) fn trace_of(&self, user: &Sym, args: &Dict) -> Result<Value, Failure> {
        let corr = corr_of(args)?;
        let live = self.by_corr.get(&corr).and_then(|seq| self.trace(*seq, None));
        let way = live.as_ref().or_else(|| self.traces.get(corr)).filter(|w| &w.user == user);
        Ok(way.map_or(Value::Null, RequestTrace::to_value))
    }

    pub(super) fn cancel_by_name(&mut self, user: &Sym, args: &Dict) -> Result<Value, Failure> {
        let found = self.by_corr.get(&corr_of(args)?).copied();
        let anybody = sg::mutation::on(crate::mutations::CANCEL_BY_ANYBODY);
        let its = |seq: &u64| self.requests.get(seq).is_some_and(|r| &r.user == user || anybody);
        let Some(seq) = found.filter(its) else {
            return Ok(false.into());
        };
        let ai = format!("cancelled by {}", if user.is_null() { "its caller".into() } else { user.text() });
        self.fail(seq, Failure::new(Rc::CANCELLED, Ac::CANCELLED, ai));
        Ok(true.into())
    }
}

pub(super) fn arguments(args: &Raw) -> Result<Dict, Failure> {
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
