//! Looks at the shape of a module before the engine parses it: how deep brackets nest and how long chains are.
//!
//! The engine's parser, compiler and destructors are recursive, and a stack that overflows ends the process, which
//! nothing can catch. Nested brackets besides are read twice at each level (first as a comprehension, then as a list):
//! fourteen of them take seconds, thirty do not end. Longer chains than these would not be read by [`super::analysis`]
//! either, which could not say where they stand. The embedded policies keep well within the bounds.

/// Deepest nesting of brackets of all kinds.
const DEEPEST: usize = 12;

/// Most links of one chain: `a.b.c`, `a[b][c]`, `a + b + c`.
const LONGEST_CHAIN: usize = 40;

/// The line, from 1, at which a module is too deep for the engine, and what is wrong there.
#[must_use]
pub fn too_deep(text: &str) -> Option<(u64, String)> {
    let mut line = 1;
    // links of the chain that is being read, for each open bracket
    let mut levels: Vec<usize> = vec![0];
    let (mut fresh_line, mut goes_on) = (false, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' => {
                line += 1;
                fresh_line = true;
                continue;
            }
            '#' => {
                while rest.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            c if c.is_whitespace() => continue,
            _ => {}
        }
        let mut word = String::new();
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            while let Some(more) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(more);
            }
        }
        let infix = matches!(c, '.' | '+' | '-' | '*' | '/' | '%' | '&' | '|' | '=' | '<' | '>' | '!')
            || matches!(word.as_str(), "in" | "with" | "as");
        let links = infix || matches!(c, '[' | '(' | '{' | ']' | ')' | '}');
        if matches!(c, ']' | ')' | '}') && levels.len() > 1 {
            levels.pop();
        }
        let chain = levels.last_mut()?;
        if matches!(c, ',' | ';' | ':') || (fresh_line && !goes_on && !links) {
            *chain = 0;
        }
        *chain += usize::from(links);
        if *chain > LONGEST_CHAIN {
            let problem = format!("a chain of more than {LONGEST_CHAIN} links; use intermediate variables, or a list");
            return Some((line, problem));
        }
        match c {
            '[' | '(' | '{' => levels.push(0),
            '"' => {
                while let Some(c) = rest.next().filter(|c| *c != '"' && *c != '\n') {
                    if c == '\\' {
                        rest.next();
                    }
                }
            }
            '`' => {
                while let Some(c) = rest.next().filter(|c| *c != '`') {
                    line += u64::from(c == '\n');
                }
            }
            _ => {}
        }
        if levels.len() > DEEPEST + 1 {
            return Some((line, format!("brackets nest deeper than {DEEPEST} levels; use intermediate variables")));
        }
        (fresh_line, goes_on) = (false, infix);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_chains_are_bounded_and_strings_and_comments_do_not_count() {
        let nested = |n: usize| format!("package p\n\nx := {}1{}\n", "[\n".repeat(n), "]".repeat(n));
        assert_eq!(too_deep(&nested(DEEPEST)), None);
        assert_eq!(too_deep(&nested(DEEPEST + 1)).map(|(line, _)| line), Some(15));
        for link in ["[\"a\"\n]", " +\n1", "\n.a", " |\n{1}", " in\ny", "\n with input as y", "(\n)"] {
            let found = too_deep(&format!("package p\n\nx := y{}\n", link.repeat(300)));
            assert!(found.as_ref().is_some_and(|(_, problem)| problem.contains("chain")), "{link:?}: {found:?}");
        }
        for harmless in [
            format!("x := \"{}\"\n", "[".repeat(300)),
            format!("x := `{}`\n", "[\n".repeat(300)),
            format!("# {}\n", "a.b[".repeat(300)),
            format!("x := {{{}}}\n", "\"a\": [b.c],\n".repeat(300)),
            format!("x if {{\n{}}}\n", "input.a.b == c[d]\n".repeat(300)),
            "r if input.a[0].b\n".repeat(300),
        ] {
            assert_eq!(too_deep(&harmless), None, "{harmless}");
        }
    }
}
