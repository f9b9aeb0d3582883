//! What is not written here, where, and what is written instead.

use crate::tree::{self, Part, SourceFile, Tree};

/// The only places that know SQL, each with what it keeps there. In tests SQL may stand anywhere.
const SQL_FOLDERS: [(&str, &str); 4] = [
    ("commands/src/", "the log, and the stores beside it: blobs, secrets, heartbeats"),
    ("projections/", "read tables"),
    ("migrations/", "the tables themselves"),
    ("access/src/", "the two look-ups of sign-in"),
];
/// As the statements are written here: with capitals, or at the start of a string.
const SQL_WORDS: [&str; 12] = [
    "sqlx::query",
    "query!(",
    "query_as!(",
    "query_scalar!(",
    "SELECT ",
    "INSERT INTO ",
    "DELETE FROM ",
    "ON CONFLICT ",
    "\"select ",
    "\"insert into ",
    "\"delete from ",
    "\"update ",
];

/// A text that must not occur in some part of some files.
struct Forbidden {
    text: &'static str,
    extensions: &'static [&'static str],
    /// Both parts when nothing is said.
    part: Option<Part>,
    way_out: &'static str,
}

const RUST: &[&str] = &["rs"];
const CLIENT: &[&str] = &["ts", "tsx"];
const FORBIDDEN: [Forbidden; 8] = [
    Forbidden {
        text: "todo!(",
        extensions: RUST,
        part: None,
        way_out: "finish it, or return a typed error that says what is not supported",
    },
    Forbidden {
        text: "unimplemented!(",
        extensions: RUST,
        part: None,
        way_out: "finish it, or return a typed error that says what is not supported",
    },
    Forbidden {
        text: "#[ignore",
        extensions: RUST,
        part: None,
        way_out: "mend the test or remove it; what is slow belongs in `make bench`",
    },
    Forbidden {
        text: ".unwrap()",
        extensions: RUST,
        part: Some(Part::Product),
        way_out: "use `?`, or expect(\"why this cannot fail\")",
    },
    Forbidden {
        text: "sleep(",
        extensions: RUST,
        part: Some(Part::Test),
        way_out: "wait for the condition, with a deadline",
    },
    Forbidden {
        text: "sleep(",
        extensions: CLIENT,
        part: Some(Part::Test),
        way_out: "wait for what the user would see, with a deadline",
    },
    Forbidden {
        text: "waitForTimeout(",
        extensions: CLIENT,
        part: None,
        way_out: "wait for what the user would see, with a deadline",
    },
    Forbidden {
        text: ".only(",
        extensions: CLIENT,
        part: Some(Part::Test),
        way_out: "run one test by its name on the command line instead",
    },
];
/// These files name what they look for.
const OURSELVES: &str = "tests/tidy/";

pub fn findings(tree: &Tree) -> Vec<String> {
    let files = tree.files.iter().filter(|file| !file.is_in(OURSELVES));
    files.flat_map(|file| FORBIDDEN.iter().flat_map(|rule| occurrences(file, rule))).collect()
}

fn occurrences(file: &SourceFile, rule: &Forbidden) -> Vec<String> {
    if !rule.extensions.contains(&file.extension()) {
        return Vec::new();
    }
    let lines = file.lines().into_iter();
    lines
        .filter(|(_, part, line)| rule.part.is_none_or(|wanted| wanted == *part) && line.contains(rule.text))
        .map(|(number, ..)| format!("{}:{number}: `{}`: {}", file.path, rule.text, rule.way_out))
        .collect()
}

pub fn stray_sql(tree: &Tree) -> Vec<String> {
    let outside = |file: &&SourceFile| !SQL_FOLDERS.iter().any(|(folder, _)| file.is_in(folder));
    let mut findings = Vec::new();
    for file in tree.with_extension(RUST).filter(outside) {
        for (number, part, line) in file.lines() {
            let word = SQL_WORDS.iter().find(|word| line.contains(**word));
            if let Some(word) = word.filter(|_| part == Part::Product) {
                findings.push(format!("{}:{number}: `{}`", file.path, word.trim()));
            }
        }
    }
    findings
}

/// Folders in which people have homes.
const HOMES: [&str; 3] = ["/home/", "/Users/", "C:\\Users\\"];
/// Homes that exist only inside an image or a sandbox, or in an example.
const NOBODYS_HOMES: [&str; 4] = ["daybook", "user", "you", "sandbox"];
/// Where programs are installed: a guide may well name the folder of this very checkout.
const PUBLIC_FOLDERS: [&str; 5] = ["/opt/", "/srv/", "/usr/", "/var/", "/tmp/"];

pub fn machine_paths(tree: &Tree) -> Vec<String> {
    let checkout = checkout_if_telling();
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| !file.is_in(OURSELVES)) {
        for (index, line) in file.text.lines().enumerate() {
            let named = checkout.as_ref().is_some_and(|path| line.contains(path.as_str()));
            if named || HOMES.iter().any(|homes| names_a_person(line, homes)) {
                findings.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
            }
        }
    }
    findings
}

/// The path of this checkout, unless it is one that others have too.
fn checkout_if_telling() -> Option<String> {
    let path = tree::root().to_string_lossy().into_owned();
    let public = PUBLIC_FOLDERS.iter().any(|folder| path.starts_with(folder));
    let deep = path.matches('/').count() > 1;
    (deep && !public).then_some(path)
}

/// Whether the line goes on after `/home/` with somebody's name. In a URL the text stands after other text.
fn names_a_person(line: &str, homes: &str) -> bool {
    line.match_indices(homes).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let name: String = line[start + homes.len()..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
            .collect();
        let begins_a_path = before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '-' | '_' | '}'));
        begins_a_path && !name.is_empty() && !NOBODYS_HOMES.contains(&name.as_str())
    })
}
