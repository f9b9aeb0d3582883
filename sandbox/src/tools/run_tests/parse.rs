//! Counts and failures from what frameworks print for people. It never invents a count: what it does not
//! find is 0, and a run of which nothing is found is no success.

use std::sync::LazyLock;

use regex::Regex;

use super::{FAILURES, Framework, MESSAGE_BYTES, TestFailure, TestReport};
use crate::tools::bound::shortened;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("patterns are constants, and each is used by a test")
}

static COLOURS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\x1b\[[0-9;]*[A-Za-z]"));
static COUNT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(\d+) ([a-z]+)"));
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| pattern(r"([a-z ]+)=(\d+)"));
static RAN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^Ran (\d+) tests? in"));
static OUTCOME: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$"));
static UNITTEST_HEAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:FAIL|ERROR|UNEXPECTED SUCCESS): (.+)$"));
static PYTEST_TOTAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^=* ?(\d+ [a-z]+(?:, \d+ [a-z]+)*) in [\d.]+"));
static PYTEST_HEAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:FAILED|ERROR) (\S+)(?: - (.*))?$"));
static JEST_TOTAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^Tests: +(.+)$"));
static JEST_HEAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^ *● (.+)$"));
static VITEST_TOTAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^ *Tests +(.+)$"));
static VITEST_HEAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^ *FAIL +(.+ > .+)$"));
static MOCHA_COUNT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^ +(\d+) (passing|failing|pending)"));
static MOCHA_HEAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^ +\d+\) (.+)$"));
static CARGO_TOTAL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored"));
static CARGO_HEAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^---- (.+) stdout ----$"));

/// Takes terminal colours out.
pub(super) fn plain(text: &str) -> String {
    COLOURS.replace_all(text, "").replace('\r', "")
}

/// Whether the output says that the framework is not installed.
pub(super) fn says_missing(framework: Framework, text: &str) -> bool {
    let markers: &[&str] = match framework {
        Framework::Unittest | Framework::Cargo => &[],
        Framework::Pytest => &["No module named pytest"],
        Framework::Jest | Framework::Vitest | Framework::Mocha => {
            &["npx canceled due to missing packages", "could not determine executable to run", "npm ERR! canceled"]
        }
    };
    markers.iter().any(|marker| text.contains(marker))
}

/// Whether the output says that there are no tests.
pub(super) fn says_none(text: &str) -> bool {
    ["NO TESTS RAN", "Ran 0 tests", "no tests ran", "No tests found", "No test files found", "collected 0 items"]
        .iter()
        .any(|marker| text.contains(marker))
}

/// Reads a whole output. Command and duration are the caller's to fill in.
pub(super) fn report(framework: Framework, text: &str) -> TestReport {
    let mut report = TestReport {
        framework: framework.name(),
        command: String::new(),
        passed: 0,
        failed: 0,
        skipped: 0,
        errors: 0,
        failures: vec![],
        duration_ms: 0,
    };
    match framework {
        Framework::Unittest => unittest(text, &mut report),
        Framework::Pytest => pytest(text, &mut report),
        Framework::Jest => {
            totals(last(&JEST_TOTAL, text), &mut report);
            report.failures = blocks(text, &JEST_HEAD, |line| line.starts_with("Test Suites:"));
        }
        Framework::Vitest => {
            totals(last(&VITEST_TOTAL, text), &mut report);
            report.failures =
                blocks(text, &VITEST_HEAD, |line| line.starts_with('⎯') || line.trim_start().starts_with("Test Files"));
        }
        Framework::Mocha => mocha(text, &mut report),
        Framework::Cargo => cargo(text, &mut report),
    }
    report
}

fn unittest(text: &str, report: &mut TestReport) {
    let ran = RAN.captures_iter(text).last().map_or(0, |found| number(&found[1]));
    let counts = last(&OUTCOME, text).unwrap_or_default();
    let count = |name: &str| -> u64 {
        let found = ASSIGNED.captures_iter(counts).find(|found| found[1].trim() == name);
        found.map_or(0, |found| number(&found[2]))
    };
    report.failed = count("failures") + count("unexpected successes");
    report.errors = count("errors");
    report.skipped = count("skipped");
    report.passed = ran.saturating_sub(report.failed + report.errors + report.skipped);
    let rule = |line: &str| {
        line.len() >= 70 && (line.bytes().all(|byte| byte == b'=') || line.bytes().all(|byte| byte == b'-'))
    };
    // A head is followed by a rule, then by the message, which the next rule ends.
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(head) = UNITTEST_HEAD.captures(line) else {
            continue;
        };
        let mut message = String::new();
        while let Some(note) = lines.next_if(|line| !rule(line)) {
            message.push_str(note);
            message.push('\n');
        }
        lines.next();
        while let Some(line) = lines.next_if(|line| !rule(line)) {
            message.push_str(line);
            message.push('\n');
        }
        push(&mut report.failures, &head[1], &message);
    }
}

fn pytest(text: &str, report: &mut TestReport) {
    totals(last(&PYTEST_TOTAL, text), report);
    for head in text.lines().filter_map(|line| PYTEST_HEAD.captures(line)) {
        push(&mut report.failures, &head[1], head.get(2).map_or("", |message| message.as_str()));
    }
}

fn mocha(text: &str, report: &mut TestReport) {
    for found in MOCHA_COUNT.captures_iter(text) {
        match &found[2] {
            "passing" => report.passed = number(&found[1]),
            "failing" => report.failed = number(&found[1]),
            _ => report.skipped = number(&found[1]),
        }
    }
    // Numbered heads stand in the run too; the failures' messages follow the count of failures.
    if let Some(found) = MOCHA_COUNT.find_iter(text).find(|found| found.as_str().ends_with("failing")) {
        report.failures = blocks(&text[found.end()..], &MOCHA_HEAD, |_| false);
    }
}

fn cargo(text: &str, report: &mut TestReport) {
    for found in CARGO_TOTAL.captures_iter(text) {
        report.passed += number(&found[1]);
        report.failed += number(&found[2]);
        report.skipped += number(&found[3]);
    }
    report.failures = blocks(text, &CARGO_HEAD, |line| line == "failures:" || line.starts_with("test result:"));
    if !CARGO_TOTAL.is_match(text) {
        let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error")).collect();
        report.errors = errors.len() as u64;
        errors.iter().for_each(|error| push(&mut report.failures, "build", error));
    }
}

/// Adds counts such as `1 failed, 2 passed` or `1 failed | 2 passed`.
fn totals(line: Option<&str>, report: &mut TestReport) {
    for found in COUNT.captures_iter(line.unwrap_or_default()) {
        let count = number(&found[1]);
        match &found[2] {
            "passed" | "xfailed" => report.passed += count,
            "failed" | "xpassed" => report.failed += count,
            "skipped" | "todo" | "pending" => report.skipped += count,
            "error" | "errors" => report.errors += count,
            _ => (),
        }
    }
}

/// Blocks that begin with a head and last until the next head or an end.
fn blocks(text: &str, head: &Regex, is_end: impl Fn(&str) -> bool) -> Vec<TestFailure> {
    let (mut failures, mut open): (Vec<TestFailure>, Option<(String, String)>) = (vec![], None);
    let mut close = |open: &mut Option<(String, String)>| {
        if let Some((name, message)) = open.take() {
            push(&mut failures, &name, &message);
        }
    };
    for line in text.lines() {
        if let Some(found) = head.captures(line) {
            close(&mut open);
            open = Some((found[1].to_owned(), String::new()));
        } else if is_end(line) {
            close(&mut open);
        } else if let Some((_, message)) = &mut open {
            message.push_str(line);
            message.push('\n');
        }
    }
    close(&mut open);
    failures
}

fn push(failures: &mut Vec<TestFailure>, name: &str, message: &str) {
    if failures.len() < FAILURES {
        failures.push(TestFailure { name: name.trim().to_owned(), message: shortened(message.trim(), MESSAGE_BYTES) });
    }
}

fn last<'a>(pattern: &Regex, text: &'a str) -> Option<&'a str> {
    pattern.captures_iter(text).last()?.get(1).map(|found| found.as_str())
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}
