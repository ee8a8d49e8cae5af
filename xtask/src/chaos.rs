use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::stack::Stack;
use crate::workspace::Workspace;

/// On a stack of its own: `verify` counts everything that is there.
pub(crate) fn run(
    workspace: &Workspace,
    stack: &Stack,
    args: &[OsString],
) -> anyhow::Result<ExitCode> {
    let build = || {
        // As `cargo xtask test` builds, which runs this too; no crash point is armed.
        workspace.build_binaries()?;
        let mut chaos = Command::new(workspace.debug_binary("chaos"));
        chaos.current_dir(workspace.root());
        Ok(chaos)
    };
    stack.run(build, args)
}
