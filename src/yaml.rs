//! YAML errors in words: the parser's own text repeats the place and draws an excerpt; here it is the problem alone.

/// Line, column (both from 1) and problem of an error.
#[must_use]
pub fn problem(error: &serde_saphyr::Error) -> (u64, u64, String) {
    let (line, column) = error.location().map_or((1, 1), |l| (l.line(), l.column()));
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let place = format!("line {line} column {column}: ");
    let problem = first.strip_prefix("error: ").unwrap_or(first);
    (line, column, problem.strip_prefix(&place).unwrap_or(problem).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_told_once() {
        let error = serde_saphyr::from_str::<std::collections::BTreeMap<String, u64>>("a: 1\nb: x\n").unwrap_err();
        assert_eq!(problem(&error), (2, 4, "invalid u64".to_owned()));
    }
}
