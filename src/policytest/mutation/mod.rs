//! `seawall test --mutate`: changes each rule and condition of a policy in turn and asks its cases and tests whether they
//! notice. A change that nobody notices is a condition that nobody tests.
//!
//! [`crate::engine::mutants`] makes the changes, [`survivors`] reads the changes that are known to make no difference, each with
//! its reason, and [`text`] tells what came of it.

pub mod survivors;
pub mod text;

use super::subject::{Notice, Options, Prepared, Subject};
use crate::engine::mutants::{Mutant, mutants};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use survivors::Listed;

/// Room for deep recursion of the engine's own code, as the server's workers have it.
const STACK: usize = 16 * 1024 * 1024;

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A case or test notices it.
    Killed,
    /// Nothing notices it.
    Survived,
    /// It cannot be loaded, so it does not count.
    Invalid,
}

/// A mutant that nothing notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// The change.
    pub mutant: Mutant,
    /// Why that is in order, where the policy says so.
    pub reason: Option<String>,
}

/// What came of one policy.
#[derive(Debug, Clone, Default)]
pub struct Mutated {
    /// Its id, or the package of the library.
    pub name: String,
    /// Its file.
    pub file: String,
    /// How many mutants were noticed.
    pub killed: usize,
    /// How many cannot be loaded.
    pub invalid: usize,
    /// Those that nothing notices, by line.
    pub survivors: Vec<Survivor>,
    /// Why it was not mutated, or what is wrong with its list of survivors.
    pub problems: Vec<String>,
}

/// What came of all.
#[derive(Debug, Clone, Default)]
pub struct Mutation {
    /// By policy, in the order in which they were given.
    pub policies: Vec<Mutated>,
}

impl Mutation {
    /// Mutants that could be loaded, and those of them that were noticed.
    #[must_use]
    pub fn counted(&self) -> (usize, usize) {
        let killed: usize = self.policies.iter().map(|policy| policy.killed).sum();
        let survived: usize = self.policies.iter().map(|policy| policy.survivors.len()).sum();
        (killed + survived, killed)
    }

    /// Survivors without a reason.
    #[must_use]
    pub fn unexplained(&self) -> usize {
        self.policies.iter().flat_map(|policy| &policy.survivors).filter(|s| s.reason.is_none()).count()
    }

    /// Whether something could not be done, or a list of survivors is wrong.
    #[must_use]
    pub fn has_problems(&self) -> bool {
        self.policies.iter().any(|policy| !policy.problems.is_empty())
    }

    /// Whether at least so many of a hundred were noticed.
    #[must_use]
    pub fn reaches(&self, percent: f64) -> bool {
        let (all, killed) = self.counted();
        // figures far below what a float holds exactly
        #[expect(clippy::cast_precision_loss, reason = "counts of mutants")]
        let share = if all == 0 { 100.0 } else { killed as f64 * 100.0 / all as f64 };
        share >= percent
    }
}

/// A policy that is being mutated.
struct Task<'t> {
    subject: &'t Subject,
    prepared: Prepared,
    mutants: Vec<Mutant>,
    source: String,
    /// Numbers of the cases; those that noticed something last come first, since they are the ones that notice most.
    order: Mutex<Vec<usize>>,
}

/// Mutates subjects, on so many threads. `done` is called with how many mutants are done and how many there are.
#[must_use]
pub fn run(subjects: &[&Subject], threads: usize, done: &(dyn Fn(usize, usize) + Sync)) -> Mutation {
    let mut policies: Vec<Mutated> = Vec::new();
    let mut tasks = Vec::new();
    for subject in subjects {
        let mut row = Mutated { name: subject.name().to_owned(), file: subject.file.clone(), ..Mutated::default() };
        match task(subject) {
            Ok(task) => tasks.push((policies.len(), task)),
            Err(problems) => row.problems = problems,
        }
        policies.push(row);
    }
    let jobs: Vec<(usize, &Task<'_>, &Mutant)> =
        tasks.iter().flat_map(|(row, task)| task.mutants.iter().map(move |mutant| (*row, task, mutant))).collect();
    let fates = fates(&jobs, threads, done);
    for ((row, _, mutant), fate) in jobs.iter().zip(fates) {
        let Some(policy) = policies.get_mut(*row) else { continue };
        match fate {
            Fate::Killed => policy.killed += 1,
            Fate::Invalid => policy.invalid += 1,
            Fate::Survived => policy.survivors.push(Survivor { mutant: (*mutant).clone(), reason: None }),
        }
    }
    for (row, task) in &tasks {
        let (Some(list), Some(mutated)) = (task.subject.survivors(), policies.get_mut(*row)) else { continue };
        match Listed::parse(&list.file, &list.text) {
            Ok(listed) => listed.explain(&task.mutants, mutated),
            Err(problem) => mutated.problems.push(problem),
        }
    }
    Mutation { policies }
}

/// Reads, compiles and tests a policy as it is, and makes its mutants.
fn task(subject: &Subject) -> Result<Task<'_>, Vec<String>> {
    let prepared = subject.prepare().map_err(|error| vec![error.to_string()])?;
    if !prepared.broken.is_empty() {
        return Err(prepared.broken.clone());
    }
    let failed = prepared.failed(&Options { stop_at_first: true, one_engine: true });
    if let Some(row) = failed.first() {
        return Err(vec![format!("{}: {} fails as it is; mend it first (seawall test)", row.place, row.name)]);
    }
    let source = subject.modules().first().ok_or_else(|| vec!["it has no module".to_owned()])?;
    let mutants = mutants(source).map_err(|error| vec![error.to_string()])?;
    let order = Mutex::new((0..subject.cases().len()).collect());
    Ok(Task { subject, prepared, mutants, source: source.text.clone(), order })
}

/// What becomes of each mutant, in order.
fn fates(jobs: &[(usize, &Task<'_>, &Mutant)], threads: usize, done: &(dyn Fn(usize, usize) + Sync)) -> Vec<Fate> {
    let next = AtomicUsize::new(0);
    let finished = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, Fate)>> = Mutex::new(Vec::with_capacity(jobs.len()));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((_, task, mutant)) = jobs.get(index) else { return };
            let fate = fate(task, mutant);
            found.lock().unwrap_or_else(PoisonError::into_inner).push((index, fate));
            done(finished.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            // where the system gives no thread, this one does the work
            if std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).is_err() {
                work();
            }
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, fate)| fate).collect()
}

fn fate(task: &Task<'_>, mutant: &Mutant) -> Fate {
    let order = task.order.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let text = mutant.apply(&task.source);
    // a text that makes the engine panic is one that does not load
    let noticed = catch_unwind(AssertUnwindSafe(|| task.subject.noticed_by(text, &task.prepared, &order)));
    match noticed {
        Err(_) | Ok(Err(_)) => Fate::Invalid,
        Ok(Ok(None)) => Fate::Survived,
        Ok(Ok(Some(notice))) => {
            if let Notice::Case(number) = notice {
                let mut order = task.order.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(position) = order.iter().position(|known| *known == number) {
                    order.remove(position);
                    order.insert(0, number);
                }
            }
            Fate::Killed
        }
    }
}
