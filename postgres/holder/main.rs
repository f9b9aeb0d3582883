//! A user of a cluster for the tests: joins, prints `ready <url>`, and stays until its standard input closes.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use daybook_postgres::{Cluster, GUARD_COMMAND, guard_main};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [GUARD_COMMAND, data] => guard_main(Path::new(data)),
        [data] => hold(Path::new(data)),
        _ => ExitCode::FAILURE,
    }
}

fn hold(data: &Path) -> ExitCode {
    let cluster = match Cluster::join(data, |line| eprintln!("{line}")) {
        Ok(cluster) => cluster,
        Err(error) => {
            println!("refused {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("ready {}", cluster.url());
    let written = io::stdout().flush();
    let closed = io::stdin().read_to_end(&mut Vec::new());
    cluster.leave();
    ExitCode::from(u8::from(written.is_err() || closed.is_err()))
}
