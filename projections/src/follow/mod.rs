//! Following the log: one follower per process reads each followed book once and hands its events to subscribers.
//!
//! Invariants: a subscriber gets every event of its session after its position, once, in order. Nobody waits for a
//! subscriber: one that is too slow is told so, reads the log by itself from where it is, and joins again. What is held
//! for subscribers is held once per session, and is bounded.
//! Never here: truth in a notification. Appends of this process and `NOTIFY` only wake; a look every second would do.

mod batch;
mod book;
mod follower;
mod logged;
mod routes;
mod subscriber;

pub use batch::{Batch, Rendering};
pub use follower::Follower;
pub use logged::Logged;
pub use subscriber::{FollowError, News, Subscriber};
