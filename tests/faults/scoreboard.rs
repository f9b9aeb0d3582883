//! What came of it all, as a table.

/// What came of one kind of fault.
#[derive(Debug, Default)]
pub struct Score {
    pub fault: &'static str,
    pub injected: usize,
    pub acknowledged: usize,
    pub lost: usize,
    pub doubled: usize,
    /// What was really met, or why it was not tried.
    pub remark: String,
    /// Whether the fault was really met, or could not be tried here.
    pub met: bool,
}

/// Prints the table; answers whether all is well.
pub fn show(scores: &[Score]) -> bool {
    println!(
        "\n{:<28} {:>8} {:>12} {:>6} {:>10}  what was met",
        "fault", "injected", "acknowledged", "lost", "duplicates"
    );
    let mut total = Score { fault: "all", met: true, ..Score::default() };
    for score in scores {
        line(score);
        total.injected += score.injected;
        total.acknowledged += score.acknowledged;
        total.lost += score.lost;
        total.doubled += score.doubled;
        total.met &= score.met;
    }
    line(&total);
    println!();
    total.met && total.lost == 0 && total.doubled == 0
}

fn line(score: &Score) {
    let Score { fault, injected, acknowledged, lost, doubled, remark, met } = score;
    let remark = if *met { remark.clone() } else { format!("NOT MET {remark}") };
    println!("{fault:<28} {injected:>8} {acknowledged:>12} {lost:>6} {doubled:>10}  {remark}");
}
