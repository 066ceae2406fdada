//! Runs any number of subjects in parallel and sums up.

use super::subject::{Item, Options, Outcome, Prepared, Row, Subject, Workers};
use crate::engine::coverage::{Coverage, Lines};
use regex::Regex;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Room for deep recursion of the engine's own code.
const STACK: usize = 16 * 1024 * 1024;

/// Items that a thread takes at once.
const CHUNK: usize = 16;

/// What is run, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Threads.
    pub jobs: NonZeroUsize,
    /// Only items whose policy, name or path it finds itself in.
    pub only: Option<Regex>,
    /// Note which lines are evaluated.
    pub coverage: bool,
    /// How items are run.
    pub options: Options,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// All items, in the order of subjects.
    pub rows: Vec<Row>,
    /// What cannot be used, so that something was not run.
    pub errors: Vec<String>,
    /// Policies without any case or test: id and file.
    pub untested: Vec<(String, String)>,
    /// How many policies there are.
    pub policies: usize,
    /// By file of the subjects; `None` where nothing of it was evaluated.
    pub coverage: Option<BTreeMap<String, Option<Lines>>>,
    /// How long it took.
    pub took: Duration,
    /// Threads.
    pub jobs: usize,
}

/// Numbers of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cases that were run.
    pub cases: usize,
    /// `test_` rules that were run.
    pub tests: usize,
    /// Items as they should be.
    pub passed: usize,
    /// Items that are not, and policies without any.
    pub failed: usize,
    /// `todo_test_` rules.
    pub skipped: usize,
    /// Items that cannot be run, and files that cannot be used.
    pub errors: usize,
    /// Cases that only the interpreter answered.
    pub cases_alone: usize,
    /// Tests that only the interpreter answered.
    pub tests_alone: usize,
}

impl Report {
    /// The numbers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { failed: self.untested.len(), errors: self.errors.len(), ..Counts::default() };
        for row in &self.rows {
            match row.result {
                Outcome::Passed => counts.passed += 1,
                Outcome::Skipped => counts.skipped += 1,
                Outcome::Failed(_) => counts.failed += 1,
                Outcome::Broken(_) => counts.errors += 1,
            }
            let ran = usize::from(!matches!(row.result, Outcome::Skipped));
            let alone = usize::from(row.interpreter_alone.is_some());
            if row.is_case {
                counts.cases += ran;
                counts.cases_alone += alone;
            } else {
                counts.tests += ran;
                counts.tests_alone += alone;
            }
        }
        counts
    }

    /// Why the interpreter alone answered tests, with how many: the most frequent first.
    #[must_use]
    pub fn alone(&self) -> Vec<(String, usize)> {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for reason in self.rows.iter().filter_map(|row| row.interpreter_alone.as_deref()) {
            *reasons.entry(reason).or_default() += 1;
        }
        let mut reasons: Vec<(String, usize)> = reasons.into_iter().map(|(r, n)| (r.to_owned(), n)).collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons
    }

    /// Covered part of all lines, in percent, and how many lines there are. `None` where nobody asked.
    #[must_use]
    pub fn covered(&self) -> Option<(f64, usize)> {
        let files = self.coverage.as_ref()?;
        let mut all = Lines::default();
        // numbers of lines of different files are kept apart by counting on
        let mut next = 0;
        for lines in files.values().flatten() {
            all.all.extend(lines.all.iter().map(|line| next + line));
            all.covered.extend(lines.covered.iter().map(|line| next + line));
            next += lines.all.last().copied().unwrap_or_default();
        }
        Some((all.percent(), all.all.len()))
    }

    /// Files of which less than this part is covered, in percent, with their part.
    #[must_use]
    pub fn below(&self, threshold: f64) -> Vec<(&str, f64)> {
        let files = self.coverage.iter().flatten();
        let percent = |(file, lines): (_, &Option<Lines>)| (file, lines.as_ref().map_or(0.0, Lines::percent));
        files.map(|(file, lines)| percent((file.as_str(), lines))).filter(|(_, part)| *part < threshold).collect()
    }
}

/// Runs it. `progress` is told how many items of how many are done, by any thread.
#[must_use]
pub fn run(subjects: &[Subject], plan: &Plan, progress: &(dyn Fn(usize, usize) + Sync)) -> Report {
    let started = Instant::now();
    let mut report = Report { jobs: plan.jobs.get(), ..Report::default() };
    report.policies = subjects.iter().filter(|subject| subject.policy.is_some()).count();
    let prepared = parallel(plan.jobs, subjects, &|(): &mut (), subject: &Subject| subject.prepare());
    let prepared: Vec<(&Subject, Prepared)> = subjects
        .iter()
        .zip(prepared)
        .filter_map(|(subject, prepared)| match prepared {
            Ok(prepared) => {
                report.errors.extend(prepared.broken.iter().cloned());
                Some((subject, prepared))
            }
            Err(error) => {
                // what is wrong with the library is told by every policy that uses it
                report.errors.push(error.to_string());
                None
            }
        })
        .collect();
    let mut items: Vec<(&Prepared, Item<'_>)> = Vec::new();
    for (subject, prepared) in &prepared {
        let own = prepared.items();
        if own.is_empty() && prepared.broken.is_empty() && subject.policy.is_some() && plan.only.is_none() {
            report.untested.push((subject.name().to_owned(), subject.file.clone()));
        }
        let wanted = |item: &Item<'_>| plan.only.as_ref().is_none_or(|only| matches(only, subject, item));
        items.extend(own.into_iter().filter(wanted).map(|item| (prepared, item)));
    }
    let done = AtomicUsize::new(0);
    let coverage = Mutex::new(Coverage::default());
    let chunks: Vec<&[(&Prepared, Item<'_>)]> = items.chunks(CHUNK).collect();
    let rows = parallel::<_, Option<Held<'_>>, _>(plan.jobs, &chunks, &|workers, chunk| {
        let held = workers.get_or_insert_with(|| Held::new(plan.coverage, &coverage));
        let run = |(prepared, item): &(&Prepared, Item<'_>)| {
            let row = prepared.run(*item, &plan.options, &mut held.workers);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, items.len());
            row
        };
        chunk.iter().map(run).collect::<Vec<Row>>()
    });
    report.rows = rows.into_iter().flatten().collect();
    let mut seen = std::collections::BTreeSet::new();
    report.errors.retain(|error| seen.insert(error.clone()));
    if plan.coverage {
        let mut coverage = coverage.into_inner().unwrap_or_else(PoisonError::into_inner);
        let files = subjects.iter().flat_map(Subject::modules).map(|source| source.file.clone());
        report.coverage = Some(files.map(|file| (file.clone(), coverage.files.remove(&file))).collect());
    }
    report.took = started.elapsed();
    report
}

/// Whether an item is wanted: the pattern is looked for in the policy, the name and the place, and as `opa test --run` does in
/// the full name of a test.
fn matches(only: &Regex, subject: &Subject, item: &Item<'_>) -> bool {
    let full = match item {
        Item::Case(files, _) => format!("{} {} {}", subject.name(), item.name(), files.folder),
        Item::Test(test) => {
            format!("{} {} {} {}.{}", subject.name(), test.name, item.place(), test.package, test.name)
        }
    };
    full.split(' ').any(|part| only.is_match(part)) || only.is_match(&format!("{}/{}", subject.name(), item.name()))
}

/// The machines of a thread, which hand in their coverage at the end.
struct Held<'r> {
    workers: Workers,
    coverage: &'r Mutex<Coverage>,
}

impl<'r> Held<'r> {
    fn new(covering: bool, coverage: &'r Mutex<Coverage>) -> Self {
        Self { workers: if covering { Workers::covering() } else { Workers::default() }, coverage }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let own = std::mem::take(&mut self.workers).coverage();
        self.coverage.lock().unwrap_or_else(PoisonError::into_inner).merge(own);
    }
}

/// Runs a function on all inputs in threads, each with a state of its own, and returns the results in the order of the inputs. A
/// thread that the operating system does not give is done without.
fn parallel<I: Sync, S: Default, R: Send>(
    jobs: NonZeroUsize,
    inputs: &[I],
    run: &(dyn Fn(&mut S, &I) -> R + Sync),
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(inputs.len()));
    let work = || {
        let mut state = S::default();
        while let Some((at, input)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, inputs.get(at)?)))
        {
            let result = run(&mut state, input);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    std::thread::scope(|scope| {
        let started = (0..jobs.get().min(inputs.len()))
            .filter(|_| std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).is_ok())
            .count();
        if started == 0 {
            work();
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
