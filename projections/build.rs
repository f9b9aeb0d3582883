//! Names the release whose code folds: a hash of the sources that decide what becomes of an event. What one release
//! could not take in, the next one tries again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

const SOURCES: [&str; 2] = ["src", "../domain/src"];

fn main() -> std::io::Result<()> {
    let mut files = vec![];
    for folder in SOURCES {
        println!("cargo::rerun-if-changed={folder}");
        list(Path::new(folder), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file)?.hash(&mut hasher);
    }
    println!("cargo::rustc-env=DAYBOOK_FOLDING_RELEASE={:016x}", hasher.finish());
    Ok(())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
