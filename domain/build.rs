//! Computes the fingerprint of this crate's code: whatever is folded by other code has another one.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a build script reads the code and speaks to cargo; it is no part of the domain"
)]

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The folder whose files are hashed: all of it, because what an `evolve` calls may stand anywhere in it.
const CODE: &str = "src";

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed={CODE}");
    let mut files = vec![];
    collect(Path::new(CODE), &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let text = std::fs::read(&file)?;
        // Lengths first, so that no two trees are the same bytes.
        let path = file.to_string_lossy();
        hash.update((path.len() as u64).to_be_bytes());
        hash.update(path.as_bytes());
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("cargo::rustc-env=DOMAIN_FINGERPRINT={hex}");
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
