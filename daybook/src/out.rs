//! Lines for the terminal. Whoever reads may stop reading, as `head` does; that ends the command and is no error.

/// Writes a line to standard output, or returns the error.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($words)*)?
    }};
}
pub(crate) use say;

/// Whether a command ended because nobody reads its output any more.
pub fn nobody_reads(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
