use super::super::page::View;
use super::super::testing::{HOSTILE, finding, hostile, judged, mixed, report, warning, written};
use super::*;

#[test]
fn the_numbers_come_first_then_the_objects() {
    insta::assert_snapshot!(written(write, View::AsIs, &mixed()), @r##"
    ### Seawall: 1 denial, 1 warning in 2 objects

    **Incomplete.** This was not read or not judged:

    - app/db.yaml&#58;9&#58;1&#58; a key twice

    1 answer is missing for want of facts.

    | policy | deny | warn | audit | exempt | objects |
    | --- | ---: | ---: | ---: | ---: | ---: |
    | ` class-reclaim-retain ` (reclaim\-policy) | 1 | 0 | 0 | 0 | 1 |
    | ` b ` (reclaim\-policy) | 0 | 1 | 0 | 0 | 1 |
    | ` c ` (reclaim\-policy) | 0 | 0 | 0 | 1 | 1 |


    #### ` StatefulSet shop/db `, ` app/db.yaml:1:3 `

    - **deny** ` class-reclaim-retain ` ` spec.reclaimPolicy `: the class deletes volumes
      found ` Delete `, wanted ` Retain `.
      **Fix:** set reclaimPolicy&#58; Retain (line 7)
    - **warn** ` b ` ` spec.reclaimPolicy `: the class deletes volumes
      found ` Delete `, wanted ` Retain `.
      **Fix:** set reclaimPolicy&#58; Retain (line 7)
    - **exempt** ` c ` ` spec.reclaimPolicy `: the class deletes volumes
      found ` Delete `, wanted ` Retain `.
      **Fix:** set reclaimPolicy&#58; Retain (line 7)
      Note: exempt until 2026\-12\-31 by sre&#58; moving
    "##);
}

#[test]
fn a_comment_stays_small_shows_the_worst_and_says_what_is_left_out() {
    let object = |n: usize, finding: crate::decision::Finding| {
        let mut object = judged(vec![finding]);
        object.resource.name = format!("db-{n}");
        object.resource.namespace = Some(format!("shop-{n}"));
        object
    };
    let mut objects: Vec<Judged> = (0..3000).map(|n| object(n, warning("w"))).collect();
    objects.push(object(9999, finding("d")));
    let text = written(write, View::AsIs, &report(objects));
    assert!(text.len() <= MOST_BYTES && text.len() > MOST_BYTES / 2, "{}", text.len());
    let first = text.lines().find(|line| line.starts_with("#### ")).unwrap();
    assert!(first.contains("shop-9999/db-9999"), "{first}");
    let shown = text.matches("#### ").count();
    assert!(
        text.ends_with(&format!("\n{0} objects with {0} findings left out of this comment.\n", 3001 - shown)),
        "{text}"
    );
    assert!(text.contains("2961 more of 3001 left out"), "{text}");
    let many = written(write, View::AsIs, &report(vec![judged((0..500).map(|_| finding("d")).collect())]));
    assert!(many.contains("- and 480 more\n") && many.len() < 20_000, "{}", many.len());
}

#[test]
fn code_spans_hold_anything() {
    assert_eq!(code("a"), "` a `");
    assert_eq!(code("a``b`"), "``` a``b` ```");
    assert_eq!(cell("a|b"), "` a\\|b `");
    assert_eq!(code(""), "");
}

#[test]
fn hostile_text_stays_text() {
    let text = written(write, View::AsIs, &report(vec![hostile()]));
    // outside of code spans there is no HTML, no link, no mention; `code_only` takes the spans away
    let prose = without_code(&text);
    for markup in ["<img", "<!--", "</script", "](", "@team"] {
        assert!(!prose.contains(markup), "{markup} in\n{prose}");
    }
    // the heading, one table, one object
    assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), 2, "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("| ")).count(), 3, "{text}");
    assert!(!text.contains(HOSTILE));
}

/// The text without its code spans, read as CommonMark says: as many backticks end a span as began it.
fn without_code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('`') {
        if rest[..start].ends_with('\\') {
            out.push_str(&rest[..=start]);
            rest = &rest[start + 1..];
            continue;
        }
        out.push_str(&rest[..start]);
        let fence = rest[start..].chars().take_while(|c| *c == '`').count();
        let inside = &rest[start + fence..];
        let end = inside
            .match_indices(&"`".repeat(fence))
            .map(|(at, _)| at)
            .find(|at| !inside[..*at].ends_with('`') && !inside[at + fence..].starts_with('`'));
        rest = &inside[end.unwrap() + fence..];
    }
    out + rest
}
