//! What frameworks print, and what is read from it.

use super::detect::from_package;
use super::parse::{plain, report};
use super::*;

fn counts(framework: Framework, text: &str) -> (u64, u64, u64, u64) {
    let report = report(framework, &plain(text));
    (report.passed, report.failed, report.skipped, report.errors)
}

fn names(framework: Framework, text: &str) -> Vec<String> {
    report(framework, &plain(text)).failures.into_iter().map(|failure| failure.name).collect()
}

const PYTEST: &str = "\
============ test session starts ============
collected 4 items

test_a.py F.s.                                  [100%]
=================== FAILURES ===================
____ test_one ____
E       assert 1 == 2
=========== short test summary info ============
FAILED test_a.py::test_one - assert 1 == 2
ERROR test_b.py
==== 1 failed, 2 passed, 1 skipped, 1 error in 0.03s ====
";

#[test]
fn pytest_is_read() {
    assert_eq!(counts(Framework::Pytest, PYTEST), (2, 1, 1, 1));
    assert_eq!(names(Framework::Pytest, PYTEST), ["test_a.py::test_one", "test_b.py"]);
    assert_eq!(report(Framework::Pytest, PYTEST).failures[0].message, "assert 1 == 2");
    assert!(parse::says_missing(Framework::Pytest, "/usr/bin/python3: No module named pytest"));
    assert!(parse::says_none("==== no tests ran in 0.00s ===="));
}

const JEST: &str = "\
FAIL ./sum.test.js
  sums
    \u{1b}[32m✓\u{1b}[0m adds (1 ms)

  ● sums › fails

    expect(received).toBe(expected)

Test Suites: 1 failed, 1 total
Tests:       1 failed, 1 skipped, 2 passed, 4 total
Snapshots:   0 total
";

#[test]
fn jest_is_read() {
    assert_eq!(counts(Framework::Jest, JEST), (2, 1, 1, 0));
    assert_eq!(names(Framework::Jest, JEST), ["sums › fails"]);
}

const VITEST: &str = "\
 ❯ sum.test.ts (3)
⎯⎯⎯⎯ Failed Tests 1 ⎯⎯⎯⎯

 FAIL  sum.test.ts > sums > fails
AssertionError: expected 2 to be 3

⎯⎯⎯⎯[1/1]⎯

 Test Files  1 failed (1)
      Tests  1 failed | 2 passed | 1 skipped (4)
";

#[test]
fn vitest_is_read() {
    assert_eq!(counts(Framework::Vitest, VITEST), (2, 1, 1, 0));
    let failures = report(Framework::Vitest, VITEST).failures;
    assert_eq!(failures[0].name, "sum.test.ts > sums > fails");
    assert_eq!(failures[0].message, "AssertionError: expected 2 to be 3");
}

const MOCHA: &str = "
  sums
    ✔ adds
    1) fails

  1 passing (4ms)
  2 pending
  1 failing

  1) sums
       fails:

      AssertionError [ERR_ASSERTION]: 2 == 3
";

#[test]
fn mocha_is_read() {
    assert_eq!(counts(Framework::Mocha, MOCHA), (1, 1, 2, 0));
    assert_eq!(names(Framework::Mocha, MOCHA), ["sums"]);
}

const CARGO: &str = "
running 2 tests
test tests::right ... ok
test tests::wrong ... FAILED

failures:

---- tests::wrong stdout ----
thread 'tests::wrong' panicked at src/lib.rs:9:9:
assertion failed

failures:
    tests::wrong

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

#[test]
fn cargo_is_read() {
    assert_eq!(counts(Framework::Cargo, CARGO), (4, 1, 1, 0));
    assert_eq!(names(Framework::Cargo, CARGO), ["tests::wrong"]);
    assert_eq!(counts(Framework::Cargo, "error[E0425]: cannot find value\nerror: could not compile"), (0, 0, 0, 2));
}

#[test]
fn an_unexpected_success_of_unittest_has_failed() {
    let text = "Ran 3 tests in 0.001s\n\nFAILED (failures=1, expected failures=1, unexpected successes=1)\n";
    assert_eq!(counts(Framework::Unittest, text), (1, 2, 0, 0));
}

#[test]
fn a_package_tells_its_framework() {
    let found = |manifest| from_package(manifest).map(Framework::name);
    assert_eq!(found(r#"{"scripts":{"test":"mocha"},"devDependencies":{"jest":"1"}}"#), Some("mocha"));
    assert_eq!(found(r#"{"devDependencies":{"jest":"1","vitest":"1"}}"#), Some("vitest"));
    assert_eq!(found(r#"{"dependencies":{"jest":"1"}}"#), Some("jest"));
    assert_eq!(found(r#"{"scripts":{"test":"node x.js"}}"#), None);
    assert_eq!(found("not json"), None);
}

#[test]
fn a_path_is_never_an_option() {
    let place = Place { path: Some(WorkspacePath::parse("-x.py").unwrap()), is_folder: false };
    let argv = command::exec(Framework::Pytest, &place, Some("a")).unwrap().argv;
    assert!(argv.contains(&"./-x.py".to_owned()) && argv.contains(&"-ka".to_owned()), "{argv:?}");
    let argv = command::exec(Framework::Unittest, &place, None).unwrap().argv;
    assert_eq!(argv[5..], ["-s", "./.", "-p", "-x.py"]);
}
