//! The known name nearest to an unknown name.

/// The known name that is closest to a name: the same but for case, or within a third of its letters changed, left
/// out, added or exchanged with the next. `None` where nothing is close.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    within((name.chars().count() / 3).clamp(1, 3), name, known)
}

/// The known name that is closest, at most so many letters away.
pub(crate) fn within<'a>(
    most: usize,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Suggestions are for people: longer names are nobody's slip.
    const LONGEST: usize = 200;
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let lower: Vec<char> = name.to_lowercase().chars().collect();
    let judged = known.into_iter().filter(|k| k.len() <= LONGEST).filter_map(|known| {
        let other: Vec<char> = known.to_lowercase().chars().collect();
        if lower.len().abs_diff(other.len()) > most {
            return None;
        }
        let far = distance(&lower, &other);
        (far <= most && known != name).then_some((far, known))
    });
    judged.min().map(|(_, known)| known)
}

/// Letters to change, leave out, add or exchange with the next to make one of the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_names_are_not() {
        let known = ["table", "startTS", "endTS", "labels"];
        for (slip, meant) in
            [("tabel", "table"), ("STARTTS", "startTS"), ("label", "labels"), ("endts", "endTS")]
        {
            assert_eq!(nearest(slip, known), Some(meant), "{slip}");
        }
        for other in ["", "price", "x"] {
            assert_eq!(nearest(other, known), None, "{other}");
        }
    }

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let known = ["trade", "quote", "GATEWAY_QIPC_PORT", ".kxi.getData", ".kxi.getMeta"];
        for (typed, meant) in [
            ("trad", Some("trade")),
            ("TRADE", Some("trade")),
            ("qoute", Some("quote")),
            ("GATEWAY_QPIC_PORT", Some("GATEWAY_QIPC_PORT")),
            (".KXI.getdata", Some(".kxi.getData")),
            ("orders", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }

    /// One slip in a name leads back to it: a letter left out, doubled, exchanged with the next, or of the other case.
    #[test]
    fn a_slip_in_a_name_leads_back_to_it() {
        let known = [
            "trade",
            "quote",
            "orders_2024",
            "GATEWAY_QIPC_PORT",
            ".kxi.getData",
            ".qmesh.explain",
            "日本の表",
        ];
        let mut seed = 12u64;
        let mut roll = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for case in 0..1000 {
            let meant = known[roll(known.len())];
            let mut letters: Vec<char> = meant.chars().collect();
            let at = roll(letters.len() - 1);
            match roll(4) {
                0 => drop(letters.remove(at)),
                1 => letters.insert(at, letters[at]),
                2 => letters.swap(at, at + 1),
                _ => letters.iter_mut().for_each(|c| {
                    *c = if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
                }),
            }
            let typed: String = letters.into_iter().collect();
            if !known.contains(&typed.as_str()) {
                assert_eq!(nearest(&typed, known), Some(meant), "case {case}: {typed}");
            }
        }
    }
}
