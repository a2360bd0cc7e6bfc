//! Requests while the purview of some data process is unknown.
//!
//! Rule kept: an answer that should be complete is not begun while a data process that was found ready, and that might
//! hold a part of it, has never been registered anywhere. The request is kept until the purview is known. At the
//! deadline the answer names the unknown processes. A request with `completeness: best` begins at once, and names the
//! whole requested range, without a label set, as possibly missing.

use std::{collections::BTreeSet, sync::Arc};

use kvalue::Sym;
use sg::{Ac, Failure, LabelSet, Purview, Rc, args::RoutingArgs, purview::TableKind};

use super::Router;
use crate::{
    apis::ApiId,
    coverage::{DomainId, select::Piece},
    event::{PeerId, Place},
    found::Registered,
    mutations,
};

/// Of no label set that is known.
const NOWHERE: DomainId = DomainId(u32::MAX);

impl Router {
    /// Discovery tells what there is.
    pub(super) fn found(&mut self, places: Vec<Place>, synced: bool, trouble: String) {
        let tried = self.found.is_tried();
        let heeded =
            |d: &&crate::fleet::Dap| d.owner.is_none() || !sg::mutation::on(mutations::PEERS_UNLINKED);
        let registered =
            self.fleet.iter().filter(|(_, d)| heeded(d)).map(|(_, d)| (&d.address, d.purview.instance));
        self.found.replace(places, synced, trouble, registered);
        self.status_changed |= tried != self.found.is_tried();
    }

    /// A data process of ours or of a peer's has been taken in.
    pub(super) fn is_registered(&mut self, peer: PeerId) {
        let tried = self.found.is_tried();
        let Some(dap) = self.fleet.get(peer) else { return };
        if dap.owner.is_some() && sg::mutation::on(mutations::PEERS_UNLINKED) {
            return;
        }
        self.found.registered((&dap.address, dap.purview.instance));
        self.status_changed |= tried != self.found.is_tried();
    }

    /// A data process says what it holds, whether it is taken in or not.
    pub(super) fn says(&mut self, of: Registered<'_>, purview: &Purview) {
        if self.found.lacks_some() {
            self.found.says(of, &Arc::new(purview.clone()));
        }
    }

    /// True where requests are taken: what an earlier coordinator knew has come back, and each data process that was
    /// found has been tried.
    pub(super) fn is_ready(&self) -> bool {
        let tried = self.found.is_tried() || sg::mutation::on(mutations::FOUND_UNTRIED);
        self.settle_at.is_none() && tried
    }

    /// True where a data process of which nobody knows what it holds might hold what is asked for.
    pub(super) fn may_lack(&self, routing: &RoutingArgs) -> bool {
        if !self.found.lacks_some() || sg::mutation::on(mutations::UNLINKED_UNHEEDED) {
            return false;
        }
        if !routing.scope.dap.is_null() && self.fleet.named(&routing.scope.dap).is_some() {
            return false;
        }
        if sg::mutation::on(mutations::KEPT_FOR_ONE) && self.fleet.len() > 0 {
            return false;
        }
        self.found.has_unknown() || self.found.told().any(|p| self.adds(p, routing))
    }

    /// True where the purview has what is asked for and nobody connected has.
    fn adds(&self, purview: &Purview, routing: &RoutingArgs) -> bool {
        let asks = |t: &&sg::purview::TablePurview| {
            (routing.table.is_null() || t.name == routing.table)
                && (t.kind != TableKind::Partitioned || t.range.intersect(routing.range).is_some())
        };
        routing.labels.matches(&purview.labels)
            && purview.tables.iter().filter(asks).any(|t| !self.coverage.serves(&purview.labels, t))
    }

    /// The pieces of a request; `None` where it is to be kept, because a part of what it asks for may not be known.
    pub(super) fn planned(
        &self,
        api: ApiId,
        name: &Sym,
        routing: &RoutingArgs,
        best: bool,
    ) -> Result<Option<Vec<Piece>>, Failure> {
        let lacks = self.may_lack(routing);
        if lacks && !best {
            return Ok(None);
        }
        let pieces = self.coverage.pieces(routing, self.settings.max_portions);
        match pieces.and_then(|pieces| self.able(api, name, pieces)) {
            Err(_) if lacks => Err(self.unlinked()),
            Ok(mut pieces) if lacks => {
                let (labels, range) = (LabelSet::default(), routing.range);
                pieces.push(Piece { domain: NOWHERE, labels, range, sources: Vec::new() });
                Ok(Some(pieces))
            }
            planned => planned.map(Some),
        }
    }

    /// Begins a request, or keeps it.
    pub(super) fn begin(&mut self, seq: u64) {
        let Some(request) = self.requests.get(&seq) else { return };
        match self.planned(request.api, &request.api_name, &request.routing, request.best_effort) {
            Ok(Some(pieces)) => self.put_to_work(seq, pieces),
            Ok(None) => self.keep(seq),
            Err(failure) => self.fail(seq, failure),
        }
    }

    /// Keeps a request until all is known that it may need.
    pub(super) fn keep(&mut self, seq: u64) {
        self.kept.insert(seq);
        if self.requests.get(&seq).is_some_and(|r| !r.routing.scope.dap.is_null()) {
            self.kept_named.insert(seq);
        }
    }

    /// Begins kept requests whose purviews are known by now, in order of arrival.
    pub(super) fn begin_kept(&mut self) {
        if !std::mem::take(&mut self.found.changed) || self.kept.is_empty() {
            return;
        }
        // While anything may be missing, only what asks one by its name may begin.
        let unknown = self.found.has_unknown() && !sg::mutation::on(mutations::KEPT_FOR_ONE);
        let named = std::mem::take(&mut self.kept_named);
        let begin = if unknown { named } else { self.kept.clone() };
        for seq in begin {
            self.kept.remove(&seq);
            let Some(request) = self.requests.get(&seq) else { continue };
            // Which arguments are labels is known by the label sets that there are.
            let routing = self.routing_args(request.api, &request.args);
            if let (Some(request), Ok(routing)) = (self.requests.get_mut(&seq), routing) {
                request.routing = routing;
            }
            self.begin(seq);
        }
    }

    /// What is not known, as a failure.
    pub(super) fn unlinked(&self) -> Failure {
        Failure::new(Rc::NOT_READY, Ac::NOT_READY, self.found.sentence())
    }

    /// Requests that are kept.
    pub(super) fn check_kept(&self) {
        let kept: BTreeSet<u64> =
            self.requests.iter().filter(|(_, r)| r.portions.is_empty()).map(|(seq, _)| *seq).collect();
        assert!(self.kept_named.is_subset(&self.kept), "requests that are kept for one");
        assert_eq!(kept, self.kept, "requests without portions, and those that are kept");
        for request in kept.iter().filter_map(|seq| self.requests.get(seq)) {
            assert!(self.may_lack(&request.routing), "{} is kept though all is known", request.corr);
        }
    }
}
