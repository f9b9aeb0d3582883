//! What end-to-end tests share: a PostgreSQL of their own, a fresh database each, and the binary.

mod client;
mod database;
mod follower;
pub mod http;
mod studio;

pub use client::Client;
pub use database::{Database, recorded_runs};
pub use follower::{Event, Follower, Frame, Live, upgrade};
pub use studio::{Folder, Neighbour, Studio};

use std::path::PathBuf;

/// The binary, as it was built beside these tests.
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own path");
    let folder = own.ancestors().nth(2).expect("a test lies in target/<profile>/deps");
    let binary = folder.join("daybook");
    assert!(
        binary.is_file(),
        "{} is missing: build it first with `cargo build --profile quick -p daybook`",
        binary.display()
    );
    binary
}
