//! `daybook rebuild --check`: does what serves equal what the log says?

use projections::check;

use crate::cli::{NO, OK, Place};
use crate::node::Node;
use crate::out::say;

/// Folds everything into a scratch build and compares.
pub async fn check(place: &Place, json: bool) -> anyhow::Result<u8> {
    let node = Node::open(place).await?;
    node.runner.catch_up().await?;
    let comparisons = check::check(&node.pool, |projection| {
        if !json {
            eprintln!("checking {projection}…");
        }
    })
    .await?;
    for one in &comparisons {
        if json {
            say!("{}", serde_json::to_string(one)?);
        } else {
            let verdict = if one.equal { "equal" } else { "DIFFERS" };
            say!(
                "{:<12} {} at {}: {} rows serve, {} rebuilt: {verdict}",
                one.projection,
                one.book_id,
                one.position,
                one.serving_rows,
                one.rebuilt_rows
            );
        }
    }
    let equal = comparisons.iter().all(|one| one.equal);
    node.close().await;
    Ok(if equal { OK } else { NO })
}
