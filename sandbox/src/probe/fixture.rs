//! What the escapes are aimed at: a folder, a secret, listeners and a process of the host, all our own. It
//! never aims at anything of the machine's that a success could harm.

use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use crate::engine::{EngineError, Exec, Finished, Limits, ProcessEngine, Spec, prepare_workspace, uid_for};

/// The victim ends by itself after this many seconds, should we die before it.
const VICTIM_SECONDS: &str = "60";

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A sandbox for one check, in a folder of its own that goes with it.
pub(super) struct Sandbox {
    base: PathBuf,
    /// Text that no other process of the machine has in its arguments, and no other file in its content.
    pub(super) token: String,
    spec: Spec,
}

impl Sandbox {
    #[expect(clippy::disallowed_methods, reason = "the time only makes a name that nobody else has")]
    pub(super) fn make(engine: &ProcessEngine, limits: Limits) -> Result<Self, EngineError> {
        let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let token = format!("daybookprobe{}x{number}x{nanoseconds}", std::process::id());
        let base = std::env::temp_dir().join(&token);
        std::fs::create_dir(&base)?;
        let uid = engine.drops_uid().then(|| uid_for(&token));
        let sandbox = Self { spec: Spec { workspace: base.join("workspace"), limits, uid }, base, token };
        // The sandbox's uid must pass through, but need not look around.
        std::fs::set_permissions(&sandbox.base, std::fs::Permissions::from_mode(0o711))?;
        prepare_workspace(&sandbox.spec.workspace, uid)?;
        Ok(sandbox)
    }

    pub(super) fn workspace(&self) -> &Path {
        &self.spec.workspace
    }

    /// Runs through the real launcher, as every command of an agent is run.
    pub(super) async fn run(&self, engine: &ProcessEngine, exec: Exec) -> Result<Finished, EngineError> {
        engine.exec_unproven(&self.spec, exec, &mut |_, _| (), &CancellationToken::new()).await
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A folder that stays in the temporary folder is no harm; the report matters more.
        let _ = std::fs::remove_dir_all(&self.base);
    }
}

/// The host's side of the escapes.
pub(super) struct Host {
    /// A folder beside the workspace that anybody may write, so that only the mounts protect it.
    pub(super) outside: PathBuf,
    /// A file in it that anybody may read; its content is the sandbox's token.
    pub(super) secret: PathBuf,
    tcp: TcpListener,
    abstract_socket: UnixListener,
    path_socket: UnixListener,
    victim: Child,
    core_pattern: Option<String>,
}

impl Host {
    pub(super) fn make(sandbox: &Sandbox) -> io::Result<Self> {
        let outside = sandbox.base.join("outside");
        std::fs::create_dir(&outside)?;
        std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o1777))?;
        let secret = outside.join("secret");
        std::fs::write(&secret, &sandbox.token)?;
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644))?;
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        tcp.set_nonblocking(true)?;
        let abstract_socket = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&sandbox.token)?)?;
        abstract_socket.set_nonblocking(true)?;
        let path_socket = UnixListener::bind(outside.join("socket"))?;
        path_socket.set_nonblocking(true)?;
        std::fs::set_permissions(outside.join("socket"), std::fs::Permissions::from_mode(0o777))?;
        let mut sleep = Command::new("/usr/bin/sleep");
        sleep.arg(VICTIM_SECONDS).env("VICTIM", &sandbox.token);
        let victim = sleep.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { outside, secret, tcp, abstract_socket, path_socket, victim, core_pattern: core_pattern() })
    }

    /// What the script inside is told about its targets, as JSON.
    pub(super) fn targets(&self, token: &str) -> io::Result<String> {
        let targets = serde_json::json!({
            "outside": self.outside,
            "secret": self.secret,
            "token": token,
            "port": self.tcp.local_addr()?.port(),
            "victim": self.victim.id(),
            "home": std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned()),
        });
        Ok(targets.to_string())
    }

    /// What escaped into this check's target, seen from outside.
    pub(super) fn damage(&mut self, check: &str) -> Option<String> {
        match check {
            "write_host_folder" => self.strangers(),
            "connect_host_tcp" => self.tcp.accept().is_ok().then(|| "the host's listener got a connection".to_owned()),
            "connect_host_unix" => {
                let reached = self.abstract_socket.accept().is_ok() || self.path_socket.accept().is_ok();
                reached.then(|| "the host's unix listener got a connection".to_owned())
            }
            "kill_host_process" => {
                let dead = !matches!(self.victim.try_wait(), Ok(None));
                dead.then(|| "the host's process is dead".to_owned())
            }
            "write_kernel_settings" => {
                (core_pattern() != self.core_pattern).then(|| "the host's core_pattern has changed".to_owned())
            }
            _ => None,
        }
    }

    fn strangers(&self) -> Option<String> {
        let names = std::fs::read_dir(&self.outside).ok()?.flatten().map(|entry| entry.file_name());
        let strange = names.into_iter().find(|name| name != "secret" && name != "socket")?;
        Some(format!("{} appeared in a folder of the host", strange.to_string_lossy()))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

fn core_pattern() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/core_pattern").ok()
}
