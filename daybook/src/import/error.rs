//! Why a file cannot be imported: one sentence each, naming the place.

/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// The longest run that is read, in turns of the model.
pub const MAX_STEPS: usize = 10_000;

/// Why a file cannot be imported. Nothing of it has been written then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Nothing but white space.
    #[error("the file is empty: expected a SWE-agent trajectory, which is a JSON object")]
    Empty,
    /// More than [`MAX_FILE_BYTES`].
    #[error("the file has {bytes} bytes: at most {MAX_FILE_BYTES} are read")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// JSON that ends before it is complete.
    #[error("the file ends too early, at line {line}, column {column}: it is cut off or still being written")]
    Truncated {
        /// 1 and up.
        line: usize,
        /// 1 and up.
        column: usize,
    },
    /// No JSON.
    #[error("the file is not JSON: {reason} at line {line}, column {column}")]
    NotJson {
        /// What is wrong there.
        reason: String,
        /// 1 and up.
        line: usize,
        /// 1 and up.
        column: usize,
    },
    /// JSON of another kind.
    #[error("the file is not a SWE-agent trajectory: expected a list `history` or `trajectory`, found {found}")]
    Foreign {
        /// What stands at the top of the file instead.
        found: String,
    },
    /// An entry of the wrong shape.
    #[error("{place} is {found}: expected {expected}")]
    Shape {
        /// The entry, such as `history[7].content`.
        place: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Only the agent speaks.
    #[error("{place} holds no message of the user before the agent's first turn: nothing says what the task was")]
    NoTask {
        /// Where it should stand.
        place: &'static str,
    },
    /// More than [`MAX_STEPS`].
    #[error("{place} holds more than {MAX_STEPS} turns of the agent: longer runs are not read")]
    TooManySteps {
        /// The list.
        place: &'static str,
    },
}
