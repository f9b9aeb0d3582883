//! Which crate may know which. A new arrow needs a reason in the commit and a change to the picture.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::tree;

/// Each crate, by its folder, with those it may use. Crates on one level do not know each other.
const ARROWS: [(&str, &[&str]); 10] = [
    ("domain", &[]),
    ("postgres", &[]),
    ("migrations", &[]),
    ("commands", &["domain", "migrations"]),
    ("projections", &["domain", "migrations"]),
    ("access", &["domain", "commands", "projections"]),
    ("inference", &["domain", "commands", "projections", "access"]),
    ("sandbox", &["domain", "commands", "projections", "access"]),
    ("graphql", &["domain", "commands", "projections", "access"]),
    ("daybook", EVERYTHING_BELOW),
];
const EVERYTHING_BELOW: &[&str] =
    &["domain", "postgres", "migrations", "commands", "projections", "access", "inference", "sandbox", "graphql"];
/// These test and measure the others, and nobody uses them.
const OUTSIDE: [&str; 2] = ["tests", "tests/benches"];
/// What tests inside a crate may use besides: a database of the present shape.
const FOR_TESTS: &[&str] = &["migrations"];

/// The workspace as cargo sees it; needs no network.
pub fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(tree::root())
        .output()
        .expect("cargo can be run");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata failed: {complaint}");
    serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON")
}

pub fn findings(metadata: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    for package in list(&metadata["packages"]) {
        let folder = folder_of(package);
        if OUTSIDE.contains(&folder.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == folder) else {
            findings
                .push(format!("{folder}/: unknown crate; give it a line in arrows::ARROWS and a place in the picture"));
            continue;
        };
        for dependency in list(&package["dependencies"]) {
            let Some(used) = member(dependency) else {
                continue;
            };
            let for_tests = dependency["kind"] == "dev";
            let fine = allowed.contains(&used.as_str()) || (for_tests && FOR_TESTS.contains(&used.as_str()));
            if !fine {
                findings.push(format!(
                    "{folder}/Cargo.toml uses `{used}`; allowed are {allowed:?}: move what both need into one of these, \
                     or let `daybook` pass it in"
                ));
            }
        }
    }
    findings
}

/// The packages of the workspace are in `packages`; this is the folder of one.
pub fn folder_of(package: &Value) -> String {
    let manifest = Path::new(package["manifest_path"].as_str().expect("a package has a manifest"));
    relative(manifest.parent().expect("a manifest is in a folder"))
}

/// The folder of a dependency that is a member of the workspace.
fn member(dependency: &Value) -> Option<String> {
    dependency["path"].as_str().map(|path| relative(Path::new(path)))
}

fn relative(folder: &Path) -> String {
    let root = tree::root();
    let relative = folder.strip_prefix(&root).unwrap_or(folder);
    relative.to_string_lossy().into_owned()
}

/// An absent list is an empty one.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
