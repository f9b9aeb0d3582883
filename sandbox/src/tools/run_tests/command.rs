//! The command of each framework. A path always begins with `./`, so that none is ever taken for an option.

use super::{Framework, Place, SPEC};
use crate::engine::{Exec, PYTHON};
use crate::tools::{Refusal, arguments};

/// Variables for every framework: no byte code in the workspace, no colours, no questions, no network.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("CI", "1"),
    ("NO_COLOR", "1"),
    ("FORCE_COLOR", "0"),
    ("CARGO_TERM_COLOR", "never"),
    ("CARGO_NET_OFFLINE", "true"),
];

pub(super) fn exec(framework: Framework, place: &Place, filter: Option<&str>) -> Result<Exec, Refusal> {
    let (argv, cwd) = match framework {
        Framework::Unittest => (unittest(place, filter), None),
        Framework::Pytest => (pytest(place, filter), None),
        Framework::Jest => (node(&["jest", "--ci"], "-t", place, filter), folder(place)),
        Framework::Vitest => (node(&["vitest", "run", "--reporter=verbose"], "-t", place, filter), folder(place)),
        Framework::Mocha => (node(&["mocha"], "-g", place, filter), folder(place)),
        Framework::Cargo => (cargo(place, filter)?, folder(place)),
    };
    let env = ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Ok(Exec { argv, cwd, env, stdin: None, timeout: SPEC.timeout })
}

fn unittest(place: &Place, filter: Option<&str>) -> Vec<String> {
    let mut argv = words(&[PYTHON, "-m", "unittest", "discover", "-v"]);
    match (&place.path, place.is_folder) {
        (None, _) => (),
        (Some(folder), true) => argv.extend(["-s".to_owned(), format!("./{folder}")]),
        (Some(file), false) => {
            let (folder, name) = file.as_str().rsplit_once('/').unwrap_or((".", file.as_str()));
            argv.extend(["-s".to_owned(), format!("./{folder}"), "-p".to_owned(), name.to_owned()]);
        }
    }
    argv.extend(filter.map(|filter| format!("-k{filter}")));
    argv
}

fn pytest(place: &Place, filter: Option<&str>) -> Vec<String> {
    // The cache would leave files in the workspace that nobody wrote.
    let mut argv = words(&[PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "-rfE"]);
    argv.extend(filter.map(|filter| format!("-k{filter}")));
    argv.extend(place.path.as_ref().map(|path| format!("./{path}")));
    argv
}

fn node(words_of: &[&str], filter_option: &str, place: &Place, filter: Option<&str>) -> Vec<String> {
    let mut argv = words(&["npx", "--no-install"]);
    argv.extend(words(words_of));
    if let Some(filter) = filter {
        argv.extend([filter_option.to_owned(), filter.to_owned()]);
    }
    if !place.is_folder {
        argv.extend(place.path.as_ref().map(|path| format!("./{path}")));
    }
    argv
}

fn cargo(place: &Place, filter: Option<&str>) -> Result<Vec<String>, Refusal> {
    if !place.is_folder {
        let message = "The argument `path` must be a folder for cargo; use `filter` to choose tests.";
        return Err(Refusal::new(arguments::BAD_ARGUMENTS, message));
    }
    let mut argv = words(&["cargo", "test", "--offline", "--no-fail-fast"]);
    argv.extend(filter.map(|filter| filter.to_owned()));
    Ok(argv)
}

fn folder(place: &Place) -> Option<String> {
    if place.is_folder { place.path.as_ref().map(ToString::to_string) } else { None }
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|word| (*word).to_owned()).collect()
}
