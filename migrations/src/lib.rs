//! The database's schema, embedded in the binary. Never here: anything but migrations.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Every migration, oldest first: its number, its name, what it does.
const ALL: &[(i64, &str, &str)] = &[
    (1, "log", include_str!("../0001_log.sql")),
    (2, "projections", include_str!("../0002_projections.sql")),
    (3, "proofs", include_str!("../0003_proofs.sql")),
    (4, "rebuild", include_str!("../0004_rebuild.sql")),
    (5, "quarantine", include_str!("../0005_quarantine.sql")),
    (6, "erasure_snapshots", include_str!("../0006_erasure_snapshots.sql")),
    (7, "postgres_es_view", include_str!("../0007_postgres_es_view.sql")),
    (8, "lean_indexes", include_str!("../0008_lean_indexes.sql")),
    (9, "erasures", include_str!("../0009_erasures.sql")),
    (10, "rebuild_askers", include_str!("../0010_rebuild_askers.sql")),
    (11, "heads", include_str!("../0011_heads.sql")),
];

/// Every migration. They only add while an older release may still run; 11 did not, and came before the first release.
pub fn migrator() -> Migrator {
    let migrations = ALL.iter().map(|(version, name, sql)| {
        Migration::new(*version, Cow::Borrowed(name), MigrationType::Simple, Cow::Borrowed(sql), false)
    });
    Migrator { migrations: migrations.collect(), ..Migrator::DEFAULT }
}
