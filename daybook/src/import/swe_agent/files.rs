//! Which files changed, as far as the record proves it: by what the agent's editor showed after a command, by a plain
//! `rm`, and by the submitted diff.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::trajectory::{ChangeKind, FileEdit, ToolUse};
use super::diff::{self, FilePatch};
use super::turns::Turn;
use super::words::{Shell, shell_words};

/// With these words SWE-agent's editor shows a change that it did not make.
const REFUSED: &str = "Your proposed edit has introduced new syntax error(s)";
/// With one of these words it confirms a change.
const CONFIRMED: &[&str] = &["Text replaced.", "File updated."];

/// `rm` that did its work prints nothing; later releases put this sentence in the place of nothing.
const SILENCE: &str = "Your command ran successfully and did not produce any output.";
/// The tools of the editor. The output of any other command could show anything in the editor's form.
const EDITOR_TOOLS: &[&str] = &["open", "goto", "scroll_up", "scroll_down", "create", "edit", "insert"];

/// What a command does to files, by its own words; whether it did so is another question.
enum Intent {
    Create(String),
    EditOpenFile,
    Remove { paths: Vec<String>, forced: bool },
    EditPath { path: String, kind: ChangeKind },
}

/// The state of the search.
struct Search<'a> {
    /// The repository's root; without it no absolute path can be placed.
    root: Option<String>,
    /// Where the shell stands.
    working_dir: Option<String>,
    /// How many lines the editor showed last, by path. A file that is not in here may not exist.
    lines: BTreeMap<String, u32>,
    found: Vec<FileEdit>,
    notes: &'a mut Vec<String>,
}

/// The changes of a run; `calls` are those of its turns, `start` is where the shell stood before the first.
pub fn changes(
    turns: &[(Turn, Option<ToolUse>)],
    start: &Shell,
    submission: Option<&str>,
    notes: &mut Vec<String>,
) -> Vec<FileEdit> {
    let first = turns.iter().find_map(|(turn, _)| turn.shell.working_dir.clone());
    // The prompt says that the agent begins in the repository's root; `cd` may lead it elsewhere later.
    let root = start.working_dir.clone().or(first);
    let working_dir = root.clone();
    let mut search = Search { root, working_dir, lines: BTreeMap::new(), found: vec![], notes };
    for (index, (turn, call)) in turns.iter().enumerate() {
        if let Some(directory) = &turn.shell.working_dir {
            search.working_dir = Some(directory.clone());
        }
        if let Some(call) = call {
            search.look(index, turn, call);
        }
    }
    if let Some(submission) = submission {
        search.submitted(submission);
    }
    search.found
}

impl Search<'_> {
    fn look(&mut self, index: usize, turn: &Turn, call: &ToolUse) {
        let Some(seen) = call.observation.as_deref() else { return };
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        let refused = seen.contains(REFUSED);
        let editor = !refused && EDITOR_TOOLS.contains(&call.tool.as_str());
        let shown = if editor { shown_file(seen) } else { None };
        match intent(call, &arguments) {
            Some(Intent::Create(path)) if !seen.starts_with("Error") => {
                if let Some((_, lines)) = shown {
                    self.push(edit(index, &path, ChangeKind::Created, (lines, 0)));
                }
            }
            Some(Intent::EditOpenFile) if !refused => {
                let confirmed = CONFIRMED.iter().any(|words| seen.contains(words));
                let open = turn.shell.open_file.as_deref().filter(|_| confirmed);
                if let Some(path) = shown.map(|(path, _)| path).or(open) {
                    let (path, total) = (path.to_owned(), shown.map(|(_, lines)| lines));
                    let size = self.edited_lines(&path, total, &arguments);
                    self.push(edit(index, &path, ChangeKind::Modified, size));
                }
            }
            Some(Intent::Remove { paths, forced }) if matches!(seen.trim(), "" | SILENCE) => {
                paths.iter().for_each(|path| self.removed(index, path, forced));
            }
            Some(Intent::EditPath { path, kind }) => {
                let words = if kind == ChangeKind::Created { "File created successfully" } else { "has been edited" };
                if seen.contains(words) {
                    let size = written_lines(&arguments);
                    self.push(edit(index, &path, kind, size));
                }
            }
            _ => {}
        }
        if let Some((path, lines)) = shown
            && let Ok(path) = self.place(path)
        {
            self.lines.insert(path, lines);
        }
    }

    /// `rm` with an option may pass over what is not there, and may mean a folder; so it proves the end of those files
    /// alone that were seen before.
    fn removed(&mut self, index: usize, path: &str, forced: bool) {
        let lines = self.place(path).ok().and_then(|path| self.lines.remove(&path));
        if !forced || lines.is_some() {
            self.push(edit(index, path, ChangeKind::Deleted, (0, lines.unwrap_or(0))));
        }
    }

    /// The size of an edit: its own texts where it has them, else how much longer or shorter the file became.
    fn edited_lines(&self, path: &str, total: Option<u32>, arguments: &Value) -> (u32, u32) {
        let text = |key: &str| arguments.get(key).and_then(Value::as_str);
        if let (Some(old), Some(new)) = (text("search"), text("replace")) {
            return differing_lines(old, new);
        }
        if let Some(lines) = text("command").and_then(replaced_range) {
            return lines;
        }
        let before = self.place(path).ok().and_then(|path| self.lines.get(&path).copied());
        match (before, total) {
            (Some(before), Some(after)) => (after.saturating_sub(before), before.saturating_sub(after)),
            _ => (text("text").map_or(0, line_count), 0),
        }
    }

    /// Takes a change whose path is still as the command named it.
    fn push(&mut self, edit: FileEdit) {
        match self.place(&edit.path) {
            Ok(path) => self.found.push(FileEdit { path, ..edit }),
            Err(why) => {
                let step_no = edit.step_index.map_or(0, |index| index + 1);
                self.notes.push(format!("step {step_no}: the change of {:?} is left out: {why}", edit.path));
            }
        }
    }

    /// The path relative to the repository's root, or why it has none.
    fn place(&self, path: &str) -> Result<String, &'static str> {
        let absolute = match (path.starts_with('/'), &self.working_dir) {
            (true, _) => path.to_owned(),
            (false, Some(directory)) => format!("{directory}/{path}"),
            (false, None) => return Err("the record does not say in which directory it was"),
        };
        let root = self.root.as_deref().ok_or("the record does not say where the repository is")?;
        if path.contains('\0') {
            return Err("its name holds a null byte");
        }
        let (root, absolute) = (plain(root), plain(&absolute));
        match absolute.strip_prefix(root.as_slice()) {
            Some([]) | None => Err("it is outside the repository"),
            Some(inside) => Ok(inside.join("/")),
        }
    }

    /// The submitted diff knows each file's first and last state. So its text and its counts go to the last change of
    /// the path, and earlier changes of the path count no lines: the sum is then what the diff proves. A file that
    /// only the diff names was changed by some shell command; nothing says by which.
    fn submitted(&mut self, submission: &str) {
        let (patches, unread) = diff::files(submission);
        if unread > 0 {
            self.notes.push(format!("files of the submitted diff whose names could not be read: {unread}"));
        }
        for FilePatch { path, kind, lines_added, lines_removed, patch } in patches {
            if path.starts_with('/') || path.is_empty() || path.split('/').any(|part| part == "..") {
                self.notes.push(format!("the submitted change of {path:?} is left out: it is outside the repository"));
                continue;
            }
            let mut known: Vec<&mut FileEdit> = self.found.iter_mut().filter(|edit| edit.path == path).collect();
            let gone = |kind| kind == ChangeKind::Deleted;
            match known.pop().filter(|last| gone(last.kind) == gone(kind)) {
                Some(last) => {
                    (last.lines_added, last.lines_removed, last.patch) = (lines_added, lines_removed, patch);
                    known.into_iter().for_each(|edit| (edit.lines_added, edit.lines_removed) = (0, 0));
                }
                None => {
                    let step_index = None;
                    self.found.push(FileEdit { step_index, path, kind, lines_added, lines_removed, patch });
                }
            }
        }
    }
}

fn edit(index: usize, path: &str, kind: ChangeKind, (lines_added, lines_removed): (u32, u32)) -> FileEdit {
    FileEdit { step_index: Some(index), path: path.to_owned(), kind, lines_added, lines_removed, patch: None }
}

fn intent(call: &ToolUse, arguments: &Value) -> Option<Intent> {
    let text = |key: &str| arguments.get(key).and_then(Value::as_str);
    let words = || shell_words(text("command")?);
    match call.tool.as_str() {
        "create" => {
            let named = text("filename").map(str::to_owned);
            named.or_else(|| words()?.get(1).cloned()).map(Intent::Create)
        }
        "edit" | "insert" => Some(Intent::EditOpenFile),
        "bash" | "rm" => match words()?.split_first()? {
            (program, rest) if program == "rm" => {
                let (options, paths): (Vec<_>, Vec<_>) = rest.iter().cloned().partition(|word| word.starts_with('-'));
                Some(Intent::Remove { paths, forced: !options.is_empty() })
            }
            _ => None,
        },
        "str_replace_editor" => {
            let kind = match text("command")? {
                "create" => ChangeKind::Created,
                "str_replace" | "insert" | "undo_edit" => ChangeKind::Modified,
                _ => return None,
            };
            Some(Intent::EditPath { path: text("path")?.to_owned(), kind })
        }
        _ => None,
    }
}

/// The file that the editor shows: the last `[File: path (n lines total)]` of an observation.
fn shown_file(seen: &str) -> Option<(&str, u32)> {
    let mut headers = seen.lines().filter_map(|line| line.strip_prefix("[File: ")?.strip_suffix(" lines total)]"));
    let (path, lines) = headers.next_back()?.rsplit_once(" (")?;
    Some((path, lines.parse().ok()?))
}

/// `edit 4:6` and the lines that take the place of lines 4 to 6, up to `end_of_edit`.
fn replaced_range(action: &str) -> Option<(u32, u32)> {
    let (head, body) = action.trim().split_once('\n')?;
    let (from, to) = head.strip_prefix("edit ")?.trim().split_once(':')?;
    let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
    let body = body.trim_end().strip_suffix("end_of_edit").unwrap_or(body);
    Some((line_count(body), to.checked_sub(from)?.saturating_add(1)))
}

/// The lines that an editor command of later releases brings along.
fn written_lines(arguments: &Value) -> (u32, u32) {
    let text = |key: &str| arguments.get(key).and_then(Value::as_str).unwrap_or_default();
    let new = if text("file_text").is_empty() { text("new_str") } else { text("file_text") };
    differing_lines(text("old_str"), new)
}

/// How many lines two texts do not share at their beginnings and ends: added, removed.
fn differing_lines(old: &str, new: &str) -> (u32, u32) {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let count = |lines: &[&str]| u32::try_from(lines.len() - head - tail).unwrap_or(u32::MAX);
    (count(&new), count(&old))
}

fn line_count(text: &str) -> u32 {
    u32::try_from(text.lines().count()).unwrap_or(u32::MAX)
}

/// The parts of an absolute path, with `.` and `..` resolved.
fn plain(path: &str) -> Vec<&str> {
    let mut parts = vec![];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}
