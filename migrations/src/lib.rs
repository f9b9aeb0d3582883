//! The database's schema, embedded in the binary. Never here: anything but migrations.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Every migration by number, oldest first. They only add while an older release may still run.
pub fn migrator() -> Migrator {
    let all = [
        (1, "log", include_str!("../0001_log.sql")),
        (2, "projections", include_str!("../0002_projections.sql")),
        (4, "rebuild", include_str!("../0004_rebuild.sql")),
        (5, "quarantine", include_str!("../0005_quarantine.sql")),
    ];
    let migrations = all.into_iter().map(|(version, name, sql)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, Cow::Borrowed(sql), false)
    });
    Migrator { migrations: migrations.collect(), ..Migrator::DEFAULT }
}
