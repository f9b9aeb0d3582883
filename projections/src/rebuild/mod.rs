//! Rebuilds: the next build of a projection is loaded beside the one that serves, follows the log with it, is compared
//! with it at one position, and takes its place in one transaction. Readers see the one or the other, whole.
//!
//! Never here: a write to the log. What happens is reported over a channel.

mod book;
mod bulk;
mod compare;
mod copying;
mod error;
mod fold;
mod follow;
mod held;
mod load;
mod owner;
mod pace;
mod range;
mod record;
mod report;
mod row;
mod share;
mod switch;
mod write;

pub use bulk::Bulk;
pub use compare::{Compared, Difference};
pub use error::RebuildError;
pub use report::{Named, Phase, Progress, Report};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::RequestId;
use tokio::sync::mpsc;

use crate::apply::Apply;
use crate::runner::Runner;
use owner::Owner;
use record::Green;

/// The most positions that are read in one snapshot.
const RANGE_MAX: i64 = 100_000;
/// The fewest.
const RANGE_MIN: i64 = 1_000;

/// How much is read, held and written at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most positions of a range; each is read in a snapshot of its own.
    pub range_positions: i64,
    /// How many bytes a range should have.
    pub range_bytes: usize,
    /// After how many positions rows are written and forgotten.
    pub cut_positions: i64,
    /// Or after how many bytes that were read for them.
    pub cut_bytes: usize,
    /// How many hands fold a book.
    pub shares: usize,
    /// How many books are loaded at once.
    pub books: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            range_positions: RANGE_MAX,
            range_bytes: 8 * 1024 * 1024,
            cut_positions: 1_000_000,
            cut_bytes: 512 * 1024 * 1024,
            shares: cores,
            books: 2,
        }
    }
}

impl Limits {
    /// How many positions the next range should have, after one with so many events and bytes.
    fn next_range(&self, events: i64, bytes: usize) -> i64 {
        let per_event = i64::try_from(bytes).unwrap_or(i64::MAX) / events.max(1);
        let wanted = i64::try_from(self.range_bytes).unwrap_or(i64::MAX) / per_event.max(1);
        wanted.clamp(RANGE_MIN, RANGE_MAX).min(self.range_positions)
    }
}

/// How to rebuild, to go back or to give up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Switch though the new build differs from the one that serves. Only a rebuild asks.
    pub accept_difference: bool,
    /// Whose wish it is; asked again with the same id, nothing is done twice.
    pub request_id: Option<RequestId>,
    /// Who asks.
    pub asked_by: Option<String>,
}

/// What came of each projection.
pub type Results = Vec<(String, Result<(), RebuildError>)>;

/// A rebuild that was begun. Dropped, it can be gone on with by whoever begins the next.
pub struct Begun {
    rebuilder: Rebuilder,
    owner: Owner,
    builds: Vec<(String, Green)>,
    results: Results,
    accept_difference: bool,
}

impl Begun {
    /// Loads, compares and switches. Answers what came of each projection.
    pub async fn finish(mut self) -> Result<Results, RebuildError> {
        let rebuilder = self.rebuilder.clone();
        let mut ready = vec![];
        for (name, green) in std::mem::take(&mut self.builds) {
            let projection = rebuilder.named(&name)?;
            match rebuilder.load(projection, &green).await {
                Ok(()) => ready.push((projection, green)),
                Err(error) => self.set(&name, rebuilder.give_up(projection, &green, error).await?),
            }
        }
        let mut proven = vec![];
        for (projection, green) in ready {
            match rebuilder.prove(projection, &green, self.accept_difference).await {
                Ok(()) => proven.push((projection, green)),
                Err(error) => self.set(projection.name(), rebuilder.give_up(projection, &green, error).await?),
            }
        }
        // All that are proven are switched together. One that is cancelled meanwhile drops out, and the rest go on.
        while !proven.is_empty() {
            match rebuilder.switch(&proven).await {
                Ok(()) => break,
                Err((at, error)) => {
                    let (projection, green) = proven.remove(at);
                    self.set(projection.name(), rebuilder.give_up(projection, &green, error).await?);
                }
            }
        }
        for (projection, green) in &proven {
            rebuilder.progress(green.ended(*projection, Phase::Switched));
            rebuilder.report(Report::Switched { build: green.named(*projection) }).await;
        }
        self.owner.release().await;
        for (name, _) in &self.results {
            rebuilder.end_if_left(rebuilder.named(name)?).await;
        }
        Ok(self.results)
    }

    fn set(&mut self, name: &str, error: RebuildError) {
        if let Some((_, result)) = self.results.iter_mut().find(|(own, _)| own == name) {
            *result = Err(error);
        }
    }
}

/// Rebuilds projections. Cheap to clone.
#[derive(Clone)]
pub struct Rebuilder {
    runner: Runner,
    reports: mpsc::Sender<Report>,
    reported: Arc<AtomicU64>,
    limits: Limits,
}

impl Rebuilder {
    /// One that reports to `reports`.
    pub fn new(runner: Runner, reports: mpsc::Sender<Report>) -> Self {
        Self { runner, reports, reported: Arc::default(), limits: Limits::default() }
    }

    /// The runner whose builds it makes.
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    /// How many reports there were.
    pub fn reported(&self) -> u64 {
        self.reported.load(Ordering::Relaxed)
    }

    /// The same with other limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Rebuilds projections, all of which are switched together; goes on with what was begun and not finished.
    /// Answers, in the order of `names`, what came of each.
    pub async fn rebuild(&self, names: &[&str], options: Options) -> Result<Results, RebuildError> {
        self.begin(names, options).await?.finish().await
    }

    /// Begins to rebuild projections, or says why not; the work is done by `finish`.
    pub async fn begin(&self, names: &[&str], options: Options) -> Result<Begun, RebuildError> {
        let projections = names.iter().map(|name| self.named(name)).collect::<Result<Vec<_>, _>>()?;
        let owner = Owner::take(self.runner.pool(), names).await?;
        let (mut builds, mut results) = (vec![], vec![]);
        for projection in projections {
            self.end_unwanted(projection).await?;
            let before = match options.request_id {
                Some(id) => record::answered(self.runner.pool(), projection.name(), id).await?,
                None => None,
            };
            let name = projection.name().to_owned();
            if let Some(failure) = before {
                results.push((name, failure.map_or(Ok(()), |failure| Err(RebuildError::Before(failure)))));
                continue;
            }
            let (green, resumed) = record::begin(self.runner.pool(), projection, options.request_id).await?;
            let (build, asked_by) = (green.named(projection), options.asked_by.clone());
            self.report(Report::Started { build, resumed, asked_by }).await;
            results.push((name.clone(), Ok(())));
            builds.push((name, green));
        }
        let accept_difference = options.accept_difference;
        Ok(Begun { rebuilder: self.clone(), owner, builds, results, accept_difference })
    }

    /// Lets the build serve again that served before.
    /// Asked again with the same request id, it does not go back once more.
    pub async fn undo(&self, name: &str, options: Options) -> Result<(), RebuildError> {
        let projection = self.named(name)?;
        let owner = Owner::take(self.runner.pool(), &[name]).await?;
        let undone = self.go_back(projection, options).await;
        owner.release().await;
        self.end_if_left(projection).await;
        undone
    }

    /// Undoes, as the owner.
    async fn go_back(&self, projection: &dyn Apply, options: Options) -> Result<(), RebuildError> {
        self.end_unwanted(projection).await?;
        let (name, request_id) = (projection.name(), options.request_id);
        if let Some(request_id) = request_id
            && let Some(failure) = record::answered(self.runner.pool(), name, request_id).await?
        {
            return failure.map_or(Ok(()), |failure| Err(RebuildError::Before(failure)));
        }
        let known = self.runner.projections();
        let (projection, green) = record::revive(self.runner.pool(), name, known, request_id).await?;
        let undone = async {
            self.catch_up(projection, &green).await?;
            self.switch(&[(projection, green.clone())]).await.map_err(|(_, error)| error)
        };
        match undone.await {
            Ok(()) => {
                self.report(Report::Undone { build: green.named(projection), asked_by: options.asked_by }).await;
                Ok(())
            }
            Err(error) => Err(self.give_up(projection, &green, error).await?),
        }
    }

    /// Has whoever rebuilds a projection give up, in whatever process; cleans up where nobody is left to. Answers whether
    /// there was anything to give up. Asked again with the same request id, it gives up nothing that was begun since.
    pub async fn cancel(&self, name: &str, options: Options) -> Result<bool, RebuildError> {
        let projection = self.named(name)?;
        let asked = record::ask_to_cancel(self.runner.pool(), name, &options).await?;
        if asked {
            self.end_where_nobody_owns(projection).await?;
        }
        Ok(asked)
    }

    /// Ends, as the owner, a build that somebody wants given up.
    async fn end_unwanted(&self, projection: &dyn Apply) -> Result<(), RebuildError> {
        let green = record::under_way(self.runner.pool(), projection.name()).await?;
        if let Some(green) = green.filter(|green| green.unwanted) {
            self.give_up(projection, &green, RebuildError::Cancelled).await?;
        }
        Ok(())
    }

    /// The same where nobody is the owner. An owner hears of it by itself.
    async fn end_where_nobody_owns(&self, projection: &dyn Apply) -> Result<(), RebuildError> {
        match Owner::take(self.runner.pool(), &[projection.name()]).await {
            Ok(owner) => {
                let ended = self.end_unwanted(projection).await;
                owner.release().await;
                ended
            }
            Err(RebuildError::Owned { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The same, by whoever was the owner until now: somebody may have asked after it looked for the last time, and
    /// found it still there.
    async fn end_if_left(&self, projection: &dyn Apply) {
        let ending = async {
            let green = record::under_way(self.runner.pool(), projection.name()).await?;
            match green.is_some_and(|green| green.unwanted) {
                true => self.end_where_nobody_owns(projection).await,
                false => Ok(()),
            }
        };
        if let Err(error) = ending.await {
            tracing::warn!(%error, projection = projection.name(), "an unwanted build is left to whoever comes next");
        }
    }

    /// Whether somebody works on this very request.
    pub async fn works_on(&self, name: &str, request_id: RequestId) -> Result<bool, RebuildError> {
        Ok(record::works_on(self.runner.pool(), name, request_id).await?)
    }

    /// Reports once more which builds serve: whoever writes that down may have crashed between the switch and the report.
    pub async fn report_serving(&self) -> Result<(), RebuildError> {
        for build in record::serving(self.runner.pool()).await? {
            self.report(Report::Switched { build }).await;
        }
        Ok(())
    }

    /// The projections whose build is of an earlier version than this release's, and those whose rebuild was interrupted.
    pub async fn outdated(&self) -> Result<Vec<&'static str>, RebuildError> {
        Ok(crate::build::outdated(self.runner.pool(), self.runner.projections()).await?)
    }

    /// How the newest rebuild of a projection stands, in whatever process it runs; `None` if there was none.
    pub async fn newest(&self, name: &str) -> Result<Option<Progress>, RebuildError> {
        self.named(name)?;
        Ok(record::newest_progress(self.runner.pool(), name).await?)
    }

    fn named(&self, name: &str) -> Result<&dyn Apply, RebuildError> {
        let mut own = self.runner.projections().iter().map(AsRef::as_ref);
        own.find(|projection| projection.name() == name).ok_or_else(|| RebuildError::Unknown(name.to_owned()))
    }

    /// Ends a build that does not come to anything. One whose work can go on stays as it is.
    async fn give_up(
        &self,
        projection: &dyn Apply,
        green: &Green,
        error: RebuildError,
    ) -> Result<RebuildError, RebuildError> {
        let build = green.named(projection);
        // Whoever wants it given up may have said so since it was last looked at, and nobody looks again.
        let unwanted = error.leaves_it_following() && record::cancelled(self.runner.pool(), green).await?;
        let error = if unwanted { RebuildError::Cancelled } else { error };
        match &error {
            RebuildError::Cancelled => {
                let asked_by = record::end(self.runner.pool(), green, "cancelled", None).await?;
                self.progress(green.ended(projection, Phase::Cancelled));
                self.report(Report::Cancelled { build, asked_by }).await;
            }
            error if error.is_final() => {
                let reason = error.to_string();
                record::end(self.runner.pool(), green, "failed", Some(&reason)).await?;
                self.progress(green.ended(projection, Phase::Failed));
                self.report(Report::Failed { build, reason }).await;
            }
            error if error.leaves_it_following() => {}
            _ => return Err(error),
        }
        Ok(error)
    }

    async fn report(&self, report: Report) {
        // Nobody has to listen.
        if self.reports.send(report).await.is_ok() {
            self.reported.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Progress may be missed by who is slow.
    fn progress(&self, progress: Progress) {
        if self.reports.try_send(Report::Progress(progress)).is_ok() {
            self.reported.fetch_add(1, Ordering::Relaxed);
        }
    }
}
