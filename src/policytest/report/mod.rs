//! What came of a test run: for a person ([`text`]), for a program ([`json`]), for what shows test results ([`junit`]).

pub mod json;
pub mod junit;
pub mod text;

/// Lines as ranges: `3, 7-9`.
#[must_use]
pub fn ranges(lines: impl Iterator<Item = u32>) -> Vec<String> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match ranges.last_mut().filter(|(_, last)| last + 1 == line) {
            Some((_, last)) => *last = line,
            None => ranges.push((line, line)),
        }
    }
    let word = |(first, last): (u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.into_iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_become_ranges() {
        assert_eq!(super::ranges([3, 7, 8, 9, 11].into_iter()), ["3", "7-9", "11"]);
        assert_eq!(super::ranges(std::iter::empty()), Vec::<String>::new());
    }
}
