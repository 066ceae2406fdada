//! `seawall test --mutate`: do the tests notice when a condition is lost?

use crate::policytest::load::Loaded;
use crate::policytest::mutation::{self, Mutation, text};
use crate::policytest::subject::Subject;
use anyhow::bail;
use clap::Args;
use regex::Regex;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::process::ExitCode;

/// Flags of `test` for mutation.
#[derive(Debug, Clone, Args)]
pub(super) struct MutationArgs {
    /// Change each rule and condition in turn, and report the changes that no case or test notices
    #[arg(long, conflicts_with_all = ["update", "coverage", "coverage_threshold", "format"])]
    pub(super) mutate: bool,
    /// Exit code 1 where fewer changes of a hundred are noticed
    #[arg(long, value_name = "PERCENT", default_value_t = 90.0, requires = "mutate", value_parser = percent)]
    mutation_threshold: f64,
}

fn percent(word: &str) -> Result<f64, String> {
    let found = word.parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
    found.ok_or_else(|| format!("{word:?} is no percentage; wanted 0 to 100"))
}

/// Mutates the policies, or what matches a pattern. Exit codes: 0 enough is noticed and the rest has a reason, 1 when not, 2 when
/// something cannot be tried.
pub(super) fn run(
    loaded: &Loaded,
    only: Option<&Regex>,
    threads: usize,
    args: &MutationArgs,
) -> anyhow::Result<ExitCode> {
    let wanted = |subject: &&Subject| match only {
        Some(pattern) => {
            [subject.name(), &subject.package, &subject.file].into_iter().any(|name| pattern.is_match(name))
        }
        None => subject.policy.is_some(),
    };
    let subjects: Vec<&Subject> = loaded.subjects.iter().filter(wanted).collect();
    if subjects.is_empty() {
        bail!("there is no policy to change in what was named");
    }
    let shows = io::stderr().is_terminal();
    let done = |done: usize, all: usize| {
        // in the log of a pipeline ten lines say that it is getting on
        let tenth = |done: usize| done * 10 / all.max(1);
        if shows && (done.is_multiple_of(20) || done == all) {
            let _ = write!(io::stderr(), "\r{done} of {all} changes tried{}", if done == all { "\n" } else { "" });
        } else if !shows && all >= 100 && tenth(done) > tenth(done - 1) {
            let _ = writeln!(io::stderr(), "{done} of {all} changes tried");
        }
    };
    let mutation = mutation::run(&subjects, threads, &done);
    let mut out = BufWriter::new(io::stdout().lock());
    text::write(&mutation, &mut out)?;
    out.flush()?;
    verdict(&mutation, &loaded.problems, args.mutation_threshold)
}

fn verdict(mutation: &Mutation, problems: &[String], threshold: f64) -> anyhow::Result<ExitCode> {
    let mut stderr = io::stderr().lock();
    for problem in problems {
        writeln!(stderr, "error: {problem}")?;
    }
    for policy in &mutation.policies {
        for problem in &policy.problems {
            writeln!(stderr, "error: {}: {problem}", policy.name)?;
        }
    }
    if mutation.has_problems() || !problems.is_empty() {
        return Ok(ExitCode::from(2));
    }
    if !mutation.reaches(threshold) {
        writeln!(stderr, "fewer than {threshold} % of the changes are noticed")?;
    }
    let good = mutation.reaches(threshold) && mutation.unexplained() == 0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
