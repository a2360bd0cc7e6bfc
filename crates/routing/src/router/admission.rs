//! A request comes: refused at once with a reason, or planned and put to work.

use std::collections::BTreeSet;

use bytes::Bytes;
use kvalue::Sym;
use qipc::{Limits, Raw};
use sg::{
    Ac, Failure, LabelQuery, Rc, TimeRange,
    api::GET_DATA,
    args::RoutingArgs,
    msg::{Plan, Request as Ask},
    nearest, opts,
};

use super::{Due, Router, builtin_apis};
use crate::{
    apis::ApiId,
    coverage::select::Piece,
    event::{Nanos, Note, PeerId},
    request::{Place, Portion, Request},
};

/// What header options mean to routing.
#[derive(Debug, Default)]
struct RoutingOpts {
    agg_fn: Option<Sym>,
    wants_partials: bool,
    priority: i32,
    best_effort: bool,
}

impl RoutingOpts {
    fn parse(raw: &Raw) -> Result<Self, Failure> {
        let mut out = RoutingOpts::default();
        if raw.0[..] == opts::EMPTY_DICT[..] {
            return Ok(out);
        }
        let limits = Limits::client();
        let bad = |why: String| Failure::new(Rc::APP, Ac::ARG, why);
        for (name, object) in opts::pairs(&raw.0, &limits).map_err(|e| bad(e.to_string()))? {
            let value = |object| qipc::decode(object, &limits).map_err(|e| bad(format!("opts field: {e}")));
            match name.as_bytes() {
                b"aggFn" => {
                    let value = value(object)?;
                    let name = value.as_name().ok_or_else(|| {
                        bad(format!("opts field aggFn must be a symbol, got a {}", value.type_name()))
                    })?;
                    out.agg_fn = Some(name).filter(|n| !n.is_null());
                }
                b"priority" => {
                    let value = value(object)?;
                    let priority = value.as_i64().filter(|n| (-MOST_PRIORITY..=MOST_PRIORITY).contains(n));
                    let priority = priority.ok_or_else(|| {
                        bad(format!("opts field priority must be from -{MOST_PRIORITY} to {MOST_PRIORITY}"))
                    })?;
                    out.priority = priority as i32;
                }
                b"completeness" => {
                    let name = value(object)?.as_name().unwrap_or_default();
                    out.best_effort = match name.as_bytes() {
                        b"best" => true,
                        b"complete" => false,
                        _ => {
                            let ai = format!("opts field completeness must be complete or best, got {name}");
                            return Err(bad(ai));
                        }
                    };
                }
                b"sendPartials" => out.wants_partials = value(object)?.as_bool().unwrap_or(false),
                _ => {}
            }
        }
        Ok(out)
    }
}

impl Router {
    pub(super) fn request(&mut self, gw: PeerId, m: Ask) {
        self.stats.accepted += 1;
        if let Some(&seq) = self.by_corr.get(&m.corr) {
            let newer = self.requests.get(&seq).is_some_and(|r| m.attempt > r.gw_attempt);
            if !newer {
                return self.stray(".qm.request");
            }
            self.drop_request(seq, "the gateway sent a newer attempt");
        }
        let outcome = match builtin_apis::is_own(&m.api) {
            true => self.answer_own(gw, &m),
            false => self.plan(gw, &m),
        };
        if let Err(failure) = outcome {
            self.answer_refused(gw, &m, failure);
        }
    }

    fn plan(&mut self, gw: PeerId, m: &Ask) -> Result<(), Failure> {
        if self.drain_at.is_some_and(|at| at <= self.now) {
            return Err(Failure::new(
                Rc::NOT_READY,
                Ac::NOT_READY,
                "this coordinator is stopping: ask again",
            ));
        }
        if self.requests.len() >= self.settings.max_requests {
            return Err(busy(format!(
                "{} requests are in flight, the limit of QMESH_RC_MAX_REQUESTS",
                self.requests.len()
            )));
        }
        // With a peer connected, missing data may return at any moment: a replica whose owner was lost registers with
        // another coordinator.
        if self.fleet.len() == 0 && (self.mesh.is_alone() || self.coverage.lost().next().is_none()) {
            let mut failure = Failure::not_ready();
            if self.found.lacks_some() {
                failure.ai = format!("{}: {}", failure.ai, self.found.sentence());
            }
            return Err(failure);
        }
        let api = self.apis.find(&m.api).ok_or_else(|| match self.found.lacks_some() {
            true => self.unlinked(),
            false => self.unknown_api(&m.api),
        })?;
        let asked = RoutingOpts::parse(&m.opts)?;
        let mut routing = self.routing_args(api, &m.args)?;
        let (mut api_name, mut user) = (m.api.clone(), m.user.clone());
        for name in [&mut api_name, &mut user, &mut routing.table] {
            self.names.share(name);
        }
        routing.labels.renamed(|name| self.names.share(name));
        let pieces = self.planned(api, &m.api, &routing, asked.best_effort)?;
        let meta = self.apis.get(api);
        let agg_fn = asked.agg_fn.or_else(|| meta.map(|a| a.agg_fn.clone())).unwrap_or_default();
        let agg = self.aggs.take(&agg_fn, None)?;
        let deadline = self.now.saturating_add(m.left.max(0) as Nanos);
        let request = Request {
            corr: m.corr,
            gw,
            gw_attempt: m.attempt,
            attempt: m.attempt,
            api,
            api_name,
            agg_fn,
            user,
            priority: asked.priority,
            best_effort: asked.best_effort,
            gave_up: false,
            // Most say nothing, for which there is one text.
            opts: match m.opts.0[..] == opts::EMPTY_DICT[..] {
                true => Raw(Bytes::from_static(&opts::EMPTY_DICT)),
                false => m.opts.clone(),
            },
            args: m.args.clone(),
            safe: self.apis.is_safe(api),
            wants_partials: asked.wants_partials,
            agg: Some(agg),
            told_plan: false,
            arrived: self.now,
            deadline,
            answer_by: deadline - self.margin(deadline - self.now),
            portions: Vec::new(),
            open: 0,
            epoch: 0,
            redos: 0,
            renewals: 0,
            dispatched: false,
            told_started: false,
            failure: None,
            routing,
        };
        for text in request.routing.warnings.clone() {
            self.note(Note::Warning { text });
        }
        let seq = self.next;
        self.next += 1;
        self.timers.insert((request.answer_by, seq, Due::Answer));
        self.by_corr.insert(m.corr, seq);
        self.requests.insert(seq, Box::new(request));
        match pieces {
            Some(pieces) => self.put_to_work(seq, pieces),
            None => self.keep(seq),
        }
        Ok(())
    }

    /// The time kept back for an answer that says what is missing: the larger of 50 ms and 2%, and never more
    /// than half of what the request has.
    fn margin(&self, left: Nanos) -> Nanos {
        self.settings.min_margin.max(left / 50).min(left / 2)
    }

    pub(super) fn routing_args(&self, api: ApiId, args: &Raw) -> Result<RoutingArgs, Failure> {
        let api = self.apis.get(api);
        let params = api.map(|a| a.params.as_slice()).unwrap_or_default();
        // Own arguments of users' APIs may have any name.
        let is_builtin = api.is_some_and(|a| !a.custom);
        let unused = std::cell::RefCell::new(None);
        let routing = RoutingArgs::parse(args, &|name| {
            let is_label = self.coverage.is_label(name) && params.iter().all(|p| &p.name != name);
            if is_label && is_builtin && !self.settings.old_labels {
                unused.replace(Some(name.clone()));
            }
            is_label && self.settings.old_labels
        })?;
        if let Some(name) = unused.into_inner() {
            return Err(Failure::arg(format!(
                "{name} is a label and no argument: write it inside `labels` (ALLOW_OLD_LABEL_STYLE is off)"
            )));
        }
        if let Some(api) = api.filter(|a| a.name == sg::api::PING) {
            let names = sg::args::NAMES;
            sg::args::only(&api.name.text(), args, &names, &|name| self.coverage.is_label(name))?;
        }
        Ok(routing)
    }

    fn unknown_api(&self, name: &Sym) -> Failure {
        let known: BTreeSet<String> =
            self.apis.live().into_iter().chain(builtin_apis::apis()).map(|a| a.name.to_string()).collect();
        let near = nearest(&name.text(), known.iter().map(String::as_str))
            .map_or(String::new(), |near| format!("; did you mean {near}?"));
        let known = known.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
        Failure::new(
            Rc::NOT_SUPPORTED,
            Ac::API,
            format!("API {name} is not registered by any data process{near}; known: {known}"),
        )
    }

    /// Leaves out pieces whose connected replicas do not have the API: it runs where it is registered.
    pub(super) fn able(&self, api: ApiId, name: &Sym, mut pieces: Vec<Piece>) -> Result<Vec<Piece>, Failure> {
        pieces.retain(|p| self.is_able(api, p));
        match pieces.is_empty() {
            true => Err(self.unknown_api(name)),
            false => Ok(pieces),
        }
    }

    /// True where a connected replica has the API, or none is connected: what is lost is waited for.
    pub(super) fn is_able(&self, api: ApiId, piece: &Piece) -> bool {
        let sources = piece.sources.iter().filter_map(|s| self.coverage.source(*s));
        let replicas = sources.flat_map(|s| s.replicas.keys()).filter_map(|peer| self.fleet.get(*peer));
        let mut lost = true;
        for replica in replicas {
            if replica.apis.contains(&api) {
                return true;
            }
            lost = false;
        }
        lost
    }

    /// Tells the Agg the plan, unless the only portion says all of it, then gives each portion to a replica or the queue.
    pub(super) fn put_to_work(&mut self, seq: u64, pieces: Vec<Piece>) {
        let pieces = self.divide(seq, pieces);
        let Some(request) = self.requests.get_mut(&seq) else { return };
        request.open = pieces.len();
        request.portions = pieces.into_iter().map(Portion::new).collect();
        let portions = request.portions.len() as u32;
        request.told_plan = false;
        if portions != 1 {
            self.tell_plan(seq);
        }
        for portion in 0..portions {
            // A request may end on the way, for instance at the queue's limit.
            if !self.requests.contains_key(&seq) {
                return;
            }
            self.place(seq, portion);
        }
    }

    /// Tells the Agg which portions to wait for, where it does not hear of the only one with its partial.
    pub(super) fn tell_plan(&mut self, seq: u64) {
        let Some(request) = self.requests.get_mut(&seq) else { return };
        let Some(agg) = request.agg.filter(|_| !request.told_plan) else { return };
        request.told_plan = true;
        let replaced = |p: &&(u32, &Portion)| p.1.place == Place::Replaced;
        let portions = (0u32..).zip(&request.portions).filter(|p| !replaced(&p));
        let plan = Plan {
            corr: request.corr,
            attempt: request.attempt,
            epoch: request.epoch,
            left: request.deadline.saturating_sub(self.now) as i64,
            api: request.api_name.clone(),
            agg_fn: request.agg_fn.clone(),
            gw: self.peers.get(&request.gw).map(|p| p.address.clone()).unwrap_or_default(),
            portions: portions.map(|(id, p)| p.planned(id, &request.routing.table)).collect(),
            opts: request.opts.clone(),
            args: request.args.clone(),
        };
        self.send(agg, plan);
    }

    /// Gives idle replicas of one source a share each of what one of them could do alone.
    fn divide(&self, seq: u64, pieces: Vec<Piece>) -> Vec<Piece> {
        match self.requests.get(&seq) {
            Some(request) => self.divided(&request.api_name, &request.routing, pieces),
            None => pieces,
        }
    }

    /// The same for any call.
    pub(super) fn divided(&self, api: &Sym, routing: &RoutingArgs, pieces: Vec<Piece>) -> Vec<Piece> {
        if !self.settings.divide || !routing.scope.dap.is_null() || api != GET_DATA {
            return pieces;
        }
        let mut out = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let shares = match piece.sources[..] {
                [one] => self.shares(one, &routing.table, piece.range),
                _ => Vec::new(),
            };
            let mut from = piece.range.start();
            for cut in shares {
                if let Some(range) = TimeRange::new(from, cut) {
                    out.push(Piece { range, ..piece.clone() });
                    from = cut;
                }
            }
            if let Some(range) = TimeRange::new(from, piece.range.end()) {
                out.push(Piece { range, ..piece });
            }
        }
        out
    }

    /// Where to cut a range so that each idle replica of the source gets about as many partitions.
    fn shares(&self, source: crate::coverage::SourceId, table: &Sym, range: TimeRange) -> Vec<i64> {
        let idle = self.fleet.idle(source) + self.idle_at_peers(source);
        let held = self.coverage.source(source).and_then(|s| s.tables.get(table));
        let Some(held) = held.filter(|_| idle > 1) else { return Vec::new() };
        let from = held.cuts.partition_point(|c| *c <= range.start());
        let until = held.cuts.partition_point(|c| *c < range.end());
        let inside = &held.cuts[from..until.max(from)];
        let shares = idle.min(inside.len() + 1);
        (1..shares).filter_map(|i| inside.get(i * (inside.len() + 1) / shares - 1).copied()).collect()
    }

    /// The label query of `.kxi.getMeta`, which needs no table.
    pub(super) fn label_query(&self, args: &Raw) -> Result<(LabelQuery, RoutingArgs), Failure> {
        let routing =
            RoutingArgs::parse(args, &|name| self.settings.old_labels && self.coverage.is_label(name))?;
        sg::args::only(sg::api::GET_META, args, &sg::args::NAMES, &|name| self.coverage.is_label(name))?;
        self.coverage.labels_known(&routing)?;
        Ok((routing.labels.clone(), routing))
    }
}

/// Greatest priority, and least.
const MOST_PRIORITY: i64 = 100;

/// Rc QUEUE with advice.
pub(super) fn busy(why: String) -> Failure {
    Failure::new(Rc::QUEUE, Ac::LIMIT, format!("{why}: try again in a moment"))
}
