use std::fs::{File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::eventually::within;

/// Longer than a whole run.
const LOCK_WAIT: Duration = Duration::from_secs(600);

/// A binary of this workspace, from the build this executable belongs to.
pub fn binary(name: &str) -> anyhow::Result<Command> {
    let path = build_folder()?.join(name);
    ensure!(
        path.is_file(),
        "{} is missing: `cargo build --workspace --bins` makes it",
        path.display()
    );
    let mut command = Command::new(path);
    // OpenSSL reads its authorities for every new connection. All of the system's take so long
    // that, after an outage, a small machine hardly gets to anything else.
    if let Some(authorities) = std::env::var_os("STACK_CA") {
        command.env("SSL_CERT_FILE", authorities);
    }
    Ok(command)
}

/// `target/e2e/<name>`, made anew: it holds the logs of one run.
pub fn log_folder(name: &str) -> anyhow::Result<PathBuf> {
    let folder = home()?.join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// The right to use what cannot be shared, until the file is closed. Waits for another run.
pub(crate) async fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let waiting = format!("another run gives {} free", path.display());
    within(LOCK_WAIT, &waiting, async || match file.try_lock() {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    })
    .await?;
    Ok(file)
}

/// `target/e2e`.
pub(crate) fn home() -> anyhow::Result<PathBuf> {
    let build = build_folder()?;
    let home = build.parent().unwrap_or(&build).join("e2e");
    std::fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
    Ok(home)
}

/// An address on which nothing ever listens: a free one may be another world's a moment later.
pub const NOWHERE: &str = "127.0.0.1:1";

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
