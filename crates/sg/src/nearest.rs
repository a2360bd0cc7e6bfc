//! Which known name was meant by one that nobody knows.

/// The known name that is closest to a name: the same but for case, or within a third of its letters changed, left
/// out, added or exchanged with the next. `None` where nothing is close.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Suggestions are for people: longer names are nobody's slip.
    const LONGEST: usize = 200;
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let lower: Vec<char> = name.to_lowercase().chars().collect();
    let most = (lower.len() / 3).clamp(1, 3);
    let judged = known.into_iter().filter(|k| k.len() <= LONGEST).filter_map(|known| {
        let other: Vec<char> = known.to_lowercase().chars().collect();
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
}
