//! The programs that the build and the stack need: where they are, and how they get onto the
//! machine.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::stack::process;

const OLDEST_JAVA: u32 = 17;
const OLDEST_NODE: u32 = 20;
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

#[derive(Clone, Copy)]
enum Need {
    Jdk,
    Maven,
    MariaDb,
    PostgreSql,
    OpenSsl,
    OpenSslHeaders,
    Chromium,
    Node,
    Npm,
    Valgrind,
}

const STACK: [Need; 5] = [
    Need::Jdk,
    Need::Maven,
    Need::MariaDb,
    Need::PostgreSql,
    Need::OpenSsl,
];

impl Need {
    fn met(self) -> bool {
        let all = |names: &[&str]| names.iter().all(|name| program(name).is_ok());
        match self {
            Self::Jdk => java().is_ok(),
            Self::Maven => program("mvn").is_ok(),
            Self::MariaDb => all(&["mariadbd", "mariadb-install-db", "mariadb"]),
            Self::PostgreSql => all(&["postgres", "initdb", "psql"]),
            Self::OpenSsl => all(&["openssl"]),
            Self::OpenSslHeaders => {
                let mut found = Command::new("pkg-config");
                env::var_os("OPENSSL_DIR").is_some()
                    || process::succeeds(found.args(["--exists", "openssl"]))
            }
            Self::Chromium => chromium().is_ok(),
            Self::Node => node_version().is_some_and(|version| version >= OLDEST_NODE),
            Self::Npm => all(&["npm"]),
            Self::Valgrind => all(&["valgrind"]),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Jdk => "Java 17 or newer",
            Self::Maven => "Maven",
            Self::MariaDb => "MariaDB",
            Self::PostgreSql => "PostgreSQL",
            Self::OpenSsl => "OpenSSL",
            Self::OpenSslHeaders => "OpenSSL's headers",
            Self::Chromium => "Chromium",
            Self::Node => "Node 20 or newer",
            Self::Npm => "npm",
            Self::Valgrind => "Valgrind",
        }
    }

    fn debian_packages(self) -> &'static [&'static str] {
        match self {
            // The default is too old on some releases, the 17 is gone from others.
            Self::Jdk if knows_package("openjdk-17-jre-headless") => &["openjdk-17-jre-headless"],
            Self::Jdk => &["default-jre-headless"],
            Self::Maven => &["maven"],
            Self::MariaDb => &["mariadb-server"],
            Self::PostgreSql => &["postgresql"],
            Self::OpenSsl => &["openssl"],
            Self::OpenSslHeaders => &["libssl-dev", "pkg-config"],
            Self::Chromium => &["chromium"],
            Self::Node => &["nodejs"],
            Self::Npm => &["npm"],
            Self::Valgrind => &["valgrind"],
        }
    }
}

/// What the stack runs.
pub(crate) fn ensure(jars_are_there: bool, log: &Path) -> anyhow::Result<()> {
    if !Path::new("/proc/self").exists() {
        bail!("the stack recognises its processes by /proc, so it needs Linux");
    }
    let needed = STACK.into_iter();
    let needed = needed.filter(|need| !(jars_are_there && matches!(need, Need::Maven)));
    ensure_all(&needed.collect::<Vec<_>>(), log)
}

/// What jars are fetched by.
pub(crate) fn ensure_maven(jars_are_there: bool, log: &Path) -> anyhow::Result<()> {
    let needed: &[Need] = if jars_are_there { &[] } else { &[Need::Maven] };
    ensure_all(needed, log)
}

/// What instructions are counted by.
pub(crate) fn ensure_valgrind(log: &Path) -> anyhow::Result<()> {
    ensure_all(&[Need::Valgrind], log)
}

/// What the feature `tls` is built with.
pub(crate) fn ensure_headers(log: &Path) -> anyhow::Result<()> {
    ensure_all(&[Need::OpenSslHeaders], log)
}

/// What the tests of the console run in; returns the browser.
pub(crate) fn ensure_browser(log: &Path) -> anyhow::Result<PathBuf> {
    ensure_all(&[Need::Chromium, Need::Node, Need::Npm], log)?;
    chromium()
}

/// Installs what is missing where that is possible, else says what to install.
fn ensure_all(needed: &[Need], log: &Path) -> anyhow::Result<()> {
    let missing = || -> Vec<Need> {
        let needed = needed.iter().copied();
        needed.filter(|need| !need.met()).collect()
    };
    let found_missing = missing();
    if found_missing.is_empty() {
        return Ok(());
    }
    if is_root() && program("apt-get").is_ok() {
        install(&found_missing, log)?;
    }
    let missing = missing();
    if !missing.is_empty() {
        bail!(
            "install {} (on Debian or Ubuntu: sudo apt-get install {})",
            names(&missing),
            packages(&missing).join(" ")
        );
    }
    Ok(())
}

/// Servers live outside a normal user's PATH, and Debian's PostgreSQL outside anybody's.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    newest_postgresql()
        .into_iter()
        .chain(env::split_paths(&path))
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("there is no program `{name}`"))
}

pub(crate) fn java() -> anyhow::Result<PathBuf> {
    let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let installed = folders(Path::new("/usr/lib/jvm"))
        .into_iter()
        .map(|folder| folder.join("bin/java"));
    home.into_iter()
        .chain(program("java").ok())
        .chain(installed)
        .find(|java| java_version(java).is_some_and(|version| version >= OLDEST_JAVA))
        .with_context(|| format!("there is no Java {OLDEST_JAVA} or newer"))
}

fn chromium() -> anyhow::Result<PathBuf> {
    let found = BROWSERS.iter().find_map(|name| program(name).ok());
    found.context("there is no Chromium")
}

fn node_version() -> Option<u32> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, _) = text.strip_prefix('v')?.split_once('.')?;
    major.parse().ok()
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn install(missing: &[Need], log: &Path) -> anyhow::Result<()> {
    println!("installing {} by apt-get", names(missing));
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args([
            "-q",
            "-o",
            "DPkg::Lock::Timeout=120",
        ]);
        command
    };
    process::run(apt_get().arg("update"), None, log)?;
    let install = ["install", "-y", "--no-install-recommends"];
    process::run(apt_get().args(install).args(packages(missing)), None, log)
}

fn names(needs: &[Need]) -> String {
    needs
        .iter()
        .map(|need| need.name())
        .collect::<Vec<_>>()
        .join(", ")
}

fn packages(needs: &[Need]) -> Vec<&'static str> {
    let needs = needs.iter();
    needs
        .flat_map(|need| need.debian_packages())
        .copied()
        .collect()
}

fn knows_package(name: &str) -> bool {
    process::succeeds(Command::new("apt-cache").args(["show", name]))
}

fn java_version(java: &Path) -> Option<u32> {
    let output = Command::new(java).arg("-version").output().ok()?;
    major_version(&String::from_utf8_lossy(&output.stderr))
}

/// 17 of `openjdk version "17.0.15" 2025-04-15`; 1 of the `1.8` that came before Java 9.
fn major_version(text: &str) -> Option<u32> {
    let (_, version) = text.split_once('"')?;
    version
        .split(|letter: char| !letter.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn newest_postgresql() -> Option<PathBuf> {
    let version = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = folders(Path::new("/usr/lib/postgresql"))
        .into_iter()
        .max_by_key(version)?;
    Some(newest.join("bin"))
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions_old_and_new_are_read() {
        assert_eq!(
            major_version("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"),
            Some(17)
        );
        assert_eq!(major_version("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(
            major_version("openjdk version \"26-ea\" 2026-03-17"),
            Some(26)
        );
        assert_eq!(major_version("java version \"1.8.0_402\""), Some(1));
        assert_eq!(major_version("The operation couldn't be completed."), None);
    }
}
