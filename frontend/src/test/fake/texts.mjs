// The words of the scripted run.
export const THINK_PLAN =
  'The task asks for a converter from integers to Roman numerals, with tests. The classic way is a table of values in falling order: take the largest that fits, append its symbols, subtract. Numbers outside 1–3999 have no usual form, so they should be refused with a clear error. I will write the tests beside the code and run them with unittest, which needs nothing installed.';
export const SAY_PLAN =
  'I will write a small converter and its tests, then run them.\n\nThe core is a greedy walk over a table of values:\n\n```python\nfor value, symbol in TABLE:\n    while number >= value:\n        result += symbol\n        number -= value\n```\n\nThree things to take care of:\n\n1. **Subtractive forms** such as `IV` and `CM` stand in the table themselves.\n2. **Bounds**: only 1 to 3999 can be written.\n3. **Types**: `True` is an `int` in Python and should still be refused.';
export const PLAN = [
  'Write roman.py with the conversion',
  'Write unit tests for usual and odd cases',
  'Run the tests and make them pass',
  'Say what was done',
];
export const THINK_WRITE =
  'First the module. I keep the table as a constant and make `to_roman` raise `ValueError` outside the range. Then the tests: known values, subtractive forms, both bounds, and a check that every numeral from 1 to 3999 reads back.';
export const ROMAN = `"""Integers as Roman numerals."""

TABLE = [
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"),
    (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
    (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
]


def to_roman(number: int) -> str:
    """Return \`number\` as a Roman numeral."""
    if not 0 <= number <= 3999:
        raise ValueError(f"{number} is outside 1 to 3999")
    result = ""
    for value, symbol in TABLE:
        while number >= value:
            result += symbol
            number -= value
    return result
`;
export const TESTS = `import unittest

from roman import to_roman


class ToRoman(unittest.TestCase):
    def test_known_values(self):
        for number, numeral in [(1, "I"), (4, "IV"), (9, "IX"), (1994, "MCMXCIV")]:
            self.assertEqual(to_roman(number), numeral)

    def test_bounds(self):
        for number in (0, -1, 4000):
            with self.assertRaises(ValueError):
                to_roman(number)

    def test_upper_end(self):
        self.assertEqual(to_roman(3999), "MMMCMXCIX")


if __name__ == "__main__":
    unittest.main()
`;
export const COMMAND =
  'python3 -c "from roman import to_roman; print([to_roman(n) for n in (1, 4, 9, 40, 1994, 3999)])"';
export const COMMAND_OUTPUT = "['I', 'IV', 'IX', 'XL', 'MCMXCIV', 'MMMCMXCIX']\n";
export const RED = `test_bounds (test_roman.ToRoman.test_bounds) ... FAIL
test_known_values (test_roman.ToRoman.test_known_values) ... ok
test_upper_end (test_roman.ToRoman.test_upper_end) ... ok

======================================================================
FAIL: test_bounds (test_roman.ToRoman.test_bounds)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "test_roman.py", line 14, in test_bounds
    with self.assertRaises(ValueError):
AssertionError: ValueError not raised

----------------------------------------------------------------------
Ran 3 tests in 0.001s

FAILED (failures=1)
`;
export const GREEN = `test_bounds (test_roman.ToRoman.test_bounds) ... ok
test_known_values (test_roman.ToRoman.test_known_values) ... ok
test_upper_end (test_roman.ToRoman.test_upper_end) ... ok

----------------------------------------------------------------------
Ran 3 tests in 0.001s

OK
`;
export const THINK_FIX =
  'Zero is accepted: the bound says `0 <=`, and the loop then returns an empty text. The lower bound must be 1. One character changes; the tests stay as they are.';
export const SAY_DONE =
  'Done. `to_roman` converts 1 to 3999 and refuses everything else, and **all 3 tests pass**.\n\n| File | What |\n|---|---|\n| `roman.py` | the converter |\n| `test_roman.py` | 3 tests: known values, bounds, upper end |\n\nThe first run of the tests was red: zero was accepted and gave an empty text. The bound now begins at 1. Run them yourself with `python3 -m unittest -v`.';
export const SAY_DENIED =
  'You declined the trial command, so I go on without it: the unit tests cover the same ground and only need the workspace.';

/** A unified diff that creates a file. */
export function created(path, text) {
  const lines = text.split('\n').slice(0, -1);
  return `--- /dev/null\n+++ b/${path}\n@@ -0,0 +1,${lines.length} @@\n${lines.map((line) => `+${line}`).join('\n')}\n`;
}
export const FIX_PATCH = `--- a/roman.py
+++ b/roman.py
@@ -9,7 +9,7 @@

 def to_roman(number: int) -> str:
     """Return \`number\` as a Roman numeral."""
-    if not 0 <= number <= 3999:
+    if not 1 <= number <= 3999:
         raise ValueError(f"{number} is outside 1 to 3999")
     result = ""
     for value, symbol in TABLE:
`;

export const LIMITS = { max_steps: 40, max_cost_nanousd: 2_000_000_000, max_wall_ms: 1_800_000, max_fix_attempts: 3 };
export const MODEL = 'scripted/daybook-1';

/** The plan with its first items done. */
export function planItems(done) {
  const status = (index) => (index < done ? 'done' : index === done ? 'in_progress' : 'pending');
  return PLAN.map((item, index) => ({ text: item, status: status(index) }));
}
