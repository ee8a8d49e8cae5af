//! The console in a real headless Chromium, driven by Playwright.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail, ensure};

use crate::stack;
use crate::workspace::{FEATURES, Workspace};

const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// Those of the README.
const SCREENSHOTS: [&str; 2] = ["burst.png", "race.png"];
const OLDEST_NODE: u32 = 20;

/// Installs what the tests need, builds the demo, and runs them. Screenshots are left in
/// `target/browser`.
pub(crate) fn run(
    workspace: &Workspace,
    names: &[String],
    refresh: bool,
) -> anyhow::Result<ExitCode> {
    let browser = ensure_programs()?;
    let folder = workspace.root().join("console/browser");
    let artefacts = workspace.target().join("browser");
    install_packages(&folder)?;
    stack::prepare_build(workspace.target())?;
    // As `cargo xtask test` builds, which runs this too.
    let build = format!("build --workspace --exclude xtask --bins {FEATURES}");
    succeed(&mut workspace.cargo(&build), "the build")?;
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

/// The browser, once it and Node are there.
fn ensure_programs() -> anyhow::Result<PathBuf> {
    let missing = || {
        let mut missing = Vec::new();
        if browser().is_none() {
            missing.push("chromium");
        }
        if node_version().is_none_or(|version| version < OLDEST_NODE) {
            missing.push("nodejs");
        }
        if found("npm").is_none() {
            missing.push("npm");
        }
        missing
    };
    let needed = missing();
    if !needed.is_empty() && is_root() && found("apt-get").is_some() {
        println!("installing {} by apt-get", needed.join(", "));
        apt_get(&["update"])?;
        apt_get(&[&["install", "-y", "--no-install-recommends"], &needed[..]].concat())?;
    }
    let missing = missing();
    if !missing.is_empty() {
        bail!(
            "install {} (Node {OLDEST_NODE} or newer; on Debian or Ubuntu: sudo apt-get install {})",
            missing.join(", "),
            missing.join(" ")
        );
    }
    browser().context("there is no Chromium")
}

fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-qq", "-o", "DPkg::Lock::Timeout=120"])
        .args(arguments)
        .stdout(Stdio::null());
    succeed(&mut command, "apt-get")
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
    succeed(&mut npm, "npm")
}

fn succeed(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{what} does not start"))?;
    ensure!(status.success(), "{what} failed ({status})");
    Ok(())
}

fn browser() -> Option<PathBuf> {
    BROWSERS.iter().find_map(|name| found(name))
}

fn node_version() -> Option<u32> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn found(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
