//! The size of files, and the words at the head of a crate.

use crate::tree::Tree;

/// Aim for 120, split at 400, never pass this.
const LONGEST: usize = 600;

pub fn long_files(tree: &Tree) -> Vec<String> {
    tree.with_extension(&["rs", "ts", "tsx", "css"])
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST)
        .map(|(file, lines)| format!("{}: {lines} lines, at most {LONGEST}", file.path))
        .collect()
}

pub fn silent_crates(tree: &Tree) -> Vec<String> {
    let heads = tree
        .with_extension(&["rs"])
        .filter(|file| file.path.ends_with("/src/lib.rs") || file.path.ends_with("/src/main.rs"));
    heads
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| format!("{}:1: begins without `//!`", file.path))
        .collect()
}
