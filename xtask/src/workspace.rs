use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::prerequisites;

/// Of everything that is built for tests: what two steps use is compiled once.
pub(crate) const FEATURES: &str = "--features failpoints,tls";

pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The checkout that `cargo run` was called in, else the one this binary was built from.
    pub(crate) fn locate() -> anyhow::Result<Self> {
        let manifest_dir = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir
            .parent()
            .context("the xtask crate has no parent directory")?
            .canonicalize()
            .with_context(|| format!("no workspace around {}", manifest_dir.display()))?;
        let target = root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
        Ok(Self { root, target })
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    pub(crate) fn debug_binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    pub(crate) fn release_binary(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Installs what [`FEATURES`] need, or says what to install.
    pub(crate) fn prepare_build(&self) -> anyhow::Result<()> {
        prerequisites::ensure_headers(&self.target.join("apt.log"))
    }

    /// What several commands need and none builds alone: every program but `xtask`, whose binary
    /// is the one that runs.
    pub(crate) fn build_binaries(&self) -> anyhow::Result<()> {
        self.prepare_build()?;
        succeed(&mut self.cargo(&build_binaries()))
    }

    /// `arguments` are separated by spaces; none may contain one.
    pub(crate) fn cargo(&self, arguments: &str) -> Command {
        self.command("cargo", arguments)
    }

    /// Any program, in the checkout; `cargo` is the one that runs this.
    pub(crate) fn command(&self, program: &str, arguments: &str) -> Command {
        let cargo = env::var_os("CARGO").filter(|_| program == "cargo");
        let mut command = Command::new(cargo.unwrap_or_else(|| program.into()));
        command.args(arguments.split(' ')).current_dir(&self.root);
        command
    }
}

/// For cargo.
pub(crate) fn build_binaries() -> String {
    format!("build --workspace --exclude xtask --bins {FEATURES}")
}

/// Runs it in sight of the user.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().display().to_string();
    let status = command
        .status()
        .with_context(|| format!("{program} does not start"))?;
    ensure!(status.success(), "{program} failed ({status})");
    Ok(())
}
