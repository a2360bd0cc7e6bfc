//! Which label sets, and which stretches of which sources, a request asks for.
//!
//! Rule kept: the cost grows with what is chosen, not with what is known. Label sets are found through the
//! smallest of the indexes that apply, tiles by binary search. Failures are worded here, on a slow path.

use std::collections::BTreeSet;

use kvalue::Sym;
use sg::{
    Ac, Failure, LabelSet, Rc, TimeRange,
    args::RoutingArgs,
    nearest,
    purview::{TableKind, TablePurview},
};

use super::{
    Coverage, Domain, DomainId, Layout, SourceId,
    declared::add_stand_ins,
    source::{Source, rank},
    tiles::{self, Tile, tile},
};

/// A stretch of one label set: the range of one portion.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub(crate) domain: DomainId,
    pub(crate) labels: LabelSet,
    pub(crate) range: TimeRange,
    /// any of them can serve it; several only for tables that each has in full
    pub(crate) sources: Vec<SourceId>,
}

/// Most names an error lists.
const LISTED: usize = 10;

/// How a table is spread over the sources of a domain.
pub(super) fn layout(sources: &[(SourceId, &Source)], unseen: &[(SourceId, &Source)], table: &Sym) -> Layout {
    let mut extents = Vec::new();
    for (id, source) in sources {
        source.extents(*id, Some(table), &mut extents);
    }
    if !extents.is_empty() {
        add_stand_ins(&mut extents, unseen);
        return Layout::Tiled(tile(extents));
    }
    let has = |(_, s): &&(SourceId, &Source)| s.tables.contains_key(table);
    let best = sources.iter().filter(has).map(|(_, s)| (s.is_live(), rank(&s.tier))).max();
    let chosen = sources.iter().filter(has).filter(|(_, s)| Some((s.is_live(), rank(&s.tier))) == best);
    let chosen: Vec<SourceId> = chosen.map(|(id, _)| *id).collect();
    match chosen.is_empty() {
        true => Layout::Copied(unseen.iter().map(|(id, _)| *id).collect()),
        false => Layout::Copied(chosen),
    }
}

/// Tiles of calls that name no table: by all partitioned tables together; sources that have none count only
/// where no source has any.
pub(super) fn whole(sources: &[(SourceId, &Source)], unseen: &[(SourceId, &Source)]) -> Vec<Tile> {
    let mut extents = Vec::new();
    for (id, source) in sources {
        source.extents(*id, None, &mut extents);
    }
    if extents.is_empty() {
        let all = |(id, s): &(SourceId, &Source)| tiles::Extent {
            source: *id,
            tier: rank(&s.tier),
            live: s.is_live(),
            range: TimeRange::ALL,
        };
        extents.extend(sources.iter().map(all));
    }
    add_stand_ins(&mut extents, unseen);
    tile(extents)
}

impl Coverage {
    /// The pieces a call asks for, by label set, then time.
    pub(crate) fn pieces(&self, args: &RoutingArgs, limit: usize) -> Result<Vec<Piece>, Failure> {
        let mut domains = self.candidates(args);
        if domains.is_empty() {
            return Err(self.nothing_matches(args));
        }
        self.labels_known(args)?;
        domains.sort_unstable_by_key(|(_, d)| d.rank);
        domains.dedup_by_key(|(id, _)| *id);
        let mut pieces = Vec::new();
        // Assemblies of equal labels hold the same data: one of them serves.
        for same in domains.chunk_by(|(_, a), (_, b)| a.labels == b.labels) {
            let options = same.iter().map(|(id, d)| self.of_domain(*id, d, args));
            let best = options.min_by_key(|found| self.dead(found)).unwrap_or_default();
            pieces.extend(best);
            if pieces.len() > limit {
                let ai = format!(
                    "the request would be cut into more than {limit} portions: narrow its labels or times, or raise QMESH_RC_MAX_PORTIONS"
                );
                return Err(Failure::new(Rc::LIMIT, Ac::LIMIT, ai));
            }
        }
        match pieces.is_empty() {
            true => Err(self.nothing_matches(args)),
            false => Ok(pieces),
        }
    }

    /// Refuses a label value that no data has, beside others that some has: the answer would be of those alone.
    pub(crate) fn labels_known(&self, args: &RoutingArgs) -> Result<(), Failure> {
        let mut key = (Sym::null(), Sym::null());
        for (label, values) in args.labels.iter() {
            key.0 = label.clone();
            for value in values {
                key.1 = value.clone();
                if !self.by_label.contains_key(&key) {
                    let of = self.by_label.keys().filter(|(l, _)| l == label);
                    let known = listed(of.map(|(_, value)| value.to_string()));
                    let ai = format!("no data is labelled {label}={value}; known values of {label}: {known}");
                    return Err(Failure::new(Rc::ROUTE, Ac::TARGET, ai));
                }
            }
        }
        Ok(())
    }

    /// Pieces that wait for a lost source.
    fn dead(&self, pieces: &[Piece]) -> usize {
        let live = |p: &Piece| p.sources.iter().any(|s| self.sources.get(s).is_some_and(Source::is_live));
        if pieces.is_empty() { usize::MAX } else { pieces.iter().filter(|p| !live(p)).count() }
    }

    fn candidates(&self, args: &RoutingArgs) -> Vec<(DomainId, &Domain)> {
        let mut ways: Vec<Vec<&BTreeSet<DomainId>>> = Vec::new();
        if !args.table.is_null() {
            // A tier that was never seen may hold any table.
            let unseen = Some(&self.declared.domains).filter(|d| !d.is_empty());
            ways.push(self.by_table.get(&args.table).into_iter().chain(unseen).collect());
        }
        let mut key = (Sym::null(), Sym::null());
        for (label, values) in args.labels.iter() {
            key.0 = label.clone();
            let mut sets = Vec::with_capacity(values.len());
            for value in values.iter().collect::<BTreeSet<_>>() {
                key.1 = value.clone();
                sets.extend(self.by_label.get(&key));
            }
            ways.push(sets);
        }
        let fits = |(_, d): &(DomainId, &Domain)| {
            args.labels.matches(&d.labels)
                && (args.table.is_null() || d.tables.contains_key(&args.table) || !d.unseen.is_empty())
                && d.is_of(&args.scope.assembly)
        };
        let smallest = ways.into_iter().min_by_key(|sets| sets.iter().map(|s| s.len()).sum::<usize>());
        match smallest {
            Some(sets) => sets
                .into_iter()
                .flatten()
                .filter_map(|id| Some((*id, self.domains.get(id)?)))
                .filter(fits)
                .collect(),
            None => self.domains.iter().map(|(id, d)| (*id, d)).filter(fits).collect(),
        }
    }

    fn of_domain(&self, id: DomainId, domain: &Domain, args: &RoutingArgs) -> Vec<Piece> {
        let piece = |range, sources: Vec<SourceId>| {
            let sources = match sources[..] {
                [one] if one.is_stand_in() && args.scope.tier.is_null() => self.alike(domain, one),
                _ => sources,
            };
            Piece { domain: id, labels: domain.labels.clone(), range, sources }
        };
        if !args.scope.dap.is_null() {
            let holds = |s: &Source| {
                let named = s.replicas.values().find(|p| p.name == args.scope.dap);
                named.is_some_and(|p| args.table.is_null() || p.table(&args.table).is_some())
            };
            let source = self.scoped(domain, args).find(|(_, s)| holds(s));
            return source.map(|(s, _)| piece(args.range, vec![s])).into_iter().collect();
        }
        if !args.scope.tier.is_null() {
            let sources: Vec<(SourceId, &Source)> = self.scoped(domain, args).collect();
            let mut unseen = self.listed(&domain.unseen);
            unseen.retain(|(_, s)| s.tier == args.scope.tier);
            if args.table.is_null() {
                return cut(&whole(&sources, &unseen), args.range, piece);
            }
            return match layout(&sources, &unseen, &args.table) {
                Layout::Tiled(tiles) => cut(&tiles, args.range, piece),
                Layout::Copied(found) if found.is_empty() => Vec::new(),
                Layout::Copied(found) => vec![piece(args.range, found)],
            };
        }
        if args.table.is_null() {
            return cut(&domain.whole, args.range, piece);
        }
        match domain.tables.get(&args.table) {
            Some(Layout::Tiled(tiles)) => cut(tiles, args.range, piece),
            Some(Layout::Copied(found)) if !found.is_empty() => vec![piece(args.range, found.clone())],
            _ if !domain.unseen.is_empty() => vec![piece(args.range, domain.unseen.clone())],
            _ => Vec::new(),
        }
    }

    fn scoped<'a>(
        &'a self,
        domain: &'a Domain,
        args: &'a RoutingArgs,
    ) -> impl Iterator<Item = (SourceId, &'a Source)> {
        let all = domain.sources.iter().filter_map(|s| Some((*s, self.sources.get(s)?)));
        all.filter(|(_, s)| args.scope.tier.is_null() || s.tier == args.scope.tier)
    }

    /// The pieces of one domain and range as things are now; for a portion that is planned again.
    pub(crate) fn again(&self, domain: DomainId, args: &RoutingArgs, range: TimeRange) -> Vec<Piece> {
        let Some(d) = self.domains.get(&domain).filter(|d| d.is_of(&args.scope.assembly)) else {
            return Vec::new();
        };
        let narrowed = RoutingArgs { range, ..args.clone() };
        self.of_domain(domain, d, &narrowed)
    }

    /// The instants of `range` that some replica of the source holds or held; what a replica must hold itself
    /// to serve the piece. `None` where any replica will do.
    pub(crate) fn need(&self, source: SourceId, table: &Sym, range: TimeRange) -> Option<TimeRange> {
        let held = self.sources.get(&source)?.tables.get(table)?;
        if held.kind != TableKind::Partitioned {
            return None;
        }
        held.hull.intersect(range)
    }

    /// True where every connected replica of the source holds the table in full.
    pub(crate) fn is_uniform(&self, source: SourceId, table: &Sym) -> bool {
        self.sources.get(&source).and_then(|s| s.tables.get(table)).is_none_or(|h| h.uniform)
    }

    /// True where connected replicas of a source hold the same of a table, if not all that is known of it.
    pub(crate) fn is_alike(&self, source: SourceId, table: &Sym) -> bool {
        self.sources.get(&source).and_then(|s| s.tables.get(table)).is_none_or(|h| h.alike)
    }

    /// True where connected sources of this label set hold all of that table.
    pub(crate) fn serves(&self, labels: &LabelSet, table: &TablePurview) -> bool {
        let domains = || self.of_labels(labels).filter_map(|id| self.domains.get(&id));
        let sources =
            || domains().flat_map(|d| &d.sources).filter_map(|id| Some((*id, self.sources.get(id)?)));
        if table.kind != TableKind::Partitioned {
            let has = |s: &Source| s.is_live() && s.tables.contains_key(&table.name);
            return sources().any(|(_, s)| has(s));
        }
        let mut held = Vec::new();
        sources().for_each(|(id, s)| s.extents(id, Some(&table.name), &mut held));
        let mut held: Vec<TimeRange> = held.iter().filter(|e| e.live).map(|e| e.range).collect();
        held.sort_unstable_by_key(|range| range.start());
        let mut until = table.range.start();
        for range in held.iter().filter(|r| !r.is_empty()) {
            if range.start() <= until {
                until = until.max(range.end());
            }
        }
        until >= table.range.end()
    }

    /// Why nothing was found.
    fn nothing_matches(&self, args: &RoutingArgs) -> Failure {
        let target = |ai: String| Failure::new(Rc::ROUTE, Ac::TARGET, ai);
        let matching: Vec<&Domain> = self
            .by_name
            .values()
            .filter_map(|id| self.domains.get(id))
            .filter(|d| args.labels.matches(&d.labels))
            .collect();
        if matching.is_empty() && !args.labels.is_empty() {
            let known = listed(self.by_name.keys().map(|(labels, _)| labels.to_string()));
            return target(format!("no data is labelled {}; known label sets: {known}", args.labels));
        }
        let table_known = args.table.is_null() || self.by_table.contains_key(&args.table);
        if !table_known {
            let mut failure = Failure::table_not_found(&args.table.text());
            let names: Vec<String> = self.by_table.keys().take(2000).map(|t| t.to_string()).collect();
            if let Some(near) = nearest(&args.table.text(), names.iter().map(String::as_str)) {
                failure.ai.push_str(&format!("; did you mean {near}?"));
            }
            if !names.is_empty() {
                failure.ai.push_str(&format!("; tables: {}", listed(names.iter().cloned())));
            }
            return failure;
        }
        let scope = &args.scope;
        let in_assembly: Vec<&&Domain> =
            matching.iter().filter(|d| scope.assembly.is_null() || d.assembly == scope.assembly).collect();
        if in_assembly.is_empty() {
            let known = listed(matching.iter().map(|d| d.assembly.to_string()).filter(|a| !a.is_empty()));
            return target(format!(
                "no data of assembly {} is known here; known assemblies: {known}",
                scope.assembly
            ));
        }
        let sources = || in_assembly.iter().flat_map(|d| &d.sources).filter_map(|id| self.sources.get(id));
        if !scope.tier.is_null() && !sources().any(|s| s.tier == scope.tier) {
            let known = listed(sources().map(|s| s.tier.to_string()));
            return target(format!("scope.tier {} has no data here; known tiers: {known}", scope.tier));
        }
        let names = || sources().flat_map(|s| s.replicas.values().map(|p| &p.name));
        if !scope.dap.is_null() && !names().any(|n| n == &scope.dap) {
            let known = listed(names().map(|n| n.to_string()));
            return target(format!("scope.dap {} is not connected; connected: {known}", scope.dap));
        }
        let mut failure = Failure::table_not_found(&args.table.text());
        let holders = self.by_table.get(&args.table).into_iter().flatten();
        let elsewhere = listed(holders.filter_map(|id| Some(self.domains.get(id)?.labels.to_string())));
        failure.ai.push_str(&format!(" where labels and scope point; it is in: {elsewhere}"));
        failure
    }
}

/// The tiles inside a range as pieces. An empty range asks one tile, so that the answer has the right schema.
fn cut(tiles: &[Tile], range: TimeRange, piece: impl Fn(TimeRange, Vec<SourceId>) -> Piece) -> Vec<Piece> {
    let Some(first) = (!tiles.is_empty()).then(|| tiles::at(tiles, range.start())) else { return Vec::new() };
    if range.is_empty() {
        return vec![piece(range, vec![tiles[first].source])];
    }
    let inside = tiles[first..].iter().take_while(|t| t.range.start() < range.end());
    inside.filter_map(|t| Some(piece(t.range.intersect(range)?, vec![t.source]))).collect()
}

fn listed(names: impl Iterator<Item = String>) -> String {
    let all: BTreeSet<String> = names.collect();
    let shown: Vec<&str> = all.iter().take(LISTED).map(String::as_str).collect();
    match all.len() {
        0 => "none".into(),
        n if n > LISTED => format!("{} and {} more", shown.join("; "), n - LISTED),
        _ => shown.join("; "),
    }
}
