//! Words that people write: the known one that is near an unknown one.

/// `; did you mean "x"?` where a known word is near.
pub fn closest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> String {
    near(word, known).map(|known| format!("; did you mean {known:?}?")).unwrap_or_default()
}

/// The known word that is near.
pub fn near<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    // comparing is quadratic, and nobody mistypes that much
    let short: String = word.chars().take(100).collect();
    let ratio = |known: &'w str| (similar::TextDiff::from_chars(short.as_str(), known).ratio(), known);
    let near = known.map(ratio).max_by(|a, b| a.0.total_cmp(&b.0));
    near.filter(|(ratio, _)| *ratio > 0.6).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_named_and_a_far_one_is_not() {
        let known = ["severity", "actions"];
        assert_eq!(closest("severty", known.into_iter()), "; did you mean \"severity\"?");
        assert_eq!(closest("zzz", known.into_iter()), "");
        assert_eq!(closest("severity", std::iter::empty()), "");
    }
}
