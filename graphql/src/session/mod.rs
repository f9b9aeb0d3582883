//! Sessions.

mod following;
mod frame;
mod mutation;
mod object;
mod subscription;

pub use mutation::SessionMutation;
pub use object::{Session, SessionQuery, page_size};
pub use subscription::SessionSubscription;
