//! The log and its projections on a real PostgreSQL.

mod append;
