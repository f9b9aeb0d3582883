//! The database's schema, embedded in the binary. Never here: anything but migrations.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Every migration, oldest first. They only add while an older release may still run.
pub fn migrator() -> Migrator {
    let all = [
        ("log", include_str!("../0001_log.sql")),
        ("projections", include_str!("../0002_projections.sql")),
        ("proofs", include_str!("../0003_proofs.sql")),
    ];
    let migrations = (1..).zip(all).map(|(version, (name, sql))| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, Cow::Borrowed(sql), false)
    });
    Migrator { migrations: migrations.collect(), ..Migrator::DEFAULT }
}
