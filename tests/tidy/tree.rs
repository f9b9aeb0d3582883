//! The files of the checkout, and which part of a Rust file is a test.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders with files that nobody here wrote by hand.
const SKIPPED_FOLDERS: [&str; 7] = ["target", "node_modules", "dist", "gen", "coverage", "test-results", ".git"];
const TEXT_EXTENSIONS: [&str; 15] =
    ["rs", "ts", "tsx", "js", "mjs", "css", "html", "sql", "graphql", "toml", "md", "yml", "yaml", "sh", "py"];
const TEXT_NAMES: [&str; 3] = ["Makefile", "Dockerfile", "run"];

/// Every text file of the checkout.
pub struct Tree {
    pub files: Vec<SourceFile>,
}

/// One file, with its path relative to the checkout, in which `/` separates.
pub struct SourceFile {
    pub path: String,
    pub text: String,
}

/// Part of a Rust file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Product,
    Test,
}

/// The folder that holds the workspace.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests are a folder of the workspace").to_path_buf()
}

impl Tree {
    pub fn read() -> Tree {
        let mut files = Vec::new();
        collect(&root(), "", &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Tree { files }
    }

    pub fn with_extension(&self, extensions: &[&str]) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| extensions.contains(&file.extension()))
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) {
    for entry in fs::read_dir(folder).expect("the checkout is readable") {
        let entry = entry.expect("the checkout is readable");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        // Links lead to files that are looked at in their own place, or not ours.
        let kind = entry.file_type().expect("the checkout is readable");
        if kind.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file() && is_text(&name) {
            let text = fs::read_to_string(entry.path());
            let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
            files.push(SourceFile { path, text });
        }
    }
}

fn is_text(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    TEXT_EXTENSIONS.contains(&extension) || TEXT_NAMES.contains(&name)
}

impl SourceFile {
    pub fn extension(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    pub fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// Files that are tests as a whole.
    pub fn is_test(&self) -> bool {
        let in_tests = self.is_in("tests/") || self.path.contains("/tests/") || self.path.contains("/e2e/");
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        let named_so = name == "tests.rs" || name.contains(".test.") || name.contains(".spec.");
        in_tests || named_so
    }

    /// Lines with their number from 1 and their part; comments are left out. In a Rust file everything from
    /// `#[cfg(test)]` before a block to the brace that closes it at the same indentation is a test.
    pub fn lines(&self) -> Vec<(usize, Part, &str)> {
        let whole = if self.is_test() { Part::Test } else { Part::Product };
        let mut lines = Vec::new();
        let mut test_ends_with: Option<String> = None;
        let mut attribute_seen = false;
        for (index, line) in self.text.lines().enumerate() {
            let trimmed = line.trim_start();
            let indentation = &line[..line.len() - trimmed.len()];
            if attribute_seen && !trimmed.starts_with('#') {
                attribute_seen = false;
                if trimmed.ends_with('{') {
                    test_ends_with = Some(format!("{indentation}}}"));
                }
            }
            attribute_seen |= trimmed.starts_with("#[cfg(test)]");
            let part = if test_ends_with.is_some() { Part::Test } else { whole };
            if !trimmed.starts_with("//") {
                lines.push((index + 1, part, line));
            }
            if test_ends_with.as_deref() == Some(line) {
                test_ends_with = None;
            }
        }
        lines
    }
}
