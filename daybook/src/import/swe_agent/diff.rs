//! The submitted diff, file by file: what `git diff` printed when the agent submitted.

use super::super::trajectory::ChangeKind;

/// What the diff says of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePatch {
    /// Relative to the repository's root.
    pub path: String,
    /// What happened between the first commit and the submission.
    pub kind: ChangeKind,
    /// Lines that came in.
    pub lines_added: u32,
    /// Lines that went.
    pub lines_removed: u32,
    /// From `---` on; absent for a binary file, a rename or a change of mode alone.
    pub patch: Option<String>,
}

/// The files of a diff. Text before the first `diff --git` is passed over, and so is a file whose name git had to
/// quote; the caller is told how many those were.
pub fn files(submission: &str) -> (Vec<FilePatch>, usize) {
    let mut sections: Vec<Vec<&str>> = vec![];
    for line in submission.lines() {
        // Inside a hunk every line begins with a blank, a sign or a backslash, so this is never a file's own text.
        if line.starts_with("diff --git ") {
            sections.push(vec![line]);
        } else if let Some(section) = sections.last_mut() {
            section.push(line);
        }
    }
    let mut read = vec![];
    let mut unread = 0;
    for mut section in sections {
        // An empty line is no part of a diff, whose empty lines hold a blank: it is how the printing ended.
        while section.last().is_some_and(|line| line.is_empty()) {
            section.pop();
        }
        match file(&section) {
            Some(patches) => read.extend(patches),
            None => unread += 1,
        }
    }
    (read, unread)
}

/// One section: one file, or for a rename the old name and the new one.
fn file(section: &[&str]) -> Option<Vec<FilePatch>> {
    let hunks = section.iter().position(|line| line.starts_with("@@")).unwrap_or(section.len());
    let (head, body) = section.split_at(hunks);
    let headed = |label: &str| head.iter().find_map(|line| line.strip_prefix(label));
    let new_path = headed("+++ b/").or_else(|| headed("rename to "));
    let old_path = headed("--- a/").or_else(|| headed("rename from "));
    let path = new_path.or(old_path).or_else(|| same_name(head.first()?.strip_prefix("diff --git ")?))?;
    // git ends a name that holds a blank with a tab.
    let path = path.trim_end_matches('\t').to_owned();
    let kind = match (headed("new file mode "), headed("deleted file mode ")) {
        (Some(_), _) => ChangeKind::Created,
        (None, Some(_)) => ChangeKind::Deleted,
        (None, None) => ChangeKind::Modified,
    };
    let counted = |sign: char| u32::try_from(body.iter().filter(|line| line.starts_with(sign)).count()).ok();
    let start = head.iter().position(|line| line.starts_with("--- "));
    let patch = start.map(|start| section[start..].join("\n") + "\n");
    let file = FilePatch { path, kind, lines_added: counted('+')?, lines_removed: counted('-')?, patch };
    match headed("rename from ") {
        None => Some(vec![file]),
        Some(old) => {
            let kind = ChangeKind::Deleted;
            let gone = FilePatch { path: old.to_owned(), kind, lines_added: 0, lines_removed: 0, patch: None };
            Some(vec![gone, FilePatch { kind: ChangeKind::Created, ..file }])
        }
    }
}

/// The name in `a/NAME b/NAME`, for sections that state it nowhere else.
fn same_name(names: &str) -> Option<&str> {
    let half = names.len().checked_sub(1)? / 2;
    let (old, new) = (names.get(..half)?.strip_prefix("a/")?, names.get(half + 1..)?.strip_prefix("b/")?);
    (old == new).then_some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_read_file_by_file() {
        let diff = "noise\n\
            diff --git a/a.py b/a.py\nindex 1..2 100644\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,3 @@\n-x\n+y\n+-- z\n w\n\
            diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+1\n\
            diff --git a/old b/old\ndeleted file mode 100644\n--- a/old\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n\
            diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n\
            diff --git a/from b/to\nsimilarity index 100%\nrename from from\nrename to to\n\
            diff --git \"a/\\303\\244\" \"b/\\303\\244\"\n--- \"a/\\303\\244\"\n+++ \"b/\\303\\244\"\n@@ -1 +1 @@\n-1\n+2\n";
        let (files, unread) = files(diff);
        let short: Vec<_> = files.iter().map(|f| (f.path.as_str(), f.kind, f.lines_added, f.lines_removed)).collect();
        assert_eq!(
            short,
            [
                ("a.py", ChangeKind::Modified, 2, 1),
                ("new", ChangeKind::Created, 1, 0),
                ("old", ChangeKind::Deleted, 0, 1),
                ("run.sh", ChangeKind::Modified, 0, 0),
                ("from", ChangeKind::Deleted, 0, 0),
                ("to", ChangeKind::Created, 0, 0),
            ]
        );
        assert_eq!(files[0].patch.as_deref(), Some("--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,3 @@\n-x\n+y\n+-- z\n w\n"));
        assert_eq!(files[3].patch, None);
        assert_eq!(unread, 1);
    }
}
