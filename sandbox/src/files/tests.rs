//! Workspace files, with an agent that leaves links, pipes and locks in the way.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

fn path(text: &str) -> WorkspacePath {
    WorkspacePath::parse(text).unwrap()
}

fn refused(text: &str) -> &'static str {
    WorkspacePath::parse(text).unwrap_err().code()
}

/// A workspace beside a folder that is none of its business.
fn workspace() -> (TempDir, std::path::PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("workspace");
    fs::create_dir(&root).unwrap();
    fs::create_dir(base.path().join("outside")).unwrap();
    fs::write(base.path().join("outside/secret"), "secret").unwrap();
    (base, root)
}

#[test]
fn a_path_is_relative_and_plain() {
    assert_eq!(path("./a//b/").as_str(), "a/b");
    assert_eq!(refused("../a"), "PATH_OUTSIDE_WORKSPACE");
    assert_eq!(refused("a/../../b"), "PATH_OUTSIDE_WORKSPACE");
    assert_eq!(refused("a/../b"), "PATH_OUTSIDE_WORKSPACE");
    assert_eq!(refused("/etc/passwd"), "PATH_OUTSIDE_WORKSPACE");
    assert_eq!(refused("a\0b"), "PATH_HAS_NULL_BYTE");
    assert_eq!(refused(""), "PATH_EMPTY");
    assert_eq!(refused("./."), "PATH_EMPTY");
    assert_eq!(refused(&"a".repeat(256)), "PATH_TOO_LONG");
    assert_eq!(refused(&"a/".repeat(2049)), "PATH_TOO_LONG");
    assert_eq!(path("..a/b..").as_str(), "..a/b..");
}

#[test]
fn what_is_written_is_read() {
    let (_base, root) = workspace();
    let file = path("deep/folder/file.txt");
    assert_eq!(write(&root, &file, b"one\n", Mode::Write).unwrap(), Written { created: true, bytes: 4 });
    assert_eq!(write(&root, &file, b"two\n", Mode::Append).unwrap(), Written { created: false, bytes: 8 });
    assert_eq!(read(&root, &file, None).unwrap(), Content { bytes: b"one\ntwo\n".to_vec(), file_bytes: 8 });
    let part = read(&root, &file, Some(Range { offset: 4, length: 3 })).unwrap();
    assert_eq!(part.bytes, b"two");
    assert_eq!(read(&root, &file, Some(Range { offset: 9, length: 1 })).unwrap_err().code(), "BAD_RANGE");
    delete(&root, &file).unwrap();
    assert_eq!(read(&root, &file, None).unwrap_err().code(), "FILE_NOT_FOUND");
    assert_eq!(delete(&root, &path("deep")).unwrap_err().code(), "IS_DIRECTORY");
    assert_eq!(read(&root, &path("deep"), None).unwrap_err().code(), "IS_DIRECTORY");
}

#[test]
fn a_write_keeps_the_mode_but_never_set_uid() {
    let (_base, root) = workspace();
    fs::write(root.join("run"), "a").unwrap();
    fs::set_permissions(root.join("run"), fs::Permissions::from_mode(0o4751)).unwrap();
    write(&root, &path("run"), b"b", Mode::Write).unwrap();
    assert_eq!(fs::metadata(root.join("run")).unwrap().permissions().mode() & 0o7777, 0o751);
}

#[test]
fn a_write_gives_the_file_to_the_owner_of_the_workspace() {
    use std::os::unix::fs::MetadataExt;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (_base, root) = workspace();
    fs::write(root.join("early"), "x").unwrap();
    crate::engine::prepare_workspace(&root, Some(200_123)).unwrap();
    write(&root, &path("new/file"), b"x", Mode::Write).unwrap();
    for name in ["", "early", "new", "new/file"] {
        let meta = fs::metadata(root.join(name)).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (200_123, 200_123), "{name}");
    }
}

#[test]
fn a_write_above_the_limit_writes_nothing() {
    let (_base, root) = workspace();
    let error = write(&root, &path("new/big"), &vec![b'x'; 1024 * 1024], Mode::Write).unwrap_err();
    assert_eq!(error.code(), "FILE_TOO_LARGE");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

#[test]
fn no_link_is_followed() {
    let (base, root) = workspace();
    symlink(base.path().join("outside/secret"), root.join("link")).unwrap();
    symlink("../outside", root.join("folder")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    for name in ["link", "folder/secret", "dangling"] {
        let name = path(name);
        assert_eq!(read(&root, &name, None).unwrap_err().code(), "SYMLINK_REFUSED", "{name}");
        assert_eq!(write(&root, &name, b"x", Mode::Write).unwrap_err().code(), "SYMLINK_REFUSED", "{name}");
        assert_eq!(write(&root, &name, b"x", Mode::Append).unwrap_err().code(), "SYMLINK_REFUSED", "{name}");
        assert_eq!(edit(&root, &name, "s", "x").unwrap_err().code(), "SYMLINK_REFUSED", "{name}");
    }
    assert_eq!(write(&root, &path("folder/new"), b"x", Mode::Write).unwrap_err().code(), "SYMLINK_REFUSED");
    assert_eq!(write(&root, &path("folder/a/new"), b"x", Mode::Write).unwrap_err().code(), "SYMLINK_REFUSED");
    assert_eq!(delete(&root, &path("folder/secret")).unwrap_err().code(), "SYMLINK_REFUSED");
    delete(&root, &path("link")).unwrap();
    assert_eq!(fs::read_to_string(base.path().join("outside/secret")).unwrap(), "secret");
    assert_eq!(fs::read_dir(base.path().join("outside")).unwrap().count(), 1);
}

#[test]
fn a_pipe_in_a_files_place_blocks_nobody() {
    let (_base, root) = workspace();
    let pipe = root.join("pipe");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, rustix::fs::Mode::from_raw_mode(0o666), 0).unwrap();
    assert_eq!(read(&root, &path("pipe"), None).unwrap_err().code(), "NOT_A_FILE");
    assert_eq!(write(&root, &path("pipe"), b"x", Mode::Write).unwrap_err().code(), "NOT_A_FILE");
    assert!(scan(&root, None).unwrap().files.is_empty());
}

#[test]
fn a_lock_is_honoured() {
    let (_base, root) = workspace();
    fs::write(root.join("locked"), "x").unwrap();
    let holder = fs::File::open(root.join("locked")).unwrap();
    holder.lock().unwrap();
    assert_eq!(write(&root, &path("locked"), b"y", Mode::Write).unwrap_err().code(), "FILE_LOCKED");
    assert_eq!(edit(&root, &path("locked"), "x", "y").unwrap_err().code(), "FILE_LOCKED");
    drop(holder);
    write(&root, &path("locked"), b"y", Mode::Write).unwrap();
}

#[test]
fn an_edit_needs_exactly_one_occurrence() {
    let (_base, root) = workspace();
    let file = path("file");
    write(&root, &file, b"one two two\n", Mode::Write).unwrap();
    assert_eq!(edit(&root, &file, "three", "x").unwrap_err().code(), "EDIT_NOT_FOUND");
    assert!(matches!(edit(&root, &file, "two", "x").unwrap_err(), FileError::EditAmbiguous { count: 2 }));
    assert_eq!(edit(&root, &file, "", "x").unwrap_err().code(), "EDIT_EMPTY");
    assert_eq!(edit(&root, &path("none"), "a", "b").unwrap_err().code(), "FILE_NOT_FOUND");
    edit(&root, &file, "one two", "1").unwrap();
    assert_eq!(read(&root, &file, None).unwrap().bytes, b"1 two\n");
    write(&root, &file, b"\xff\xfe", Mode::Write).unwrap();
    assert_eq!(edit(&root, &file, "a", "b").unwrap_err().code(), "NOT_TEXT");
}

#[test]
fn a_list_is_sorted_and_a_glob_narrows_it() {
    let (base, root) = workspace();
    for name in ["b.rs", "a/c.rs", "a/d.txt"] {
        write(&root, &path(name), b"x", Mode::Write).unwrap();
    }
    symlink(base.path().join("outside"), root.join("out")).unwrap();
    let names =
        |glob| -> Vec<String> { list(&root, glob).unwrap().entries.into_iter().map(|entry| entry.path).collect() };
    assert_eq!(names(None), ["a", "a/c.rs", "a/d.txt", "b.rs", "out"]);
    assert_eq!(names(Some("**/*.rs")), ["a/c.rs", "b.rs"]);
    assert_eq!(names(Some("*.rs")), ["b.rs"]);
    assert_eq!(list(&root, Some("[")).unwrap_err().code(), "BAD_GLOB");
}

#[test]
fn a_scan_finds_what_changed_and_nothing_else() {
    let (_base, root) = workspace();
    for name in ["same", "edited", "gone", "mode"] {
        write(&root, &path(name), name.as_bytes(), Mode::Write).unwrap();
    }
    symlink("/etc/passwd", root.join("link")).unwrap();
    let before = scan(&root, None).unwrap();
    assert_eq!(before.files["link"].kind, FileKind::Symlink);
    assert_eq!(before.files["same"].sha256, ContentHash::of(b"same"));
    write(&root, &path("edited"), b"EDITED", Mode::Write).unwrap();
    write(&root, &path("new"), b"new", Mode::Write).unwrap();
    delete(&root, &path("gone")).unwrap();
    fs::set_permissions(root.join("mode"), fs::Permissions::from_mode(0o755)).unwrap();
    let after = scan(&root, Some(&before)).unwrap();
    let found: Vec<_> =
        changes(&before, &after).into_iter().map(|change| (change.path, change.kind, change.bytes)).collect();
    let expected = [
        ("edited", ChangeKind::Modified, 6),
        ("gone", ChangeKind::Deleted, 0),
        ("mode", ChangeKind::Modified, 4),
        ("new", ChangeKind::Created, 3),
    ];
    assert_eq!(found, expected.map(|(path, kind, bytes)| (path.to_owned(), kind, bytes)));
    assert!(changes(&after, &scan(&root, Some(&after)).unwrap()).is_empty());
}

#[test]
fn a_forged_modification_time_hides_nothing() {
    let (_base, root) = workspace();
    fs::write(root.join("file"), "aaaa").unwrap();
    let modified = fs::metadata(root.join("file")).unwrap().modified().unwrap();
    let before = scan(&root, None).unwrap();
    fs::write(root.join("file"), "bbbb").unwrap();
    fs::File::options().write(true).open(root.join("file")).unwrap().set_modified(modified).unwrap();
    let after = scan(&root, Some(&before)).unwrap();
    assert_eq!(changes(&before, &after).len(), 1);
}

#[test]
fn a_tree_too_deep_to_measure_counts_as_full() {
    let (_base, root) = workspace();
    write(&root, &path("file"), &[b'x'; 10_000], Mode::Write).unwrap();
    assert!((10_000..100_000).contains(&usage(&root).unwrap()));
    fs::create_dir_all(root.join("d/".repeat(300))).unwrap();
    assert_eq!(usage(&root).unwrap(), u64::MAX);
    assert!(scan(&root, None).unwrap().truncated);
}

#[test]
fn a_patch_shows_and_counts_lines() {
    let change = patch(Some(b"one\ntwo\n"), Some(b"one\n2\nthree\n"), "a.txt");
    assert_eq!((change.lines_added, change.lines_removed), (2, 1));
    let expected = "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,3 @@\n one\n-two\n+2\n+three\n";
    assert_eq!(change.text.as_deref(), Some(expected));
    assert!(patch(None, Some(b"x\n"), "a").text.unwrap().starts_with("--- /dev/null\n+++ b/a\n"));
    assert!(patch(Some(b"x\n"), None, "a").text.unwrap().contains("+++ /dev/null\n"));
    assert_eq!(patch(Some(b"\0"), Some(b"x"), "a"), Patch::default());
    assert_eq!(patch(None, Some(&vec![b'x'; PATCH_BYTES + 1]), "a").text, None);
}
