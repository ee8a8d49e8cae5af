use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// A binary of this workspace, from the build this executable belongs to.
pub fn binary(name: &str) -> anyhow::Result<Command> {
    let path = build_folder()?.join(name);
    ensure!(
        path.is_file(),
        "{} is missing: `cargo build --workspace --bins` makes it",
        path.display()
    );
    Ok(Command::new(path))
}

/// `target/e2e/<name>`, made anew: it holds the logs of one run.
pub fn log_folder(name: &str) -> anyhow::Result<PathBuf> {
    let build = build_folder()?;
    let folder = build.parent().unwrap_or(&build).join("e2e").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// An address on which nothing listens, until somebody does.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// `target/debug`, `target/release`: tests are built one level deeper.
fn build_folder() -> anyhow::Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let folder = executable.parent().unwrap_or(Path::new("."));
    let above = folder.parent().filter(|_| folder.ends_with("deps"));
    Ok(above.unwrap_or(folder).to_owned())
}
