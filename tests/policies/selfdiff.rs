//! A set compared with itself over the inputs of all cases of all policies changes nothing; compared with a configuration that
//! turns one policy off, exactly what that policy says.

use seawall::config::Settings;
use seawall::context::manifest::Known;
use seawall::policy::mode::Mode;
use seawall::policydiff::change::Change;
use seawall::policydiff::replay::{Options, compare_reviews};
use seawall::policydiff::sets::{EMBEDDED, SetChanges, Side, Wanted, load};
use seawall::policydiff::tally::Tally;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Compares over what is below this folder of the embedded policies.
fn compared(old: &Side, new: &Side, folder: &str) -> Tally {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(folder);
    let mut tally = Tally::new(1);
    let options = Options { mode: Some(Mode::Enforce), tier: None };
    let known = Arc::new(Known::default());
    let now = "2026-01-15T12:00:00Z".parse().unwrap();
    compare_reviews(&[cases], &mut io::empty(), (old, new), &known, &options, now, &mut tally).unwrap();
    tally
}

#[test]
fn a_set_is_the_same_as_itself_and_differs_by_what_is_turned_off() {
    let off = "policies:\n  database-without-volume: {actions: {tier-0: Off, tier-1: Off, tier-2: Off, tier-3: Off}}\n";
    let off = Settings::parse(Path::new("seawall.yaml"), off).unwrap();
    let wanted = |settings: Settings| Wanted::named(EMBEDDED, false, settings, false);
    let (same, without) = load(wanted(Settings::default()), wanted(off)).unwrap();

    let tally = compared(&same, &same, "");
    assert_eq!(tally.errors, [], "{} errors", tally.error_count);
    assert!(!tally.has_changes() && tally.is_complete(), "{:?} {:?}", tally.groups.keys(), tally.failed_both);
    assert!(tally.total().judged >= 400, "{} inputs", tally.total().judged);
    assert_eq!(tally.total().decisions, 0);
    assert!(SetChanges::of(&same, &same).is_empty());

    let tally = compared(&same, &without, "seawall/policies/database_without_volume");
    let policies: BTreeSet<&str> = tally.groups.keys().map(|(policy, ..)| policy.as_str()).collect();
    assert_eq!(policies, BTreeSet::from(["database-without-volume"]), "no other policy changes with it");
    let changes: BTreeSet<Change> = tally.groups.keys().map(|(_, change, _)| *change).collect();
    let less = [Change::NoLongerDenied, Change::NoLongerWarned, Change::NoLongerRecorded];
    assert!(changes.contains(&Change::NoLongerDenied) && changes.iter().all(|c| less.contains(c)), "{changes:?}");
    assert!(tally.total().no_longer_denied > 0 && tally.total().newly_denied == 0, "{:?}", tally.total());
    let sets = SetChanges::of(&same, &without);
    assert_eq!(sets.changed.iter().map(|c| c.policy.as_str()).collect::<Vec<_>>(), ["database-without-volume"]);
}
