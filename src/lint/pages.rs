//! The pages of codes, made from their table: `docs/lint/<category>/<name>.md`, the index, and `--explain`.

use super::codes::{CODES, Code, Example, STANDARD_BLOCK, STANDARD_RULES};
use crate::engine::builtins::ALLOWED;

/// All pages by path below the repository's root.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = CODES.iter().map(|code| (code.page(), page(code))).collect();
    pages.push(("docs/lint/README.md".to_owned(), index()));
    pages
}

/// The page of a code.
#[must_use]
pub fn page(code: &Code) -> String {
    let page = format!("# {}\n\n{}", code.name, body(code));
    if code.name == "rego/builtin" {
        let permitted: String = ALLOWED.iter().map(|(name, arity)| format!("- `{name}` ({arity})\n")).collect();
        return format!("{page}\n## Permitted builtins\n\nWith the number of arguments:\n\n{permitted}");
    }
    page
}

/// The page without its title.
#[must_use]
pub fn body(code: &Code) -> String {
    let suppress = if matches!(code.category(), "files" | "lint") || code.name == "cases/unreadable" {
        format!("It has no line of Rego to stand above: `seawall lint --allow {}` silences it everywhere.", code.name)
    } else {
        format!(
            "On the line above it, with a reason (above `# METADATA` for everything in the block and for the package line):\n\n\
             ```rego\n# seawall-lint: ignore {} why it is right here\n```\n\n\
             `seawall lint --allow {}` silences it everywhere.",
            code.name, code.name
        )
    };
    let refused = if code.refused {
        " The server does not load such a policy either, and silencing the finding does not change that."
    } else {
        ""
    };
    format!(
        "{}. Level: {}.\n\n{}{refused}\n\n{}\n\n## Not like this\n\n{}\n## But like this\n\n{}\n## To silence it\n\n{suppress}\n",
        code.title,
        code.level.as_str(),
        code.why,
        code.fix,
        example(&code.bad),
        example(&code.good),
    )
}

fn fenced(language: &str, text: &str) -> String {
    if text.trim().is_empty() {
        return "No rule.\n".to_owned();
    }
    format!("```{language}\n{}\n```\n", text.trim_matches('\n'))
}

fn example(example: &Example) -> String {
    let custom = |custom: &str, rules: &str| match custom {
        "" => fenced("rego", rules),
        _ => fenced("yaml", &format!("# in METADATA, below custom\n{custom}")) + "\n" + &fenced("rego", rules),
    };
    match example {
        Example::Rules(text) => fenced("rego", text),
        Example::With(lines, rules) => custom(lines, rules),
        Example::Only(lines, rules) => custom(lines, rules),
        Example::Second(lines, rules, other) => {
            custom(lines, rules) + "\nand in another policy\n\n" + &fenced("rego", other)
        }
        Example::Instead(line, "") => format!("METADATA without the line `{}`.\n", line.trim_start_matches(['#', ' '])),
        Example::Instead(_, lines) => fenced("rego", lines),
        Example::Files(files) => {
            let file = |(path, text): &(&str, &str)| match text.trim_matches('\n') {
                "" => format!("No file `{path}`.\n"),
                _ => format!("`{path}`:\n\n{}", fenced(path.rsplit('.').next().unwrap_or_default(), text)),
            };
            files.iter().map(file).collect::<Vec<_>>().join("\n")
        }
        Example::Made(text) => format!("{text}\n"),
    }
}

fn index() -> String {
    let mut text = INDEX.to_owned();
    for code in CODES.iter() {
        text.push_str(&format!("| [{}]({}.md) | {} | {} |\n", code.name, code.name, code.level.as_str(), code.title));
    }
    text.push_str(&format!(
        "\n## The policy of the examples\n\nExamples show what is added to this policy, or what changes in it. It is in a folder \
         `seawall/policies/example/` with a page, a test and two cases.\n\n{}",
        fenced("rego", &format!("{STANDARD_BLOCK}\n{STANDARD_RULES}"))
    ));
    text
}

/// All codes in a line each.
#[must_use]
pub fn list() -> String {
    CODES.iter().map(|code| format!("{:<28} {:<8} {}\n", code.name, code.level.as_str(), code.title)).collect()
}

const INDEX: &str = "# seawall lint

`seawall lint [PATH]` finds what is wrong with policies before they are loaded: METADATA, Rego that the engines refuse or get
wrong, rules that nothing reaches, answers without a fix, patches that never clear their violation, policies that contradict
each other, and policies without cases. It tells everything at once: a file that does not parse is one finding, and the others
are still looked at.

| PATH | what is linted |
| --- | --- |
| none | the embedded policies, and the folder of `--policies` |
| a folder of policies | all in it; the embedded library is there to be called, unless the folder has one of its own |
| the folder of one policy, or a file in it | that policy, seen together with the bundle around it |

| flag | effect |
| --- | --- |
| `--deny CODE`, `--allow CODE` | makes a code (or a category, as `cases`) an error, or silences it; may be repeated |
| `--max-level warning` | nothing is more than a warning |
| `--strict` | warnings make the exit code 1 too |
| `--format text, json, sarif, github` | for a person, a program, code scanning, annotations of GitHub Actions |
| `--explain CODE` | prints the page of a code; `--explain all` lists them |

Exit codes: 0 clean, 1 findings of level error (with `--strict` any), 2 it could not run.

A finding is silenced by a comment on the line above it, which must give a reason. One that silences nothing is a finding itself:

```rego
# seawall-lint: ignore context/cluster-scan a cluster has a handful of drivers
some name, driver in data.cluster.csidrivers
```

Above `# METADATA` it is about everything in the block and the package line, where findings about the policy as a whole stand.

Cases are run where policies can be loaded: what they patch is patched again and judged again, and the patches of all
policies are tried on the objects of all cases. Whether cases are as expected is for `seawall test`.

## Codes

| code | level | what |
| --- | --- | --- |
";
