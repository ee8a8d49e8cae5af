use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::stack::Stack;
use crate::workspace::Workspace;

/// On a stack made anew, which does not outlive it: `verify` counts everything that is there.
pub(crate) fn run(
    workspace: &Workspace,
    stack: &Stack,
    args: &[OsString],
) -> anyhow::Result<ExitCode> {
    // As `cargo xtask test` builds, which runs this too; no crash point is armed.
    workspace.build_binaries()?;
    let mut chaos = Command::new(workspace.debug_binary("chaos"));
    chaos
        .args(args)
        .envs(stack.environment())
        .current_dir(workspace.root());
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return exit_code(&mut chaos);
    }
    stack.down()?;
    let code = stack.up().and_then(|()| exit_code(&mut chaos));
    stack.down()?;
    code
}

fn exit_code(chaos: &mut Command) -> anyhow::Result<ExitCode> {
    let status = chaos.status().context("chaos does not start")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
