//! Cutting the time line of one label set among its sources: pure, and the heart of "exactly once".
//!
//! Rules kept (design, mesh §1): where sources overlap the newer tier serves; what a live source holds is
//! served by it, what only a lost one held stays wanted; the first tile begins at minus infinity, each ends
//! where the next begins, the last never ends. So every instant is in exactly one tile.

use std::collections::BTreeMap;

use sg::TimeRange;

use super::SourceId;

/// A stretch of time that a source holds of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// who holds it
    pub(crate) source: SourceId,
    /// greater is newer
    pub(crate) tier: u8,
    /// false where no replica that holds it is connected
    pub(crate) live: bool,
    /// the stretch
    pub(crate) range: TimeRange,
}

/// A stretch of the time line and the one source that serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) range: TimeRange,
    pub(crate) source: SourceId,
}

/// Tiles the whole time line; empty only where there is no extent.
pub(crate) fn tile(mut extents: Vec<Extent>) -> Vec<Tile> {
    // Live before lost, newer before older; ties by source and time so that the outcome is always the same.
    extents.sort_by_key(|e| (!e.live, std::cmp::Reverse(e.tier), e.source, e.range));
    let fallback = extents.first().map(|e| e.source);
    let mut taken: BTreeMap<i64, (i64, SourceId)> = BTreeMap::new();
    for extent in extents.iter().filter(|e| !e.range.is_empty()) {
        claim(&mut taken, extent);
    }
    let claimed: Vec<(i64, SourceId)> =
        taken.into_iter().map(|(start, (_, source))| (start, source)).collect();
    if claimed.is_empty() {
        return fallback.map(|source| Tile { range: TimeRange::ALL, source }).into_iter().collect();
    }
    let starts = claimed.iter().skip(1).map(|(start, _)| *start).chain([TimeRange::MAX]);
    let mut from = TimeRange::MIN;
    let mut tiles = Vec::with_capacity(claimed.len());
    for ((_, source), until) in claimed.iter().zip(starts) {
        if let Some(range) = TimeRange::new(from, until) {
            tiles.push(Tile { range, source: *source });
        }
        from = until;
    }
    tiles
}

/// Gives the extent's source what nobody has of it yet.
fn claim(taken: &mut BTreeMap<i64, (i64, SourceId)>, extent: &Extent) {
    let (mut at, end) = (extent.range.start(), extent.range.end());
    if let Some((_, (before_end, _))) = taken.range(..=at).next_back() {
        at = at.max(*before_end);
    }
    if at >= end {
        return;
    }
    let mut free = Vec::new();
    for (start, (stop, _)) in taken.range(at..end) {
        if at < *start {
            free.push((at, *start));
        }
        at = at.max(*stop);
    }
    if at < end {
        free.push((at, end));
    }
    taken.extend(free.into_iter().map(|(start, stop)| (start, (stop, extent.source))));
}

/// The tile that holds this instant.
pub(crate) fn at(tiles: &[Tile], instant: i64) -> usize {
    tiles.partition_point(|t| t.range.start() <= instant).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HDB: u8 = 0;
    const RDB: u8 = 2;

    fn extent(source: u32, tier: u8, live: bool, start: i64, end: i64) -> Extent {
        Extent { source: SourceId(source), tier, live, range: TimeRange::new(start, end).unwrap() }
    }

    fn shown(extents: Vec<Extent>) -> Vec<(i64, i64, u32)> {
        let end = |t: i64| if t == TimeRange::MAX { 999 } else { t };
        let start = |t: i64| if t == TimeRange::MIN { -999 } else { t };
        tile(extents).iter().map(|t| (start(t.range.start()), end(t.range.end()), t.source.0)).collect()
    }

    #[test]
    fn the_newer_tier_serves_where_tiers_overlap() {
        let tiles = shown(vec![extent(0, HDB, true, 0, 20), extent(1, RDB, true, 10, 30)]);
        assert_eq!(tiles, [(-999, 10, 0), (10, 999, 1)]);
    }

    #[test]
    fn gaps_belong_to_the_tile_before_them() {
        let tiles = shown(vec![extent(0, HDB, true, 0, 5), extent(1, HDB, true, 8, 10)]);
        assert_eq!(tiles, [(-999, 8, 0), (8, 999, 1)]);
    }

    #[test]
    fn what_only_a_lost_source_held_stays_wanted() {
        let tiles = shown(vec![extent(0, HDB, true, 0, 15), extent(1, RDB, false, 10, 30)]);
        assert_eq!(tiles, [(-999, 15, 0), (15, 999, 1)]);
    }

    #[test]
    fn a_newer_source_may_cut_an_older_one_in_two() {
        let tiles = shown(vec![extent(0, HDB, true, 0, 30), extent(1, RDB, true, 10, 20)]);
        assert_eq!(tiles, [(-999, 10, 0), (10, 20, 1), (20, 999, 0)]);
    }

    #[test]
    fn what_is_served_already_claims_nothing() {
        let tiles = shown(vec![extent(0, HDB, true, 0, 18), extent(0, HDB, false, 0, 1)]);
        assert_eq!(tiles, [(-999, 999, 0)]);
    }

    #[test]
    fn a_table_without_rows_is_still_served() {
        assert_eq!(shown(vec![extent(3, HDB, true, 7, 7)]), [(-999, 999, 3)]);
        assert!(tile(Vec::new()).is_empty());
    }

    proptest! {
        #[test]
        fn every_instant_is_in_exactly_one_tile(
            raw in prop::collection::vec((0u32..6, 0u8..3, any::<bool>(), -50i64..50, 0i64..40), 1..12)
        ) {
            let extents: Vec<Extent> =
                raw.iter().map(|&(s, t, live, start, len)| extent(s, t, live, start, start + len)).collect();
            let tiles = tile(extents.clone());
            prop_assert_eq!(tiles[0].range.start(), TimeRange::MIN);
            prop_assert_eq!(tiles[tiles.len() - 1].range.end(), TimeRange::MAX);
            for pair in tiles.windows(2) {
                prop_assert_eq!(pair[0].range.end(), pair[1].range.start());
            }
            for t in -60i64..100 {
                let holders = || extents.iter().filter(|e| e.range.start() <= t && t < e.range.end());
                let best = holders().map(|e| (e.live, e.tier)).max();
                if let Some(best) = best {
                    let source = tiles[at(&tiles, t)].source;
                    prop_assert!(
                        holders().any(|e| (e.live, e.tier) == best && e.source == source),
                        "instant {} is served by {:?} of {:?}", t, source, extents
                    );
                }
            }
        }
    }
}
