//! The pages are those of the table.

use seawall::lint::pages;
use std::path::Path;

#[test]
fn the_pages_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = pages::all();
    let mut stale = Vec::new();
    for (path, text) in &pages {
        let file = root.join(path);
        if std::env::var_os("SEAWALL_UPDATE").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
        }
        if std::fs::read_to_string(&file).unwrap_or_default() != *text {
            stale.push(path.clone());
        }
    }
    assert!(stale.is_empty(), "SEAWALL_UPDATE=1 cargo test --test cli lint: {stale:?}");
    // and no page of a code that is gone
    for folder in std::fs::read_dir(root.join("docs/lint")).unwrap().flatten().filter(|f| f.path().is_dir()) {
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            let path = file.path().strip_prefix(root).unwrap().to_string_lossy().into_owned();
            assert!(pages.iter().any(|(page, _)| *page == path), "{path} is the page of no code");
        }
    }
}
