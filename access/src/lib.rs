//! Who is asking: sign-in links, cookies, the Viewer of a request, and whether its Host and Origin are ours.
//!
//! Never here: what a viewer may do with a thing (the thing's own rules say that), or how an answer is shown.

mod grant;
mod origin;
mod sign_in;

pub use grant::Grant;
pub use origin::{Allowed, check_origin};
pub use sign_in::{Access, COOKIE, SIGN_IN_PATH};
