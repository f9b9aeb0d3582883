//! What must be so afterwards, whatever happened.

use std::collections::BTreeMap;

use projections::tree::{Expected, Follower, Signer};
use projections::{Runner, audit, check};
use sqlx::Row;
use uuid::Uuid;

use crate::driver::Load;
use crate::load::{APPENDERS, EVENTS, marker, request_id};
use crate::place::Db;

/// How often what was acknowledged is there.
#[derive(Debug, Default)]
pub struct Verdict {
    pub acknowledged: usize,
    pub lost: usize,
    pub doubled: usize,
}

/// Compares what a load was told with what the log holds.
pub async fn judge(db: &Db, load: &Load) -> Verdict {
    let requests = requests(db).await;
    let markers = markers(db, load.run).await;
    let (acknowledged, doubled) = load.heard(|heard| (heard.acknowledged.clone(), heard.contradictions));
    let mut verdict = Verdict { acknowledged: acknowledged.len(), doubled, lost: 0 };
    for ((asker, round), last) in &acknowledged {
        let marker = marker(load.run, *asker, *round);
        let stands = requests.get(&request_id(load.run, &marker).uuid());
        let told = if *asker < APPENDERS { stands == Some(last) } else { stands.is_some_and(|at| at <= last) };
        let complete = *asker >= APPENDERS || markers.get(&marker) == Some(&EVENTS);
        verdict.lost += usize::from(!told || !complete);
    }
    // Also what nobody was told of is there once at most.
    for (marker, times) in &markers {
        let asker: usize = marker.split('/').nth(1).and_then(|asker| asker.parse().ok()).expect("a marker names it");
        let once = if asker < APPENDERS { EVENTS } else { 1 };
        verdict.doubled += usize::from(*times > once);
    }
    verdict
}

/// The last position of each request's events.
async fn requests(db: &Db) -> BTreeMap<Uuid, i64> {
    let rows = sqlx::query(
        "SELECT request_id, position + coalesce((metadata->>'events')::bigint, 1) - 1 AS last FROM events \
         WHERE request_id IS NOT NULL",
    );
    let rows = rows.fetch_all(&mut db.owner().await).await.expect("the database answers");
    rows.into_iter().map(|row| (row.get("request_id"), row.get("last"))).collect()
}

/// How many events carry each marker of a load.
async fn markers(db: &Db, run: Uuid) -> BTreeMap<String, i64> {
    let rows = sqlx::query(
        "SELECT substring(payload::text FROM $1) AS marker, count(*) AS times FROM events \
         WHERE event_type IN ('tests.skipped', 'message.received') GROUP BY 1",
    );
    let rows = rows.bind(format!("{run}/[0-9]+/[0-9]+")).fetch_all(&mut db.owner().await).await;
    let rows = rows.expect("the database answers").into_iter();
    rows.filter_map(|row| Some((row.get::<Option<String>, _>("marker")?, row.get("times")))).collect()
}

/// Everything that must hold of every log, always: positions and sequences are dense, times rise, the chain verifies,
/// checkpoints protect all of it, and the read models are what a rebuild makes.
pub async fn everything_holds(db: &Db, signer: Signer) {
    let gaps = "SELECT count(*) FROM (SELECT position - lag(position, 1, 0::bigint) OVER (PARTITION BY book_id ORDER BY position) \
        AS step FROM events) AS steps WHERE step <> 1";
    assert_eq!(db.number(gaps).await, 0, "positions are dense");
    let gaps = "SELECT count(*) FROM (SELECT sequence - lag(sequence, 1, 0::bigint) OVER (PARTITION BY book_id, stream_id ORDER BY \
        position) AS step FROM events) AS steps WHERE step <> 1";
    assert_eq!(db.number(gaps).await, 0, "sequences are dense");
    let back = "SELECT count(*) FROM (SELECT recorded_at <= lag(recorded_at) OVER (PARTITION BY book_id ORDER BY position) AS back \
        FROM events) AS times WHERE back";
    assert_eq!(db.number(back).await, 0, "recorded times rise");
    let trees = Follower::new(db.pool.clone(), signer);
    trees.sign_all().await.expect("the trees can be signed: the log is the one that they were made of");
    for book in audit::books(&db.pool).await.expect("the database answers") {
        let expected = Expected { keys: vec![trees.signer().verifier(book)], ..Expected::default() };
        let report = audit::verify_against(&db.pool, book, &expected, |_| {}).await.expect("the database answers");
        assert!(report.holds(), "the chain, the tree and the checkpoints of {book} hold: {report:?}");
        assert_eq!(report.protection.protected, report.verified, "the checkpoint covers all of {book}");
    }
    let runner = Runner::open(db.pool.clone()).await.expect("the builds can be made");
    runner.catch_up().await.expect("the read models catch up");
    let comparisons = check::check(&db.pool, |_| {}).await.expect("the database answers");
    assert!(comparisons.iter().any(|one| one.serving_rows > 0), "read models have rows");
    assert!(comparisons.iter().all(|one| one.equal), "read models equal a rebuild: {comparisons:?}");
}
