//! What becomes of a session that is taken in.
