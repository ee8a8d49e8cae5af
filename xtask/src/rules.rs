//! Prometheus's configuration and the alert rules, by promtool.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use crate::stack::process::succeeds;
use crate::workspace::Workspace;

const CHECKS: [&str; 3] = [
    "check config prometheus.yml",
    "check rules --lint=all --lint-fatal rules.yml",
    "test rules rules.test.yml",
];

pub(crate) fn run(workspace: &Workspace, find_only: bool) -> anyhow::Result<ExitCode> {
    let promtool = promtool(&workspace.target().join("promtool"))?;
    let checks = if find_only { &[][..] } else { &CHECKS };
    for check in checks {
        let mut command = Command::new(&promtool);
        command.args(check.split(' '));
        let status = command
            .current_dir(workspace.root().join("observability"))
            .status()?;
        ensure!(status.success(), "promtool {check}: {status}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Debian has it in a package that starts a server as well: only the program is taken.
fn promtool(folder: &Path) -> anyhow::Result<PathBuf> {
    let fetched = folder.join("usr/bin/promtool");
    if succeeds(Command::new("promtool").arg("--version")) {
        return Ok("promtool".into());
    }
    if !fetched.is_file() {
        fs::create_dir_all(folder)?;
        let download = || {
            let mut download = Command::new("apt-get");
            succeeds(
                download
                    .args(["download", "prometheus"])
                    .current_dir(folder),
            )
        };
        let is_there = download() || succeeds(Command::new("apt-get").arg("update")) && download();
        ensure!(
            is_there,
            "install promtool (Debian: its package `prometheus`)"
        );
        for package in fs::read_dir(folder)? {
            let package = package?.path();
            if package
                .extension()
                .is_some_and(|extension| extension == "deb")
            {
                let mut unpack = Command::new("dpkg");
                succeeds(unpack.arg("-x").arg(package).arg(folder));
            }
        }
    }
    let found = fetched.is_file().then_some(fetched);
    found.context("there is no promtool in Debian's package `prometheus`")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    const DOCUMENTED: &str = include_str!("../../observability/README.md");
    const USERS: [&str; 2] = [
        include_str!("../../observability/rules.yml"),
        include_str!("../../observability/grafana/dashboards/pair.json"),
    ];
    /// A key of Grafana's.
    const NO_METRIC: &str = "value_and_name";

    fn documented() -> BTreeSet<&'static str> {
        let rows = DOCUMENTED
            .lines()
            .filter_map(|line| line.strip_prefix("| `"));
        rows.filter_map(|row| row.split('`').next()).collect()
    }

    /// Of all words that look like a metric: functions are called, variables have a `$`, what
    /// a rule records has a colon, and no label has an underscore.
    fn used(text: &str) -> BTreeSet<&str> {
        let in_word = |letter: char| letter.is_ascii_alphanumeric() || "_:$".contains(letter);
        let words = text.split(|letter| !in_word(letter));
        let is_called = |word: &str| text.contains(&format!("{word}("));
        let metrics = words.filter(|word| {
            word.contains('_')
                && !word.contains([':', '$'])
                && *word != NO_METRIC
                && !is_called(word)
        });
        let of_histogram = |word| {
            let mut ends = ["_bucket", "_sum", "_count"].iter();
            ends.find_map(|end| str::strip_suffix(word, *end))
                .unwrap_or(word)
        };
        metrics.map(of_histogram).collect()
    }

    #[test]
    fn every_metric_of_a_rule_or_a_panel_is_documented() {
        let documented = documented();
        assert!(documented.len() > 25, "{documented:?}");
        for text in USERS {
            let used = used(text);
            assert!(used.len() > 10, "{used:?}");
            let unknown: Vec<_> = used.difference(&documented).collect();
            assert!(unknown.is_empty(), "{unknown:?}");
        }
    }
}
