//! What the environment says: settings, and which programs there are.

use std::path::{Path, PathBuf};

/// The value of an environment variable, unless it is unset or empty.
#[expect(clippy::disallowed_methods, reason = "no part of the product, which has its configuration elsewhere")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The first program of this name on the PATH.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&variable("PATH")?).map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// Where cargo puts what it builds, and where tools are kept that this one installs.
pub(crate) fn target_directory() -> PathBuf {
    crate::root().join(variable("CARGO_TARGET_DIR").as_deref().unwrap_or("target"))
}

/// The numbered directory below `parent` with the highest number.
pub(crate) fn newest(parent: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(parent).ok()?;
    let numbered = entries.flatten().filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((number, entry.path()))
    });
    numbered.max().map(|(_, path)| path)
}
