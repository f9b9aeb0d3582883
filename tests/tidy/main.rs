//! House rules that a machine can check, so that nobody has to repeat them in review. Each message names the way out.
//! It never judges style (rustfmt, clippy and the client's linter do) and never changes a file.

mod arrows;
mod pure;
mod shape;
mod tree;
mod words;

use tree::Tree;

/// Fails with all findings at once: one rule is often broken in several places.
fn assert_none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{rule}\n  {}\n", findings.join("\n  "));
}

#[test]
fn arrows_between_crates_point_down() {
    assert_none(
        "A crate uses another that it may not know (the picture is in docs/ARCHITECTURE.md):",
        arrows::findings(&arrows::metadata()),
    );
}

#[test]
fn the_domain_is_pure() {
    let mut findings = pure::forbidden_dependencies(&arrows::metadata());
    findings.extend(pure::asynchronous_code(&Tree::read()));
    assert_none("The domain decides and nothing else; effects belong in `commands` or a worker:", findings);
}

#[test]
fn files_are_short() {
    assert_none(
        "A file is too long; cut it by noun or by step, as its neighbours are:",
        shape::long_files(&Tree::read()),
    );
}

#[test]
fn crates_introduce_themselves() {
    assert_none(
        "A crate must begin with `//!`: what it is, and what it never does:",
        shape::silent_crates(&Tree::read()),
    );
}

#[test]
fn forbidden_words_do_not_occur() {
    assert_none("Something that we do not write here:", words::findings(&Tree::read()));
}

#[test]
fn sql_stays_where_it_belongs() {
    assert_none(
        "SQL outside the folders of words::SQL_FOLDERS; add a function there and call it:",
        words::stray_sql(&Tree::read()),
    );
}

#[test]
fn no_file_speaks_of_one_machine() {
    assert_none(
        "A path of somebody's machine; write it relative to the checkout or as /path/to:",
        words::machine_paths(&Tree::read()),
    );
}
