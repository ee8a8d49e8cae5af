use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use crate::stack::Stack;
use crate::workspace::Workspace;

/// Returns only if `bench` could not be started: it replaces this process.
pub(crate) fn run(
    workspace: &Workspace,
    stack: &Stack,
    args: &[OsString],
) -> anyhow::Result<ExitCode> {
    let built = workspace
        .cargo("build --release --workspace --exclude xtask --bins")
        .status()
        .context("cargo does not start")?;
    ensure!(built.success(), "the release build failed");
    stack.up()?;

    let bench = workspace.release_binary("bench");
    let error = Command::new(&bench)
        .args(args)
        .envs(stack.environment())
        .current_dir(workspace.root())
        .exec();
    Err(error).with_context(|| format!("{} does not start", bench.display()))
}
