//! Daybook's sandbox: where everything an agent runs is run, and through which its files are touched.
//!
//! - [`engine`] starts commands behind bubblewrap, seccomp, resource limits and an unprivileged uid.
//! - [`probe`] tries to escape through that very launcher; an engine that has not held refuses to run.
//! - [`files`] reads and writes workspace files from the host, never following a link out of them.
//! - [`tools`] are the tools an agent may call, built only from the three above.
//!
//! - [`worker`] takes approved calls of runs, makes them, and comes back with commands.
//!
//! Never here: a decision about what a run does next, a write to the log but by command, anything of the agent's that
//! runs outside the sandbox.

pub mod engine;
pub mod files;
pub mod probe;
pub mod tools;
pub mod worker;

mod changed;

/// Receives output as it comes: which stream, and the bytes read from it. It must not block.
pub type Sink<'a> = &'a mut (dyn FnMut(engine::Stream, Vec<u8>) + Send);
