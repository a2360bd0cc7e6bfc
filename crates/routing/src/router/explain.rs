//! `.qmesh.explain`: where a call would run now, and why; nothing is started.

use std::collections::BTreeSet;

use kvalue::{Dict, Sym, Table, Value, Vector};
use qipc::Raw;
use sg::{Ac, Failure, Rc, args::RoutingArgs};

use super::Router;
use crate::{
    apis::ApiId,
    coverage::{SourceId, select::Piece},
    event::PeerId,
    fleet::Dap,
};

/// What one portion would meet.
struct Hop {
    labels: Value,
    tier: Sym,
    sources: Value,
    start: i64,
    end: i64,
    /// null where none is idle
    replica: Sym,
    /// coordinator that owns it
    owner: Sym,
    why: String,
    /// what such a portion usually takes
    usual_ms: f64,
    /// portions that wait for its sources already
    waiting: i64,
    candidates: Value,
}

impl Router {
    pub(super) fn explain(&self, args: &Dict) -> Result<Value, Failure> {
        let name = args.get("api").and_then(|v| v.as_name());
        let name = name.ok_or_else(|| Failure::arg("api must be the name of the API to explain"))?;
        let inner = args.get("args").unwrap_or_else(Value::empty_dict);
        let inner = Raw::try_of(&inner).map_err(|e| Failure::arg(e.to_string()))?;
        let api = self.apis.find(&name).ok_or_else(|| {
            let ai = format!("API {name} is not registered by any data process");
            Failure::new(Rc::NOT_SUPPORTED, Ac::API, ai)
        })?;
        let routing = self.routing_args(api, &inner)?;
        let pieces = self.able(api, &name, self.coverage.pieces(&routing, self.settings.max_portions)?)?;
        let skipped = self.skipped(&name, &routing, &pieces);
        let divided = self.divided(&name, &routing, pieces);
        let mut taken = BTreeSet::new();
        let hops: Vec<Hop> = divided.iter().map(|piece| self.hop(api, &routing, piece, &mut taken)).collect();
        let list = |f: &dyn Fn(&Hop) -> Value| Value::list(hops.iter().map(f).collect::<Vec<_>>());
        let syms = |f: &dyn Fn(&Hop) -> Sym| Value::syms(hops.iter().map(|l| f(l).as_bytes().to_vec()));
        let portions = Table::of([
            ("labels", list(&|l| l.labels.clone())),
            ("tier", syms(&|l| l.tier.clone())),
            ("source", list(&|l| l.sources.clone())),
            ("startTS", Vector::timestamps(hops.iter().map(|l| l.start).collect()).into()),
            ("endTS", Vector::timestamps(hops.iter().map(|l| l.end).collect()).into()),
            ("replica", syms(&|l| l.replica.clone())),
            ("rc", syms(&|l| l.owner.clone())),
            ("why", list(&|l| Value::str(&l.why))),
            ("usualMs", Vector::floats(hops.iter().map(|l| l.usual_ms).collect()).into()),
            ("waiting", Vector::longs(hops.iter().map(|l| l.waiting).collect()).into()),
            ("candidates", list(&|l| l.candidates.clone())),
        ]);
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

    fn hop(&self, api: ApiId, routing: &RoutingArgs, piece: &Piece, taken: &mut BTreeSet<PeerId>) -> Hop {
        let sources = || piece.sources.iter().filter_map(|s| self.coverage.source(*s));
        let suits = |source: SourceId, dap: &Dap| {
            dap.apis.contains(&api) && self.holds_piece(routing, piece, source, dap)
        };
        let free = |source: SourceId, dap: &Dap| {
            suits(source, dap) && self.fleet.named(dap.name()).is_none_or(|peer| !taken.contains(&peer))
        };
        let picked = self.fleet.pick(&piece.sources, self.now, free);
        taken.extend(picked);
        let replicas = || sources().flat_map(|s| s.replicas.keys()).filter_map(|p| self.fleet.get(*p));
        let able = || replicas().filter(|d| piece.sources.iter().any(|s| *s == d.source && suits(*s, d)));
        let idle_at_peers: usize = piece.sources.iter().map(|s| self.idle_at_peers(*s)).sum();
        let waiting: usize = piece.sources.iter().map(|s| self.queue.waiting(*s)).sum();
        let own = picked.and_then(|peer| self.fleet.get(peer));
        let peer = able().find(|d| {
            d.owner.is_some_and(|(peer, group)| {
                self.mesh.nodes.get(&peer).is_some_and(|n| n.idle.get(&group).is_some_and(|n| *n > 0))
            })
        });
        let (replica, owner, why) = match (own, peer) {
            (Some(dap), peer) if dap.is_at_rest() || peer.is_none() => {
                let how = match dap.is_at_rest() {
                    true => "idle".to_string(),
                    false => format!("a place free beside {}", dap.running.len()),
                };
                let why = format!("{how} here, speed class {} of 0 to 4, least recently used", dap.class());
                (dap.name().clone(), self.owner_of(dap), why)
            }
            (_, Some(dap)) => {
                let owner = self.owner_of(dap);
                let why =
                    format!("none is idle here; {owner} says that {idle_at_peers} are, and chooses one");
                (Sym::null(), owner, why)
            }
            (_, None) if replicas().next().is_none() => {
                (Sym::null(), Sym::null(), "no replica is connected: it would wait for one".to_string())
            }
            (_, None) => {
                let why = format!(
                    "it would wait: of {} replicas that can serve it none is idle, {waiting} portions wait here",
                    able().count()
                );
                (Sym::null(), Sym::null(), why)
            }
        };
        let usual = piece.sources.first().map_or(0, |s| self.fleet.typical(*s, api));
        Hop {
            labels: piece.labels.to_value(),
            tier: sources().next().map(|s| s.tier.clone()).unwrap_or_default(),
            sources: Value::syms(sources().map(|s| s.id.as_bytes().to_vec()).collect::<Vec<_>>()),
            start: piece.range.start(),
            end: piece.range.end(),
            replica,
            owner,
            why,
            usual_ms: usual as f64 / 1e6,
            waiting: waiting as i64,
            candidates: Value::syms(replicas().map(|d| d.name().as_bytes().to_vec()).collect::<Vec<_>>()),
        }
    }

    fn holds_piece(&self, routing: &RoutingArgs, piece: &Piece, source: SourceId, dap: &Dap) -> bool {
        if !routing.scope.dap.is_null() {
            return dap.name() == &routing.scope.dap;
        }
        dap.holds(&routing.table, self.coverage.need(source, &routing.table, piece.range))
    }

    /// Each connected DAP that would get nothing, and why.
    fn skipped(&self, api: &Sym, routing: &RoutingArgs, pieces: &[Piece]) -> Value {
        let used = |source| pieces.iter().any(|p| p.sources.contains(&source));
        let mut rows: Vec<(Sym, String)> = Vec::new();
        for (_, dap) in self.fleet.iter().filter(|(_, d)| d.rests || !used(d.source)) {
            let p = &dap.purview;
            let scope = &routing.scope;
            let why = if used(dap.source) {
                "it said busy to everything it was given, and is left alone for a moment".into()
            } else if !routing.labels.matches(&p.labels) {
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
