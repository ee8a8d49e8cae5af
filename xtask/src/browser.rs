//! The console in a real headless Chromium, driven by Playwright.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::prerequisites;
use crate::workspace::{Workspace, succeed};

/// Those of the README.
const SCREENSHOTS: [&str; 2] = ["burst.png", "race.png"];

/// Installs what the tests need, builds the demo, and runs them. Screenshots are left in
/// `target/browser`.
pub(crate) fn run(
    workspace: &Workspace,
    names: &[String],
    refresh: bool,
) -> anyhow::Result<ExitCode> {
    let browser = prerequisites::ensure_browser(&workspace.target().join("apt.log"))?;
    let folder = workspace.root().join("console/browser");
    let artefacts = workspace.target().join("browser");
    install_packages(&folder)?;
    workspace.build_binaries()?;
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter", "tap"]);
    for name in names {
        node.arg(format!("--test-name-pattern={name}"));
    }
    let status = node
        .arg("console.test.mjs")
        .current_dir(&folder)
        .env("DEMO", workspace.debug_binary("demo"))
        .env("CHROMIUM", browser)
        .env("ARTEFACTS", &artefacts)
        .status()
        .context("node does not start")?;
    if status.success() && refresh {
        for name in SCREENSHOTS {
            let to = folder.join("screenshots").join(name);
            fs::copy(artefacts.join(name), &to).with_context(|| format!("{}", to.display()))?;
        }
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// As the lock file says, once.
fn install_packages(folder: &Path) -> anyhow::Result<()> {
    let wanted = folder.join("package-lock.json").metadata()?.modified()?;
    let installed = folder.join("node_modules/.package-lock.json");
    if installed
        .metadata()
        .and_then(|file| file.modified())
        .is_ok_and(|at| at >= wanted)
    {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ])
    .current_dir(folder);
    succeed(&mut npm)
}
