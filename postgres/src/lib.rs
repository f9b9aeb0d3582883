//! The private PostgreSQL of one data directory: whoever needs it joins, and the last one out stops it.
//!
//! It never listens on a network, never runs as root, never deletes a database, and never keeps truth of its own about
//! who is using it: the kernel's file locks say so, and they end with the process that held them, however it ended.
//!
//! # Who holds what
//!
//! ```text
//! <data>/postgres          the database; postgres.new while it is being created
//! <data>/postgres.users    shared lock: held by each process that uses the database, for as long as it does
//!                          exclusive lock: taken by the guard, and only to stop; it is to be had when nobody is left
//! <data>/postgres.guard    exclusive lock: whoever is responsible for the server: first the process that starts it,
//!                          then the guard, to which the lock is handed as its standard input
//!                          content: the folder of the socket
//! <data>/postgres.log      what the guard and the server say
//! ```
//!
//! The guard is this program again (`__postgres-guard <data>`), in a session of its own. It starts `postgres` as its
//! child, waits for the exclusive lock on `postgres.users`, stops the server, removes the socket's folder and exits.
//! A process joins by taking the shared lock and then asking the server until it answers; when it finds
//! `postgres.guard` free while it waits, it starts the guard itself.
//!
//! # Every race we know, and why it ends well
//!
//! - **Two first starters.** One gets `postgres.guard` and creates; the other waits for the server's answer. If the
//!   first dies while `initdb` runs, `initdb` still holds the lock (it is its standard input too), so nobody clears
//!   `postgres.new` away under it. A database appears under its name by one rename, or not at all.
//! - **The starter dies just before or after the guard begins.** The lock is passed on, not released and taken again,
//!   so there is no moment at which a second guard could begin. A guard without users stops at once.
//! - **Joining while the guard stops.** The guard holds `postgres.users` until it has exited, so the shared lock is
//!   granted afterwards, and the newcomer finds `postgres.guard` free and starts anew. Conversely the guard cannot
//!   decide to stop while anybody has the shared lock: who has it, has a cluster.
//! - **A user is killed.** The kernel drops its lock; that is all the guard waits for.
//! - **The guard is killed while users live.** `postgres` is told by the kernel (`PR_SET_PDEATHSIG`) and shuts down
//!   cleanly. The watcher in each user finds `postgres.guard` free; the first starts a new guard, which waits until
//!   the old server is gone. Users see a server that restarted.
//! - **`postgres` is killed.** The guard sees its child end, waits until the orphaned backends have noticed, and starts
//!   it again (crash recovery), a bounded number of times a minute. Then it gives up; watchers try a few times more.
//! - **A stale `postmaster.pid`** (reboot, a reused process number, a dead server that its parent never reaped) would
//!   make `postgres` refuse to start. The guard removes it, but only when no process that could be that server lives.
//! - **A stale `postgres.guard`** names a folder that is gone or does not answer, which reads as "not ready yet". The
//!   folder's owner is checked before every connection, so nobody can answer in the server's place.
//! - **The program is replaced on disk while it runs.** The guard is started from `/proc/self/exe`, the running image.
//! - **Other children inherit nothing.** Lock files are close-on-exec, and the guard closes whatever else it was given.

mod account;
mod cluster;
mod create;
mod error;
mod guard;
mod layout;
mod leftovers;
mod os;
mod probe;
mod programs;
mod runtime;
mod server;
mod start;
mod watch;

pub use cluster::Cluster;
pub use error::ClusterError;
pub use guard::{GUARD_COMMAND, guard_main};
