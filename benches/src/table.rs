//! Tables in Markdown, as the README has them.

use crate::options::{Benchmark, Options};
use crate::stats::thousands;

/// The cells of one row.
pub(crate) type Row = Vec<String>;

/// The table of a benchmark, under a sentence that says what was measured.
pub(crate) fn markdown(benchmark: Benchmark, options: &Options, rows: &[Row]) -> String {
    let (about, head): (String, &[&str]) = match benchmark {
        Benchmark::Creates => (
            "Accounts created in a second by 16 clients, each in a tree of its own, beside the same rows written by \
             plain SQL, and appends of 4 KiB that the disk makes durable one after the other."
                .to_owned(),
            &["Engine", "Over HTTP", "Plain SQL", "Ratio", "Ratio by round", "`fdatasync`"],
        ),
        Benchmark::Children => (
            format!(
                "A page of 100 children out of {} accounts, one client, beside the same query by plain SQL.",
                thousands(u64::try_from(options.accounts).unwrap_or(u64::MAX))
            ),
            &["Engine", "Over HTTP, p50", "p99", "Plain SQL, p50", "p99", "Times plain SQL, p50"],
        ),
        Benchmark::Move => (
            "A subtree of 10,000 accounts below its top, 4 levels in all, moved to another tree, beside one `UPDATE` of \
             the root of the same rows."
                .to_owned(),
            &["Engine", "Its depth", "Over HTTP", "Plain SQL", "Times plain SQL", "One `fdatasync`"],
        ),
        Benchmark::Rights => (
            "What a user with 5 memberships may do at the end of a path of 5 levels, beside the SHA-256 of a key.".to_owned(),
            &["Question", "Takes", "SHA-256 of a key", "Times SHA-256"],
        ),
        Benchmark::SignIns => (
            "Sign-ins with a password in a second by 16 clients, beside the same check of a password alone.".to_owned(),
            &["Engine", "Over HTTP", "Argon2id alone", "Ratio", "Ratio by round"],
        ),
        Benchmark::Usage => (
            "Records of usage in a second, of 1,000 accounts at 10 endpoints, until they are durable and added up in the \
             database, beside plain rows, 100 in a transaction."
                .to_owned(),
            &["Engine", "Journal and roll-up", "Plain SQL", "Ratio", "Ratio by round"],
        ),
        Benchmark::DataPlane => (
            format!(
                "The data plane with {} accounts on 5 levels and as many keys, an IP list and a restriction on the way, and a \
                 person behind each key. Over the network: one core for what is measured, another for who asks.",
                thousands(u64::try_from(options.accounts).unwrap_or(u64::MAX))
            ),
            &["In process", "Takes", "Beside it", "Ratio", "Goal"],
        ),
    };
    format!("{about}\n\n{}", lines(head, rows))
}

/// The lines of a table.
pub(crate) fn lines(head: &[&str], rows: &[Row]) -> String {
    let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let rule: Vec<&str> = head.iter().enumerate().map(|(place, _)| if place == 0 { "---" } else { "---:" }).collect();
    let mut text = format!("{}{}", line(head), line(&rule));
    for row in rows {
        text.push_str(&line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    text
}
