//! Which tool calls ask first.
//!
//! `careful` asks as the tool table says; `standard` lets changes inside the workspace pass and asks for a shell
//! command unless it only reads; `trusted` lets everything pass but what is blocked. What is blocked nobody can approve.

use serde::{Deserialize, Serialize};

/// Which tool calls ask first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ApprovalPolicy {
    /// Whatever changes anything asks.
    Careful,
    /// Shell commands ask unless they only read.
    #[default]
    Standard,
    /// Nothing asks.
    Trusted,
}

/// What a policy says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may go ahead.
    Allow,
    /// A person is asked, for this reason.
    Ask(String),
    /// It may not go ahead, for this reason.
    Block(String),
}

/// Commands that only read, whatever their arguments.
const READING: &[&str] = &[
    "basename",
    "cat",
    "cmp",
    "cut",
    "df",
    "diff",
    "dirname",
    "du",
    "echo",
    "env",
    "false",
    "grep",
    "head",
    "id",
    "ls",
    "md5sum",
    "nl",
    "pwd",
    "realpath",
    "sha256sum",
    "sleep",
    "stat",
    "tail",
    "tr",
    "true",
    "uname",
    "wc",
    "which",
    "whoami",
];
/// `git` subcommands that only read.
const READING_GIT: &[&str] = &["blame", "diff", "log", "ls-files", "rev-parse", "show", "status"];
/// Characters that make a shell do more than run one plain command.
const SHELL_SYNTAX: &[char] = &[';', '&', '>', '<', '`', '$', '(', ')', '{', '}', '\n', '\\', '!', '*', '?'];

impl ApprovalPolicy {
    /// What this policy says of a call; `arguments` is JSON as the model wrote it.
    pub fn verdict(self, tool: &str, arguments: &str) -> Verdict {
        let command = command_of(tool, arguments);
        if let Some(command) = &command
            && let Some(why) = blocked(command)
        {
            return Verdict::Block(why);
        }
        match (self, tool) {
            // A command that cannot be read here, because it is very long or no JSON, was not checked either.
            (_, "bash") if command.is_none() => {
                Verdict::Ask("the command could not be read and so not be checked".into())
            }
            (Self::Trusted, _) => Verdict::Allow,
            (_, "bash") if command.as_deref().is_some_and(only_reads) => Verdict::Allow,
            (_, "bash") => Verdict::Ask("this command may change something".into()),
            (Self::Careful, "write_file" | "edit_file") => Verdict::Ask("it changes a file".into()),
            _ => Verdict::Allow,
        }
    }
}

fn command_of(tool: &str, arguments: &str) -> Option<String> {
    if tool != "bash" {
        return None;
    }
    let arguments: serde_json::Value = serde_json::from_str(arguments).ok()?;
    arguments.get("command")?.as_str().map(str::to_owned)
}

/// Commands that end the machine or its disks. Inside the sandbox they are harmless, and still nobody means them well.
fn blocked(command: &str) -> Option<String> {
    let squeezed = command.split_whitespace().collect::<Vec<_>>().join(" ");
    ["rm -rf / ", "rm -rf /*", "mkfs", ":(){", "dd if=/dev/zero of=/dev/", "shutdown", "reboot"]
        .into_iter()
        .find(|pattern| format!("{squeezed} ").contains(pattern))
        .map(|pattern| format!("commands with {:?} are blocked", pattern.trim()))
}

/// Whether a shell command is a pipe of plain commands that only read.
fn only_reads(command: &str) -> bool {
    !command.contains(SHELL_SYNTAX) && !command.contains("||") && command.split('|').all(plain_read)
}

fn plain_read(part: &str) -> bool {
    let mut words = part.split_whitespace();
    match (words.next(), words.next()) {
        (Some("git"), Some(verb)) => READING_GIT.contains(&verb) && !part.contains("--output"),
        // `env` could start something when given arguments.
        (Some("env"), more) => more.is_none(),
        (Some(word), _) => READING.contains(&word),
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bash(policy: ApprovalPolicy, command: &str) -> Verdict {
        policy.verdict("bash", &serde_json::json!({ "command": command }).to_string())
    }

    #[test]
    fn standard_asks_for_commands_that_may_write() {
        for reads in ["ls -la", "cat a.py | head -3", "git status", "env"] {
            assert_eq!(bash(ApprovalPolicy::Standard, reads), Verdict::Allow, "{reads}");
        }
        for writes in [
            "rm a",
            "echo x > a",
            "ls; rm a",
            "cat $(rm a)",
            "git push",
            "env rm a",
            "python3 a.py",
            "ls\nrm a",
            "ls || rm a",
            "tee a",
            "git diff --output=a",
            "",
        ] {
            assert!(matches!(bash(ApprovalPolicy::Standard, writes), Verdict::Ask(_)), "{writes}");
        }
    }

    #[test]
    fn changes_inside_the_workspace_ask_only_when_careful() {
        assert_eq!(ApprovalPolicy::Standard.verdict("write_file", "{}"), Verdict::Allow);
        assert!(matches!(ApprovalPolicy::Careful.verdict("edit_file", "{}"), Verdict::Ask(_)));
        assert_eq!(ApprovalPolicy::Careful.verdict("read_file", "{}"), Verdict::Allow);
    }

    #[test]
    fn trusted_asks_nothing_and_still_blocks() {
        assert_eq!(bash(ApprovalPolicy::Trusted, "rm -r build"), Verdict::Allow);
        assert!(matches!(bash(ApprovalPolicy::Trusted, "sudo rm  -rf  /"), Verdict::Block(_)));
    }

    #[test]
    fn arguments_that_are_no_json_ask() {
        for policy in [ApprovalPolicy::Careful, ApprovalPolicy::Standard, ApprovalPolicy::Trusted] {
            assert!(matches!(policy.verdict("bash", "not json"), Verdict::Ask(_)));
        }
    }
}
