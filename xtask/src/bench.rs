use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use crate::stack::Stack;
use crate::workspace::Workspace;

pub(crate) fn run(
    workspace: &Workspace,
    stack: &Stack,
    args: &[OsString],
) -> anyhow::Result<ExitCode> {
    let build = || {
        let built = workspace
            .cargo("build --release --workspace --exclude xtask --bins")
            .status()
            .context("cargo does not start")?;
        ensure!(built.success(), "the release build failed");
        let mut bench = Command::new(workspace.release_binary("bench"));
        bench.current_dir(workspace.root());
        Ok(bench)
    };
    stack.run(build, args)
}
