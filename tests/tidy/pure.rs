//! What the domain must not have: anything that waits, reads or writes.

use serde_json::Value;

use crate::arrows::{folder_of, list};
use crate::tree::Tree;

const FORBIDDEN: [&str; 6] = ["tokio", "sqlx", "async-trait", "futures", "reqwest", "rand"];
const ASYNCHRONOUS: [&str; 4] = ["async fn", "async move", "async {", ".await"];

/// Tests of the domain may use what they like.
pub fn forbidden_dependencies(metadata: &Value) -> Vec<String> {
    let packages = list(&metadata["packages"]).iter();
    let domain = packages.filter(|package| folder_of(package) == "domain");
    domain
        .flat_map(|package| list(&package["dependencies"]))
        .filter(|dependency| dependency["kind"] != "dev")
        .filter_map(|dependency| dependency["name"].as_str())
        .filter(|name| FORBIDDEN.contains(name))
        .map(|name| {
            format!("domain/Cargo.toml depends on `{name}`: let the caller do it, and add a field to the command")
        })
        .collect()
}

pub fn asynchronous_code(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for file in tree.with_extension(&["rs"]).filter(|file| file.is_in("domain/src/")) {
        for (number, _, line) in file.lines() {
            if ASYNCHRONOUS.iter().any(|word| line.contains(word)) {
                findings.push(format!(
                    "{}:{number}: `decide` and `evolve` wait for nothing: {}",
                    file.path,
                    line.trim()
                ));
            }
        }
    }
    findings
}
