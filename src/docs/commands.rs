//! The page of the command line: every command with its arguments, from the flags themselves.

use super::{cell, escaped};
use clap::{Arg, Command};
use std::fmt::Write as _;

/// One section for each command, in the order of `--help`.
#[must_use]
pub fn page(command: &Command) -> String {
    let mut command = command.clone().disable_help_subcommand(true);
    command.build();
    let mut page = String::from(
        "Exit codes of all commands: 0 clean, 1 violations or failures, 2 could not run. Flags override the environment, which \
         overrides the configuration file.\n\n| command | does |\n| --- | --- |\n",
    );
    let mut sections = String::new();
    for subcommand in visible(&command) {
        section(subcommand, &mut page, &mut sections);
    }
    page + &sections
}

/// The subcommands that people see.
pub(super) fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

/// Adds a row and a section for a command, or for those below it where it is only a group of them.
fn section(command: &Command, rows: &mut String, sections: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let is_group = command.is_subcommand_required_set() || command.is_arg_required_else_help_set();
    if !(is_group && visible(command).next().is_some()) {
        let _ = writeln!(rows, "| [`{name}`](#{}) | {} |", name.replace(' ', "-"), cell(&about));
        let long = command.get_long_about().map_or(about, ToString::to_string);
        let long = long.lines().map(escaped).collect::<Vec<_>>().join("\n");
        let usage = command.clone().render_usage().to_string();
        let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
        let _ = write!(sections, "\n## {name}\n\n{long}\n\n```\n{usage}\n```\n");
        let arguments: Vec<&Arg> = command.get_arguments().filter(|arg| is_told(arg)).collect();
        if !arguments.is_empty() {
            sections.push_str("\n| argument | meaning |\n| --- | --- |\n");
        }
        for argument in arguments {
            let _ = writeln!(sections, "| `{}` | {} |", written(argument).replace('|', "\\|"), meaning(argument));
        }
        if let Some(more) = command.get_after_long_help().or_else(|| command.get_after_help()) {
            let _ = write!(sections, "\n```\n{}\n```\n", more.to_string().trim_end());
        }
    }
    for subcommand in visible(command) {
        section(subcommand, rows, sections);
    }
}

/// `--help` and `--version` are everywhere.
fn is_told(argument: &Arg) -> bool {
    !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
}

/// `-o, --output <FILE>`, `[PATH]...`
fn written(argument: &Arg) -> String {
    match argument.get_short() {
        Some(short) if argument.get_long().is_some() => format!("-{short}, {argument}"),
        _ => argument.to_string(),
    }
}

/// Help, values, default and environment variable, in one cell.
fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut text = cell(&help);
    if !argument.get_action().takes_values() {
        return text;
    }
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| {
            let help = value.get_help().map(|help| format!(" ({})", cell(&help.to_string()))).unwrap_or_default();
            format!("`{}`{help}", value.get_name())
        })
        .collect();
    if !values.is_empty() && !argument.is_hide_possible_values_set() {
        let _ = write!(text, "; one of {}", values.join(", "));
    }
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if !defaults.is_empty() && !argument.is_hide_default_value_set() {
        let _ = write!(text, "; default `{}`", defaults.join(" "));
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(text, "; environment `{}`", variable.to_string_lossy());
    }
    if argument.is_required_set() {
        text.push_str("; required");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{ArgAction, arg};

    #[test]
    fn every_command_has_its_section_and_groups_have_none() {
        let command = Command::new("tool").subcommand_required(true).subcommands([
            Command::new("one").about("Does <one> thing").args([
                arg!([path] ... "What to look at").value_name("PATH"),
                arg!(-o --output <FILE> "Where to").env("TOOL_OUTPUT").default_value("-"),
                arg!(--kind <KIND> "Which").value_parser(["a", "b"]).required(true),
                arg!(--secret "Nobody sees this").action(ArgAction::SetTrue).hide(true),
            ]),
            Command::new("group")
                .about("A group")
                .subcommand_required(true)
                .subcommand(Command::new("two").about("The second")),
            Command::new("internal").hide(true),
        ]);
        insta::assert_snapshot!(page(&command), @r"
        Exit codes of all commands: 0 clean, 1 violations or failures, 2 could not run. Flags override the environment, which overrides the configuration file.

        | command | does |
        | --- | --- |
        | [`tool one`](#tool-one) | Does \<one> thing |
        | [`tool group two`](#tool-group-two) | The second |

        ## tool one

        Does \<one> thing

        ```
        tool one [OPTIONS] --kind <KIND> [PATH]...
        ```

        | argument | meaning |
        | --- | --- |
        | `[PATH]...` | What to look at |
        | `-o, --output <FILE>` | Where to; default `-`; environment `TOOL_OUTPUT` |
        | `--kind <KIND>` | Which; one of `a`, `b`; required |

        ## tool group two

        The second

        ```
        tool group two
        ```
        ");
    }
}
