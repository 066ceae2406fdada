//! The page of `seawall checklist --format html` in a real browser. Pictures are left in `target/tmp`.

use crate::browser::Browser;
use crate::checklist::{checklist, cluster, hostile};
use serde_json::json;
use std::path::{Path, PathBuf};

fn page(name: &str, input: &str) -> PathBuf {
    let html = checklist(&["--format", "html"], input);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, html.stdout).unwrap();
    file
}

/// Names of the workloads that are to be seen in the table.
const SHOWN: &str = "[...document.querySelectorAll('#card tbody tr')].filter(r => r.offsetParent !== null).map(r => r.cells[0].querySelector('a').textContent)";

/// Texts of less contrast than WCAG 2 asks of small text (1.4.3: 4.5 to 1), and their number in all.
const CONTRAST: &str = r"(() => {
  const rgb = c => c.match(/[\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = rgb(c).map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (rgb(c).length < 4 || rgb(c)[3] === 1) return c; } return 'rgb(255, 255, 255)'; };
  const bad = []; let seen = 0;
  for (const e of document.body.querySelectorAll('*')) {
    if (e.tagName === 'SCRIPT' || e.tagName === 'OPTION' || e.offsetParent === null || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    seen += 1;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 30) + ' ' + (a + 0.05) / (b + 0.05));
  }
  return {bad, seen};
})()";

#[test]
fn the_page_works_by_keyboard_and_shows_what_is_asked_for() {
    let Some(mut browser) = Browser::start() else { return };
    let file = page("checklist.html", &cluster().0);
    browser.window(1400, 1100);
    browser.open(&file, "");
    let all = json!(["pay/ledger", "shop/orders", "shop/files", "shop/main", "lab/play"]);
    assert_eq!(browser.eval(SHOWN), all);
    browser.picture(&file.with_extension("png"));

    // Tab leads to the link over the head, then to the filter; arrows choose
    browser.press("Tab", 9);
    assert_eq!(browser.eval("document.activeElement.className"), "skip");
    browser.press("Tab", 9);
    assert_eq!(browser.eval("document.activeElement.id"), "by-namespace");
    browser.press("ArrowDown", 40);
    assert_eq!(browser.eval("document.activeElement.value"), "/lab");
    assert_eq!(browser.eval(SHOWN), json!(["lab/play"]));
    assert_eq!(browser.eval("document.getElementById('shown').textContent"), "1 workload shown");
    browser.press("Tab", 9);
    browser.press("ArrowDown", 40);
    assert_eq!(browser.eval("document.getElementById('by-tier').value"), "tier-0");
    assert_eq!(browser.eval(SHOWN), json!([]), "both must hold");
    for _ in 0..3 {
        browser.press("Tab", 9);
    }
    assert_eq!(browser.eval("document.activeElement.type"), "reset");
    browser.call(
        "Input.dispatchKeyEvent",
        json!({"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}),
    );
    browser.call(
        "Input.dispatchKeyEvent",
        json!({"type": "keyUp", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}),
    );
    browser.eval("new Promise(done => setTimeout(done, 50))");
    assert_eq!(browser.eval(SHOWN), all);
    // what scrolls can be scrolled by keyboard, and what has the focus shows it
    browser.press("Tab", 9);
    assert_eq!(
        browser.eval("document.activeElement.className + getComputedStyle(document.activeElement).outlineStyle"),
        "scrollsolid"
    );

    // an address keeps the filter
    for (fragment, shown) in [
        ("#tier=tier-1", json!(["shop/orders", "shop/files", "shop/main"])),
        ("#namespace=%2Fshop&state=e", json!(["shop/files"])),
        ("#item=replication&state=o", json!(["pay/ledger", "shop/main", "lab/play"])),
        ("#item=nothing&tier=", all.clone()),
    ] {
        browser.open(&file, fragment);
        assert_eq!(browser.eval(SHOWN), shown, "{fragment}");
    }
    browser.open(&file, "#item=replication");
    let columns =
        "[...document.querySelectorAll('#card thead th')].filter(c => c.offsetParent !== null).map(c => c.textContent)";
    assert_eq!(browser.eval(columns), json!(["Workload", "Tier", "replication"]));
    browser.picture(&file.with_file_name("checklist-item.png"));
    // of every workload the task of this item, not only where it is the first
    let tasks = "[...document.querySelectorAll('[data-item]')].filter(r => r.offsetParent !== null).map(r => r.dataset.item + ' ' + r.cells[1].firstChild.textContent)";
    let of_item = ["pay/ledger", "shop/main", "lab/play"].map(|workload| format!("replication {workload}"));
    assert_eq!(browser.eval(tasks), json!(of_item));
    assert_eq!(browser.eval("location.hash"), "#item=replication");

    // without its script it is all there
    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    browser.open(&file, "#item=replication");
    assert_eq!(browser.eval(SHOWN), all);
    assert_eq!(browser.eval("document.getElementById('filter').offsetParent === null"), true);
}

#[test]
fn the_page_is_readable_in_every_light_on_paper_and_on_a_telephone() {
    let Some(mut browser) = Browser::start() else { return };
    let file = page("checklist-look.html", &cluster().0);
    browser.window(1400, 1100);
    browser.open(&file, "");
    for light in ["light", "dark"] {
        browser.call(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": light}]}),
        );
        let contrast = browser.eval(CONTRAST);
        assert_eq!(contrast["bad"], json!([]), "{light}");
        assert!(contrast["seen"].as_u64().unwrap() > 200, "{contrast}");
    }
    browser.picture(&file.with_file_name("checklist-dark.png"));
    // tables are tables
    let untold = "[...document.querySelectorAll('table')].filter(t => !t.caption || !t.caption.textContent.trim() || !t.tHead).length";
    assert_eq!(browser.eval(untold), 0);
    assert_eq!(browser.eval("[...document.querySelectorAll('th')].filter(h => !h.scope).length"), 0);
    assert_eq!(browser.eval("[...document.querySelectorAll('select')].filter(s => s.labels.length !== 1).length"), 0);
    assert_eq!(browser.eval("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size === document.querySelectorAll('[id]').length"), true);
    assert_eq!(browser.eval("[...document.querySelectorAll('a[href^=\"#\"]')].filter(a => !document.getElementById(a.hash.slice(1))).length"), 0);
    assert_eq!(browser.eval("[...document.querySelectorAll('#card tbody td.cell')].filter(c => !c.querySelector('.said').textContent).length"), 0);
    // each row has as many cells as the head, whatever spans them
    let odd = "[...document.querySelectorAll('#card tr')].filter(r => r.cells.length !== 27).length";
    assert_eq!(browser.eval(odd), 0);

    // a narrow screen: tables scroll, the page does not
    browser.window(360, 740);
    assert!(browser.eval("document.documentElement.scrollWidth").as_u64().unwrap() <= 360, "the page is too wide");
    browser.picture(&file.with_file_name("checklist-narrow.png"));

    // paper: A4 across, 12 mm around it
    let width = 1031;
    browser.window(width, 700);
    browser.call("Emulation.setEmulatedMedia", json!({"media": "print", "features": []}));
    assert!(
        browser.eval("document.documentElement.scrollWidth").as_u64().unwrap() <= width,
        "the table does not fit the paper"
    );
    assert_eq!(browser.eval("getComputedStyle(document.getElementById('filter')).display"), "none");
    assert_eq!(browser.eval(CONTRAST)["bad"], json!([]), "print");
    browser.picture(&file.with_file_name("checklist-print.png"));
    let pdf = browser.call("Page.printToPDF", json!({"preferCSSPageSize": true}));
    assert!(pdf["data"].as_str().unwrap().starts_with("JVBERi"), "%PDF");
}

#[test]
fn nothing_that_came_from_a_cluster_runs_and_nothing_is_fetched() {
    let Some(mut browser) = Browser::start() else { return };
    let file = page("checklist-hostile.html", &hostile());
    browser.open(&file, "");
    assert_eq!(browser.eval("typeof window.hacked"), "undefined");
    assert_eq!(browser.eval("[document.scripts.length, document.images.length, document.querySelectorAll('[onmouseover],[onerror]').length]"), json!([1, 0, 0]));
    assert_eq!(
        browser.eval("document.querySelector('#card tbody a').textContent"),
        "shop' onmouseover='hacked=1/a\"><script>hacked=1</script>"
    );
    // the filter knows the odd namespace by its name
    browser.eval("(() => { const s = document.getElementById('by-namespace'); s.selectedIndex = 1; s.dispatchEvent(new Event('change', {bubbles: true})); })()");
    assert_eq!(browser.eval(SHOWN).as_array().unwrap().len(), 1);
    // even with markup in it, the policy of the page would not let it run
    browser.eval("document.body.insertAdjacentHTML('beforeend', '<img src=\"https://example.com/x.png\" onerror=\"window.hacked = 2\"><button onclick=\"window.hacked = 3\" id=\"h\">h</button>'); document.getElementById('h').click()");
    assert_eq!(browser.eval("typeof window.hacked"), "undefined");
    browser.open(&file, "");
    browser.eval("1");
    let fetched: Vec<String> = browser
        .events
        .iter()
        .filter(|event| event["method"] == "Network.requestWillBeSent")
        .map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(fetched, [format!("file://{}", file.display())]);
    let complaints: Vec<&serde_json::Value> = browser
        .events
        .iter()
        .filter(|event| {
            ["Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"]
                .contains(&event["method"].as_str().unwrap_or_default())
        })
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}
