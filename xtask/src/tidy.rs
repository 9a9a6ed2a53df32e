//! House rules that no lint knows, as tests.

use std::path::{Path, PathBuf};

/// Which of our crates a crate may use; the arrows of ARCHITECTURE.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("tenantry-core", &[]),
    ("tenantry-api", &[]),
    ("tenantry-testkit", &[]),
    ("tenantry-store", &["tenantry-core"]),
    ("tenantry-gateway", &["tenantry-core"]),
    ("tenantry-server", &["tenantry-api", "tenantry-core", "tenantry-gateway", "tenantry-store"]),
    ("tenantry", &["tenantry-server", "tenantry-store"]),
];

/// Words that give a layer away, and the only places where they may stand.
const BOUNDARIES: &[(&str, &[&str])] = &[
    (
        "sqlx::",
        &["crates/tenantry-store/src/db", "crates/tenantry-store/src/schema.rs", "crates/tenantry-testkit", "benches"],
    ),
    ("PgPool", &["crates/tenantry-store/src/db", "benches"]),
    ("axum::", &["crates/tenantry-server"]),
    ("StatusCode", &["crates/tenantry-server/src"]),
    ("SELECT ", &["crates/tenantry-store", "benches"]),
    ("std::env::var(", &["crates/tenantry/src/config.rs", "crates/tenantry-testkit", "xtask", "benches"]),
];

/// A file longer than this is no longer one room.
const LONGEST_FILE: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files below `directory`, by their path from the root, with their text.
fn sources(directory: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() && !entry.ends_with("target") {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let name = entry.strip_prefix(root()).expect("below the root").display().to_string();
            found.push((name, std::fs::read_to_string(&entry).expect("text")));
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for directory in ["crates", "xtask", "benches"] {
        sources(&root().join(directory), &mut found);
    }
    found
}

#[test]
fn crates_depend_in_one_direction() {
    for entry in std::fs::read_dir(root().join("crates")).expect("crates") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let (_, allowed) =
            ARROWS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("draw the arrows of {name}"));
        let manifest = std::fs::read_to_string(path.join("Cargo.toml")).expect("a manifest");
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        for used in dependencies
            .lines()
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .filter(|used| used.starts_with("tenantry"))
        {
            assert!(allowed.contains(&used), "{name} must not use {used}");
        }
    }
}

#[test]
fn layers_keep_to_themselves() {
    for (name, text) in all_sources() {
        if name.ends_with("tidy.rs") || name.contains("/tests/") {
            continue;
        }
        for (word, places) in BOUNDARIES {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let strays = code.filter(|line| line.contains(word)).count();
            assert!(strays == 0 || places.iter().any(|place| name.starts_with(place)), "`{word}` stands in {name}");
        }
    }
}

#[test]
fn files_say_what_they_are_and_stay_readable() {
    for (name, text) in all_sources() {
        assert!(text.starts_with("//!"), "{name} does not say what it is");
        assert!(text.lines().count() <= LONGEST_FILE, "{name} is longer than {LONGEST_FILE} lines");
    }
}
