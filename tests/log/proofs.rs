//! Trees, checkpoints and proofs on a real PostgreSQL: made by several processes, killed, attacked, and still right.

use std::time::Duration;

use commands::log::Log;
use daybook_tests::Database;
use domain::BookId;
use domain::chain::{self, GENESIS, Hash};
use domain::proof::{
    Checkpoint, CheckpointKey, ConsistencyFile, ProofFile, SEED_BYTES, VerifierKey, node_hash, origin,
};
use projections::audit::{self, Report};
use projections::tree::{self, Expected, Follower, SignedCheckpoint, Signer, TreeError};
use sqlx::{Executor, Row};
use tempfile::TempDir;

use crate::fixture::{Random, append, in_time, marked, number, stream, superuser, to_stream};

/// A book, its log, and what follows it.
struct Kept {
    database: Database,
    log: Log,
    book: BookId,
    folder: TempDir,
}

impl Kept {
    async fn new() -> Self {
        let database = Database::fresh().await;
        let (log, book) = (database.log().await, database.installation.home_book);
        Self { database, log, book, folder: tempfile::tempdir().unwrap() }
    }

    /// One with a number of events.
    async fn with(events: usize) -> Self {
        let kept = Self::new().await;
        kept.grow(events).await;
        kept
    }

    async fn grow(&self, events: usize) {
        self.grow_through(&self.log, events).await;
    }

    /// Appends through another process than before: one that saw the log as it is now.
    async fn grow_anew(&self, events: usize) {
        self.grow_through(&self.database.log().await, events).await;
    }

    async fn grow_through(&self, log: &Log, events: usize) {
        for chunk in 0..events.div_ceil(1_000) {
            let mut one = append(log, self.book, vec![to_stream(stream(), 0, &[])]);
            let size = 1_000.min(events - chunk * 1_000);
            one.streams[0].events = (0..size).map(|event| marked(&event.to_string())).collect();
            in_time(log.append(one)).await.unwrap();
        }
    }

    /// A follower as a process of its own would have it, with the data folder's key.
    async fn follower(&self) -> Follower {
        let pool = commands::database::writer_pool(self.database.options.clone()).await.unwrap();
        Follower::new(pool, self.signer())
    }

    fn signer(&self) -> Signer {
        Signer::new(CheckpointKey::from_seed(&[1; SEED_BYTES]), self.folder.path().to_owned())
    }

    fn key(&self) -> VerifierKey {
        self.signer().verifier(self.book)
    }

    async fn sign(&self) -> SignedCheckpoint {
        in_time(self.follower().await.sign_now(self.book)).await.unwrap()
    }

    async fn audit(&self, checkpoints: &[&str]) -> Report {
        let checkpoints = checkpoints.iter().map(|note| ("kept".to_owned(), note.to_string())).collect();
        let expected = Expected { keys: vec![self.key()], checkpoints };
        in_time(audit::verify_against(&self.database.pool, self.book, &expected, |_| {})).await.unwrap()
    }

    /// Nothing is wrong, and everything up to here is protected.
    async fn holds(&self, protected: i64) {
        let report = self.audit(&[]).await;
        assert!(report.holds(), "{report:?}");
        assert_eq!(report.protection.protected, protected, "{report:?}");
    }

    /// Where the audit finds the log broken, and what it says.
    async fn broken(&self, checkpoints: &[&str]) -> (i64, String) {
        let report = self.audit(checkpoints).await;
        let broken = report.broken.clone().unwrap_or_else(|| panic!("nothing was found: {report:?}"));
        assert_eq!(report.verified, broken.position - 1);
        (broken.position, broken.reason)
    }

    async fn change(&self, sql: &str) -> u64 {
        let mut db = superuser(&self.database).await;
        db.execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
    }

    async fn prove(&self, position: i64, against: &SignedCheckpoint) -> ProofFile {
        let mut db = self.database.pool.acquire().await.unwrap();
        let proof = tree::inclusions(&mut db, self.book, &[position], against.size).await.unwrap().remove(0);
        let leaf = tree::read_leaf(&mut db, self.book, position).await.unwrap().unwrap();
        ProofFile { index: proof.index, path: proof.path, leaf, note: against.note.clone() }
    }

    /// Whoever may do anything in the database writes the log anew from a position on: another payload there, and every
    /// commitment and hash as it must be.
    async fn rewrite(&self, position: i64) {
        let mut db = superuser(&self.database).await;
        let hash_before = "SELECT hash FROM events WHERE book_id = $1 AND position = $2";
        let before = sqlx::query(hash_before).bind(self.book.uuid()).bind(position - 1);
        let before = before.fetch_optional(&mut db).await.unwrap();
        let mut hash: Hash = before.map_or(GENESIS, |row| row.get::<Vec<u8>, _>("hash").try_into().unwrap());
        let head = number(&mut db, "SELECT max(position) FROM book_heads").await;
        for at in position..=head {
            let leaf = tree::read_leaf(&mut db, self.book, at).await.unwrap().unwrap();
            let payload = match at == position {
                true => r#"{"reason":"forged"}"#.to_owned(),
                false => leaf.payload.clone().unwrap(),
            };
            let salt: Vec<u8> = sqlx::query("SELECT salt FROM events WHERE book_id = $1 AND position = $2")
                .bind(self.book.uuid())
                .bind(at)
                .fetch_one(&mut db)
                .await
                .unwrap()
                .get("salt");
            let commitment = chain::commitment(&salt, payload.as_bytes());
            hash = chain::hash(&hash, &leaf.header().unwrap(), &commitment);
            sqlx::query(
                "UPDATE events SET payload = $3::json, commitment = $4, hash = $5 WHERE book_id = $1 AND position = $2",
            )
            .bind(self.book.uuid())
            .bind(at)
            .bind(payload)
            .bind(&commitment[..])
            .bind(&hash[..])
            .execute(&mut db)
            .await
            .unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_of_two_processes_make_one_tree_while_the_log_grows() {
    let kept = Kept::new().await;
    let followers = [kept.follower().await, kept.follower().await];
    let following: Vec<_> = followers
        .iter()
        .cloned()
        .map(|follower| {
            tokio::spawn(async move {
                loop {
                    follower.look().await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for size in [1, 254, 1, 1, 700, 1_000, 3, 65] {
        kept.grow(size).await;
    }
    following.iter().for_each(|one| one.abort());
    let (first, second) =
        in_time(async { tokio::join!(followers[0].sign_now(kept.book), followers[1].sign_now(kept.book)) }).await;
    assert_eq!(first.unwrap(), second.unwrap(), "both sign the same, once");
    kept.holds(2_025).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_dies_anywhere_is_followed_by_the_next() {
    let kept = Kept::with(70_000).await;
    let mut random = Random::seeded(20_261_121);
    let mut db = superuser(&kept.database).await;
    for _ in 0..12 {
        let follower = kept.follower().await;
        let dying = tokio::spawn(async move { follower.look().await });
        let patience = Duration::from_millis(random.below(60) as u64);
        let ended = tokio::time::timeout(patience, dying).await;
        if ended.is_err() {
            // What held the lock is ended from outside, as by a crash of its process.
            db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                 AND pid <> pg_backend_pid() AND (query LIKE '%tiles%' OR query LIKE '%trees%')",
            )
            .await
            .unwrap();
        }
    }
    let signed = kept.sign().await;
    assert_eq!(signed.size, 70_000);
    kept.holds(70_000).await;
}

#[tokio::test]
async fn proofs_hold_at_the_borders_of_tiles_and_after_the_log_has_grown() {
    let kept = Kept::new().await;
    let mut signed: Vec<SignedCheckpoint> = vec![];
    for size in [1, 255, 256, 257, 511, 512, 10_300] {
        kept.grow(size - signed.last().map_or(0, |last| last.size as usize)).await;
        signed.push(kept.sign().await);
        assert_eq!(signed.last().unwrap().size, size as i64);
    }
    kept.holds(10_300).await;
    let key = kept.key();
    let mut db = kept.database.pool.acquire().await.unwrap();
    for (number, newer) in signed.iter().enumerate() {
        for older in &signed[..number] {
            let proof = tree::consistency(&mut db, kept.book, older.size, newer.size).await.unwrap();
            let file = ConsistencyFile { old_size: older.size as u64, path: proof.path, note: newer.note.clone() };
            file.verify(&older.note, &key).unwrap();
        }
        for position in [1, newer.size.midpoint(1), newer.size] {
            let text = kept.prove(position, newer).await.to_text();
            assert_eq!(ProofFile::parse(&text).unwrap().verify(&key).unwrap().size, newer.size as u64);
        }
    }
    // All of them at once, as an export asks for them.
    let newest = signed.last().unwrap();
    let positions: Vec<i64> = (1..=newest.size).collect();
    let proofs = tree::inclusions(&mut db, kept.book, &positions, newest.size).await.unwrap();
    assert_eq!(proofs.len(), positions.len());
    let root = Checkpoint::open(&newest.note, &key).unwrap().root;
    for position in [1, 256, 257, 9_999, 10_300] {
        let leaf = tree::read_leaf(&mut db, kept.book, position).await.unwrap().unwrap();
        proofs[position as usize - 1].verify(&leaf.hash().unwrap(), &root).unwrap();
    }
    for wrong in [0, newest.size + 1] {
        assert!(tree::inclusions(&mut db, kept.book, &[wrong], newest.size).await.is_err());
        assert!(tree::consistency(&mut db, kept.book, wrong, newest.size).await.is_err());
    }
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_found() {
    let kept = Kept::with(300).await;
    let signed = kept.sign().await;
    kept.change("DELETE FROM events WHERE position > 290").await;
    let (position, reason) = kept.broken(&[]).await;
    assert_eq!(position, 291);
    assert!(reason.contains("cut off") && reason.contains("300 events"), "{reason}");
    // Also when the tree and its checkpoints are cut, by a checkpoint that was kept elsewhere.
    kept.change("TRUNCATE trees, tiles, signed_checkpoints").await;
    let (position, reason) = kept.broken(&[&signed.note]).await;
    assert!(position == 291 && reason.contains("kept covers 300 events"), "{reason}");
    let refused = kept.follower().await.sign_now(kept.book).await;
    assert!(matches!(&refused, Err(TreeError::Contradiction { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_log_that_was_written_anew_with_its_chain_is_found_by_its_tiles() {
    let kept = Kept::with(300).await;
    kept.sign().await;
    kept.rewrite(123).await;
    let (position, reason) = kept.broken(&[]).await;
    assert_eq!((position, reason.as_str()), (123, "the event is not the one that the tree was made of"));
    let plain = in_time(audit::verify(&kept.database.pool, kept.book, |_| {})).await.unwrap();
    assert_eq!(plain.broken.map(|broken| broken.position), Some(123), "no key is needed for that");
    kept.grow_anew(10).await;
    let refused = kept.follower().await.sign_now(kept.book).await;
    assert!(matches!(&refused, Err(TreeError::Contradiction { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_log_that_was_written_anew_with_its_tiles_is_found_by_its_checkpoints() {
    let kept = Kept::with(200).await;
    kept.sign().await;
    kept.grow(100).await;
    let signed = kept.sign().await;
    kept.rewrite(250).await;
    kept.change("TRUNCATE trees, tiles").await;
    let refused = kept.follower().await.sign_now(kept.book).await;
    assert!(matches!(&refused, Err(TreeError::Contradiction { size: 300, .. })), "{refused:?}");
    let (position, reason) = kept.broken(&[]).await;
    assert_eq!(position, 201, "the checkpoint at 200 holds, that at 300 does not");
    assert!(reason.contains("to 300 are not those that the checkpoint signed "), "{reason}");
    assert_eq!(kept.audit(&[]).await.protection.protected, 200);

    // The checkpoints are forged as well, with a key of the attacker's own: what lies outside the database stays.
    kept.change("TRUNCATE signed_checkpoints").await;
    let elsewhere = tempfile::tempdir().unwrap();
    let own = Signer::new(CheckpointKey::from_seed(&[2; SEED_BYTES]), elsewhere.path().to_owned());
    let forger = Follower::new(kept.database.pool.clone(), own);
    in_time(forger.sign_now(kept.book)).await.unwrap();
    let report = kept.audit(&[]).await;
    assert!(report.holds(), "the database alone is in order: {report:?}");
    assert_eq!((report.protection.protected, report.protection.foreign), (0, 1), "but nothing protects it");
    let (position, reason) = kept.broken(&[&signed.note]).await;
    assert!(position == 1 && reason.contains("are not those that kept was signed for"), "{reason}");
    // The data folder remembers what it signed, and does not sign something else.
    assert_eq!(kept.signer().kept(kept.book).unwrap().as_deref(), Some(signed.note.as_str()));
    kept.grow_anew(1).await;
    let refused = kept.follower().await.sign_now(kept.book).await.unwrap_err().to_string();
    assert!(refused.contains("the newest checkpoint in the data folder"), "{refused}");
}

#[tokio::test]
async fn checkpoints_that_are_forged_or_of_another_key_count_for_nothing() {
    let kept = Kept::with(50).await;
    let signed = kept.sign().await;
    let forge = [
        ("note = replace(note, E'\\n50\\n', E'\\n51\\n')", "altered"),
        ("size = 49", "does not say what its row says"),
        ("root = set_byte(root, 0, get_byte(root, 0) # 1)", "does not say what its row says"),
        ("note = 'nothing'", "not a signed note"),
        ("note = replace(note, 'daybook/', 'nothing/')", "another book"),
    ];
    for (change, said) in forge {
        assert_eq!(kept.change(&format!("UPDATE signed_checkpoints SET {change}")).await, 1);
        let report = kept.audit(&[]).await;
        assert!(!report.holds() && report.broken.is_none() && report.protection.protected == 0, "{report:?}");
        assert!(report.protection.faults[0].contains(said), "{change}: {report:?}");
        kept.change("TRUNCATE signed_checkpoints").await;
        let mut db = superuser(&kept.database).await;
        sqlx::query("INSERT INTO signed_checkpoints (book_id, size, root, note) VALUES ($1, $2, $3, $4)")
            .bind(kept.book.uuid())
            .bind(signed.size)
            .bind(&signed.root[..])
            .bind(&signed.note)
            .execute(&mut db)
            .await
            .unwrap();
    }
    kept.holds(50).await;
    // One that was kept elsewhere must be of a key that is trusted, and must not have been altered.
    let checkpoint = Checkpoint { origin: origin(kept.book), size: 50, root: signed.root };
    let other = checkpoint.sign(&CheckpointKey::from_seed(&[2; SEED_BYTES])).unwrap();
    for (note, said) in
        [(other, "not signed with a key that is trusted"), (signed.note.replace("\n50\n", "\n49\n"), "altered")]
    {
        let report = kept.audit(&[&note]).await;
        assert!(!report.holds() && report.protection.faults[0].contains(said), "{report:?}");
    }
    assert!(kept.audit(&[&signed.note]).await.holds());
}

#[tokio::test]
async fn tiles_that_were_changed_are_found() {
    let kept = Kept::with(600).await;
    kept.sign().await;
    kept.change("CREATE TABLE kept_tiles AS TABLE tiles").await;
    let flip =
        |byte: usize| format!("UPDATE tiles SET hashes = set_byte(hashes, {byte}, get_byte(hashes, {byte}) # 1)");
    let changes = [
        (format!("{} WHERE level = 0 AND index = 0", flip(32 * 7)), 8, "made of"),
        (format!("{} WHERE level = 0 AND index = 2", flip(0)), 513, "made of"),
        (format!("{} WHERE level = 1", flip(32)), 257, "fit together"),
        ("DELETE FROM tiles WHERE level = 0 AND index = 1".into(), 257, "hole"),
        ("DELETE FROM tiles WHERE level = 1".into(), 1, "hole"),
        ("UPDATE tiles SET hashes = substr(hashes, 1, 64) WHERE level = 0 AND index = 2".into(), 515, "hole"),
        ("UPDATE trees SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1)".into(), 600, "made of another event"),
        ("UPDATE trees SET size = 601".into(), 601, "cut off"),
    ];
    kept.change("CREATE TABLE kept_trees AS TABLE trees").await;
    for (change, position, said) in changes {
        assert_eq!(kept.change(&change).await, 1, "{change}");
        let (at, reason) = kept.broken(&[]).await;
        assert!(at == position && reason.contains(said), "{change}: {at}: {reason}");
        kept.change("TRUNCATE tiles, trees; INSERT INTO tiles TABLE kept_tiles; INSERT INTO trees TABLE kept_trees")
            .await;
        kept.holds(600).await;
    }
    // A tree can be made again from the log, and is the same.
    kept.change("TRUNCATE tiles, trees").await;
    kept.sign().await;
    kept.holds(600).await;
    let mut db = superuser(&kept.database).await;
    let other = "SELECT count(*) FROM (TABLE tiles EXCEPT TABLE kept_tiles) AS other";
    assert_eq!(number(&mut db, other).await, 0);
}

#[tokio::test]
async fn a_checkpoint_is_signed_when_it_is_due_and_not_before() {
    let kept = Kept::with(5).await;
    let follower = kept.follower().await;
    let mut db = superuser(&kept.database).await;
    let count = "SELECT count(*) FROM signed_checkpoints";
    follower.look().await.unwrap();
    assert_eq!(number(&mut db, count).await, 1, "the first one is due at once");
    kept.grow(9_000).await;
    follower.look().await.unwrap();
    assert_eq!(number(&mut db, count).await, 1, "nine thousand events and a moment are not enough");
    assert_eq!(number(&mut db, "SELECT size FROM trees").await, 9_005, "the tree has followed");
    kept.change("UPDATE signed_checkpoints SET signed_at = signed_at - interval '6 minutes'").await;
    follower.look().await.unwrap();
    assert_eq!(number(&mut db, count).await, 2, "after five minutes it is due");
    follower.look().await.unwrap();
    kept.grow(10_000).await;
    follower.look().await.unwrap();
    assert_eq!(number(&mut db, count).await, 3, "and after ten thousand events");
    let (first, again) = (kept.sign().await, kept.sign().await);
    assert_eq!(first, again, "without growth there is nothing new to sign");
    assert_eq!(number(&mut db, count).await, 3);
    kept.holds(19_005).await;
    let empty = follower.sign_now(crate::fixture::another_book()).await;
    assert!(matches!(empty, Err(TreeError::Empty(_))), "{empty:?}");
}

#[tokio::test]
async fn nobody_may_change_or_remove_a_signed_checkpoint() {
    let kept = Kept::with(3).await;
    kept.sign().await;
    for role in ["daybook_writer", "daybook_reader"] {
        let mut db = superuser(&kept.database).await;
        db.execute(format!("SET ROLE {role}").as_str()).await.unwrap();
        for sql in [
            "UPDATE signed_checkpoints SET size = 1",
            "DELETE FROM signed_checkpoints",
            "TRUNCATE signed_checkpoints",
            "DELETE FROM tiles",
        ] {
            let refused = db.execute(sql).await.unwrap_err();
            let code = refused.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
            assert_eq!(code.as_deref(), Some("42501"), "{role}: {sql}");
        }
    }
}

/// The tile format is that of C2SP: what another program computes from the tiles is the signed root.
#[tokio::test]
async fn tiles_lead_to_the_signed_root_by_hand() {
    let kept = Kept::with(258).await;
    let signed = kept.sign().await;
    let mut db = superuser(&kept.database).await;
    let rows =
        sqlx::query("SELECT level, index, hashes FROM tiles ORDER BY level, index").fetch_all(&mut db).await.unwrap();
    let tiles: Vec<(i16, i64, Vec<u8>)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let shape: Vec<_> = tiles.iter().map(|(level, index, hashes)| (*level, *index, hashes.len() / 32)).collect();
    assert_eq!(shape, [(0, 0, 256), (0, 1, 2), (1, 0, 1)]);
    let hash = |bytes: &[u8]| Hash::try_from(bytes).unwrap();
    let right = node_hash(&hash(&tiles[1].2[..32]), &hash(&tiles[1].2[32..]));
    assert_eq!(node_hash(&hash(&tiles[2].2), &right), signed.root);
}
