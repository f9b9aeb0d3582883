//! Finds a project's test framework from its files. It never runs anything to find out.

use std::path::Path;

use serde_json::Value;

use super::{Framework, Place};
use crate::files::{self, FileError, WorkspacePath};
use crate::tools::Refusal;

pub(super) fn framework(root: &Path, place: &Place) -> Result<Framework, Refusal> {
    let folder = if place.is_folder { place.path.as_ref() } else { None };
    for folder in [folder, None] {
        if let Some(found) = from_manifests(root, folder)? {
            return Ok(found);
        }
    }
    if pytest_is_configured(root)? {
        return Ok(Framework::Pytest);
    }
    let listing = files::list(root, Some("**/*.py"))?;
    if listing.entries.iter().any(|entry| is_python_test(&entry.path)) {
        return Ok(Framework::Unittest);
    }
    let message = "No test framework could be found from the files; name one in the argument `framework`.";
    Err(Refusal::new("FRAMEWORK_UNKNOWN", message))
}

fn from_manifests(root: &Path, folder: Option<&WorkspacePath>) -> Result<Option<Framework>, Refusal> {
    if text(root, folder, "Cargo.toml")?.is_some() {
        return Ok(Some(Framework::Cargo));
    }
    Ok(text(root, folder, "package.json")?.and_then(|manifest| from_package(&manifest)))
}

/// Vitest before Jest: projects that moved keep the older one's types around. A test script decides first.
pub(super) fn from_package(manifest: &str) -> Option<Framework> {
    const KNOWN: [(&str, Framework); 3] =
        [("vitest", Framework::Vitest), ("jest", Framework::Jest), ("mocha", Framework::Mocha)];
    let manifest: Value = serde_json::from_str(manifest).ok()?;
    let script = manifest.pointer("/scripts/test").and_then(Value::as_str).unwrap_or_default();
    let by_script = KNOWN.iter().find(|(name, _)| script.contains(name));
    let depends = |name: &str| {
        ["devDependencies", "dependencies"]
            .iter()
            .any(|kind| manifest.get(kind).is_some_and(|list| list.get(name).is_some()))
    };
    by_script.or_else(|| KNOWN.iter().find(|(name, _)| depends(name))).map(|(_, framework)| *framework)
}

fn pytest_is_configured(root: &Path) -> Result<bool, Refusal> {
    for (name, marker) in [
        ("pytest.ini", ""),
        ("conftest.py", ""),
        ("tests/conftest.py", ""),
        ("pyproject.toml", "[tool.pytest"),
        ("setup.cfg", "[tool:pytest]"),
        ("tox.ini", "[pytest]"),
    ] {
        if text(root, None, name)?.is_some_and(|text| text.contains(marker)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_python_test(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with("test") && name.ends_with(".py"))
}

/// The text of a file, when there is such a file; anything else about it is none of detection's business.
fn text(root: &Path, folder: Option<&WorkspacePath>, name: &str) -> Result<Option<String>, Refusal> {
    let path = folder.map_or_else(|| name.to_owned(), |folder| format!("{folder}/{name}"));
    match files::read(root, &WorkspacePath::parse(&path)?, None) {
        Ok(content) => Ok(String::from_utf8(content.bytes).ok()),
        Err(error @ FileError::Io(_)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}
