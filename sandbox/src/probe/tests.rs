//! The probe must hold on this machine, and must fail when the launcher is broken on purpose: a check that
//! cannot fail is worthless.

use std::time::Duration;

use super::*;
use crate::engine::Weakness;
use crate::engine::tests::{sandbox, sh};
use tokio_util::sync::CancellationToken;

fn engine(weakness: Option<Weakness>) -> ProcessEngine {
    let mut engine = ProcessEngine::detect().unwrap();
    engine.weakness = weakness;
    engine
}

fn failed(report: &ProbeReport) -> Vec<&'static str> {
    let failed = match report.verdict() {
        Verdict::Holds => vec![],
        Verdict::Refused { failed } => failed,
    };
    assert!(failed.len() < report.checks.len(), "the script itself failed: {report:#?}");
    failed
}

#[tokio::test]
async fn the_quick_probe_holds_and_is_quick() {
    let report = engine(None).probe_quick().await;
    assert_eq!(report.verdict(), Verdict::Holds, "{report:#?}");
    assert_eq!(report.tier, "process");
    println!("quick probe: {:?}", report.took);
    assert!(report.took < Duration::from_secs(3), "{:?}", report.took);
}

#[tokio::test]
async fn the_full_probe_holds() {
    let report = engine(None).probe_full().await;
    assert_eq!(report.verdict(), Verdict::Holds, "{report:#?}");
    for check in &report.checks {
        println!("{:<32} {:?} | {}", check.name, check.held, check.evidence);
    }
    println!("{:?} {:?}", report.took, report.warnings);
}

#[tokio::test]
async fn a_bound_host_folder_is_found_out_and_the_engine_refuses() {
    let engine = engine(Some(Weakness::BindHost(std::env::temp_dir())));
    let report = engine.probe_quick().await;
    let failed = failed(&report);
    for name in ["read_host_files", "list_host_folders", "follow_link_out", "write_host_folder", "connect_host_unix"] {
        assert!(failed.contains(&name), "{name} in {failed:?}");
    }
    assert_eq!(report.tier, "none");
    let (_folder, spec) = sandbox();
    let refused = engine.exec(&spec, sh("true"), &mut |_, _| (), &CancellationToken::new()).await;
    assert!(matches!(refused, Err(crate::engine::EngineError::ProbeRefused)));
}

#[tokio::test]
async fn a_shared_network_is_found_out() {
    let failed = failed(&engine(Some(Weakness::ShareNetwork)).probe_quick().await);
    assert!(failed.contains(&"connect_host_tcp") && failed.contains(&"connect_host_unix"), "{failed:?}");
}

#[tokio::test]
async fn missing_filters_are_found_out() {
    let failed = failed(&engine(Some(Weakness::NoSeccomp)).probe_quick().await);
    for name in
        ["keep_privileges", "hide_flags_in_clone3", "call_into_the_kernel", "open_odd_sockets", "type_into_terminal"]
    {
        assert!(failed.contains(&name), "{name} in {failed:?}");
    }
}

#[tokio::test]
async fn missing_limits_are_found_out() {
    let failed = failed(&engine(Some(Weakness::LooseLimits)).probe_full().await);
    assert!(failed.contains(&"fork_bomb"), "{failed:?}");
}

#[test]
fn a_report_without_checks_refuses() {
    assert_eq!(verdict(&[]), Verdict::Refused { failed: vec![] });
}

#[test]
fn bubblewrap_tells_its_version() {
    assert_eq!(bubblewrap_version("bubblewrap 0.8.0\n"), Some((0, 8)));
    assert_eq!(bubblewrap_version("nonsense"), None);
}
