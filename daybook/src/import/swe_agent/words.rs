//! Texts of a record without what the format wraps around them: shell prompts, code fences, templates.

use domain::text::{MessageText, TITLE_MAX_CHARS};

/// Where the agent's shell stood, as far as a prompt or a `state` says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shell {
    /// The file that the agent's editor shows.
    pub open_file: Option<String>,
    /// The working directory.
    pub working_dir: Option<String>,
}

/// An observation as the tool wrote it, and what its prompt says of the shell. The prompt is what SWE-agent appends
/// for the model: `(Open file: …)`, `(Current directory: …)` and `bash-$`, each on a line of its own at the end.
pub fn without_prompt(text: &str) -> (String, Shell) {
    let mut shell = Shell::default();
    let text = text.strip_prefix("OBSERVATION:\n").unwrap_or(text);
    let prompt = text.trim_end().strip_suffix("bash-$").filter(|rest| rest.is_empty() || rest.ends_with('\n'));
    let Some(mut rest) = prompt else { return (text.trim_end_matches('\n').to_owned(), shell) };
    loop {
        rest = rest.trim_end_matches('\n');
        let start = rest.rfind('\n').map_or(0, |end| end + 1);
        let inside = |label: &str| rest[start..].strip_prefix(label)?.strip_suffix(')');
        if let Some(directory) = inside("(Current directory: ") {
            shell.working_dir = known(directory);
        } else if let Some(file) = inside("(Open file: ") {
            shell.open_file = known(file);
        } else {
            return (rest.to_owned(), shell);
        }
        rest = &rest[..start];
    }
}

/// `n/a` is how SWE-agent writes that there is none.
pub fn known(text: &str) -> Option<String> {
    (!text.is_empty() && text != "n/a").then(|| text.to_owned())
}

/// What an answer says beyond its thought and the action that it ends with in a code fence.
pub fn beyond(content: &str, thought: &str, action: &str) -> Option<String> {
    let content = content.trim();
    let rest = content.strip_prefix(thought.trim()).unwrap_or(content);
    let rest = without_fence(rest, action.trim()).unwrap_or(rest).trim();
    (!rest.is_empty()).then(|| rest.to_owned())
}

fn without_fence<'a>(text: &'a str, action: &str) -> Option<&'a str> {
    let (before, fenced) = text.trim_end().strip_suffix("```")?.rsplit_once("```")?;
    let (_language, body) = fenced.split_once('\n')?;
    (body.trim() == action).then_some(before)
}

/// The title: the first line of the issue. Where it stands depends on the template that the run was given.
pub fn title(task: &str, problem_statement: Option<&str>, file_name: &str) -> String {
    let after = |mark: &str| task.split_once(mark).map(|(_, rest)| rest);
    let issue = task.strip_prefix("ISSUE:").or_else(|| after("\nISSUE:"));
    let candidates = [issue, after("<pr_description>"), problem_statement, Some(task), Some(file_name)];
    let lines = candidates.into_iter().flatten().filter_map(|text| text.lines().map(str::trim).find(|l| !l.is_empty()));
    let cut = lines.map(|line| line.chars().take(TITLE_MAX_CHARS).collect::<String>());
    cut.filter_map(|line| MessageText::parse("title", line).ok()).map(|line| line.title()).next().unwrap_or_default()
}

/// The words of a plain shell command, quotes removed; `None` for one that does more than run one program, because
/// then its words do not prove what it did.
pub fn shell_words(command: &str) -> Option<Vec<String>> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in command.trim().chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '$' | '`' | '\\') => return None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, c) if ";&|<>$`\\(){}[]*?!~#\n".contains(c) => return None,
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}
