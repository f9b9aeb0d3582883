//! Stands between a load and PostgreSQL on a socket of its own, understands as much of the protocol as it must, and
//! cuts the sequencer's connection in the worst moments: just before an append arrives, and just after it is committed,
//! when the answer is all that is missing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use daybook_tests::Folder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

use crate::place::SEQUENCER;

/// A bind message that is longer than this carries events: everything else that a sequencer asks is shorter.
const BIND_OF_EVENTS: usize = 500;
/// The code of a request for encryption, which stands where the protocol's version would.
const ENCRYPTION: [u8; 4] = [0x04, 0xd2, 0x16, 0x2f];

pub struct Proxy {
    folder: Folder,
    cuts: Arc<Cuts>,
}

/// Cuts that are wanted, and those that were made.
#[derive(Default)]
pub struct Cuts {
    answers_wanted: AtomicUsize,
    requests_wanted: AtomicUsize,
    /// The transaction was committed, and nobody was told.
    pub after_commit: AtomicUsize,
    /// Nothing was committed: the statement was part of a transaction, or another process had been faster.
    pub uncommitted: AtomicUsize,
    /// The statement never arrived.
    pub before_arrival: AtomicUsize,
}

impl Proxy {
    /// `guard` is the file of a cluster that names the folder of its socket.
    pub fn serve(guard: &Path) -> Self {
        let real = std::fs::read_to_string(guard).expect("the cluster's guard names its folder");
        let real = PathBuf::from(real.trim()).join(".s.PGSQL.5432");
        let (folder, cuts) = (Folder::new(), Arc::<Cuts>::default());
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).expect("a socket can be made");
        let counting = cuts.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&real).await else { continue };
                tokio::spawn(carry(client, server, counting.clone()));
            }
        });
        Self { folder, cuts }
    }

    /// The URL of the same database through here.
    pub fn url(&self, url: &str) -> String {
        let before = url.split_once("?host=").expect("the cluster's URL names its folder").0;
        format!("{before}?host={}", self.folder.path().display())
    }

    /// Drops the next answer to an append.
    pub fn drop_answer(&self) {
        self.cuts.answers_wanted.fetch_add(1, Ordering::SeqCst);
    }

    /// Drops the next append.
    pub fn drop_request(&self) {
        self.cuts.requests_wanted.fetch_add(1, Ordering::SeqCst);
    }

    /// What was cut so far.
    pub fn cuts(&self) -> &Cuts {
        &self.cuts
    }

    /// How many cuts are wanted and not made yet.
    pub fn pending(&self) -> usize {
        self.cuts.answers_wanted.load(Ordering::SeqCst) + self.cuts.requests_wanted.load(Ordering::SeqCst)
    }
}

/// Carries one connection until either side ends it or it is cut.
async fn carry(mut client: UnixStream, mut server: UnixStream, cuts: Arc<Cuts>) -> Option<()> {
    let of_sequencer = greet(&mut client, &mut server).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let swallowing = AtomicBool::new(false);
    tokio::select! {
        end = requests(from_client, to_server, of_sequencer, &swallowing, &cuts) => end,
        end = answers(from_server, to_client, &swallowing, &cuts) => end,
    }
}

/// Carries the first message, which has no type; answers whether a sequencer sent it.
async fn greet(client: &mut UnixStream, server: &mut UnixStream) -> Option<bool> {
    loop {
        let length = client.read_u32().await.ok()?;
        let mut body = vec![0; usize::try_from(length).ok()?.checked_sub(4)?];
        client.read_exact(&mut body).await.ok()?;
        server.write_all(&length.to_be_bytes()).await.ok()?;
        server.write_all(&body).await.ok()?;
        if body != ENCRYPTION {
            let wanted = format!("application_name\0{SEQUENCER}\0");
            return Some(body.windows(wanted.len()).any(|part| part == wanted.as_bytes()));
        }
        client.write_u8(server.read_u8().await.ok()?).await.ok()?;
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    of_sequencer: bool,
    swallowing: &AtomicBool,
    cuts: &Cuts,
) -> Option<()> {
    loop {
        let (kind, body) = message(&mut from).await?;
        let appends = kind == b'B' && body.len() > BIND_OF_EVENTS || kind == b'Q' && body == b"COMMIT\0";
        if of_sequencer && appends {
            if take(&cuts.requests_wanted) {
                cuts.before_arrival.fetch_add(1, Ordering::SeqCst);
                return None;
            }
            if take(&cuts.answers_wanted) {
                swallowing.store(true, Ordering::SeqCst);
            }
        }
        send(&mut to, kind, &body).await?;
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallowing: &AtomicBool, cuts: &Cuts) -> Option<()> {
    let mut written = false;
    loop {
        let (kind, body) = message(&mut from).await?;
        if !swallowing.load(Ordering::SeqCst) {
            send(&mut to, kind, &body).await?;
            continue;
        }
        // An append whose position was taken answers no row.
        written |= kind == b'C' && body != b"SELECT 0\0" && body != b"INSERT 0 0\0";
        // "Ready for the next" says whether a transaction is open: if none is, what was written is committed.
        if kind == b'Z' {
            let committed = written && body == b"I";
            let count = if committed { &cuts.after_commit } else { &cuts.uncommitted };
            count.fetch_add(1, Ordering::SeqCst);
            return None;
        }
    }
}

/// One message: its type, and what follows on its length.
async fn message(from: &mut OwnedReadHalf) -> Option<(u8, Vec<u8>)> {
    let kind = from.read_u8().await.ok()?;
    let length = from.read_u32().await.ok()?;
    let mut body = vec![0; usize::try_from(length).ok()?.checked_sub(4)?];
    from.read_exact(&mut body).await.ok()?;
    Some((kind, body))
}

async fn send(to: &mut OwnedWriteHalf, kind: u8, body: &[u8]) -> Option<()> {
    let length = u32::try_from(body.len() + 4).ok()?;
    let whole = [&[kind], &length.to_be_bytes()[..], body].concat();
    to.write_all(&whole).await.ok()
}

/// Takes one of those that are wanted, if there is one.
fn take(wanted: &AtomicUsize) -> bool {
    wanted.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |wanted| wanted.checked_sub(1)).is_ok()
}
