use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::certificate::Certificate;
use super::process::{self, Component};
use crate::prerequisites::{self, is_root};

/// Whom it runs as where xtask is root, which PostgreSQL refuses.
const USER: &str = "postgres";

/// Where PostgreSQL looks for them, in its cluster.
const CERTIFICATE: &str = "server.crt";
const KEY: &str = "server.key";

/// For single-user mode, which takes a statement per line. `initdb` has made the superuser `test`.
const DATABASES: &str = "\
CREATE ROLE orders LOGIN PASSWORD 'orders'
CREATE ROLE catalog LOGIN PASSWORD 'catalog'
CREATE DATABASE orders OWNER orders
CREATE DATABASE catalog OWNER catalog
CREATE DATABASE test OWNER test
";

/// As the superuser `test`, in the database of that name.
pub(crate) fn url(port: u16) -> String {
    format!("postgres://test:test@127.0.0.1:{port}")
}

pub(crate) struct Postgres {
    home: PathBuf,
    port: u16,
    /// Owned by the user it runs as.
    data: PathBuf,
    certificate: Certificate,
}

impl Postgres {
    pub(crate) fn new(stack: &Path, port: u16) -> Self {
        let home = stack.join("postgres");
        let data = if is_root() && !reachable_by_all(stack) {
            Path::new("/var/tmp").join(flat_name(&home))
        } else {
            home.join("data")
        };
        Self {
            home,
            port,
            data,
            certificate: Certificate::new(stack),
        }
    }

    fn cluster(&self) -> PathBuf {
        self.data.join("cluster")
    }

    fn program(&self, name: &str) -> anyhow::Result<Command> {
        let mut program = Command::new(prerequisites::program(name)?);
        // A working directory the other user may enter.
        program.current_dir(&self.data);
        if is_root() {
            let (user, group) = server_user()?;
            program.uid(user).gid(group);
        }
        Ok(program)
    }

    /// `create` fails on what exists: nobody can put a link there and get it chowned.
    fn create_data_folder(&self) -> anyhow::Result<()> {
        DirBuilder::new()
            .mode(0o700)
            .create(&self.data)
            .with_context(|| format!("cannot create {}", self.data.display()))?;
        if is_root() {
            let (user, group) = server_user()?;
            chown(&self.data, Some(user), Some(group))?;
        }
        Ok(())
    }

    /// Its own copies, as it takes a key only from a file that is its user's alone.
    fn copy_certificate(&self) -> anyhow::Result<()> {
        let certificate = &self.certificate;
        for (from, name) in [(certificate.path(), CERTIFICATE), (certificate.key(), KEY)] {
            let to = self.cluster().join(name);
            fs::copy(&from, &to).with_context(|| format!("cannot write {}", to.display()))?;
            fs::set_permissions(&to, Permissions::from_mode(0o600))?;
            if is_root() {
                let (user, group) = server_user()?;
                chown(&to, Some(user), Some(group))?;
            }
        }
        Ok(())
    }
}

impl Component for Postgres {
    fn name(&self) -> &str {
        "postgres"
    }

    fn home(&self) -> &Path {
        &self.home
    }

    fn ports(&self) -> Vec<u16> {
        vec![self.port]
    }

    fn mark(&self) -> (&'static str, PathBuf) {
        ("postgres", self.cluster())
    }

    fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Fast shutdown: SIGTERM would wait for every client to leave.
    fn stop_signal(&self) -> &'static str {
        "INT"
    }

    fn initialise(&self) -> anyhow::Result<()> {
        self.create_data_folder()?;
        let password = self.data.join("password");
        process::write(&password, "test\n")?;
        let mut initdb = self.program("initdb")?;
        initdb
            .arg("-D")
            .arg(self.cluster())
            .arg("--pwfile")
            .arg(password)
            .args([
                "--username=test",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ]);
        process::run(&mut initdb, None, &self.log())?;
        self.copy_certificate()?;

        let databases = self.home.join("databases.sql");
        process::write(&databases, DATABASES)?;
        let mut single = self.program("postgres")?;
        single.arg("--single").arg("-D").arg(self.cluster()).args([
            "-c",
            "exit_on_error=on",
            "postgres",
        ]);
        process::run(&mut single, Some(&databases), &self.log())
    }

    fn command(&self) -> anyhow::Result<Command> {
        // Of our own postmaster, which no longer runs; but an unreaped zombie would still count. Its
        // check of the shared memory goes on guarding a cluster with live children.
        let lock = self.cluster().join("postmaster.pid");
        process::absent(fs::remove_file(&lock), &lock)?;
        let mut server = self.program("postgres")?;
        server
            .arg("-D")
            .arg(self.cluster())
            .args(["-p", &self.port.to_string()])
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "max_connections=300",
                "-c",
                "ssl=on",
            ])
            // TCP only: the default folder of the socket may not be writable, or its path too long.
            .args(["-c", "unix_socket_directories="]);
        Ok(server)
    }

    fn answers(&self) -> bool {
        let Ok(client) = prerequisites::program("psql") else {
            return false;
        };
        process::connect(self.port).is_ok()
            && process::succeeds(
                Command::new(client)
                    .args([
                        "--no-psqlrc",
                        "--host=127.0.0.1",
                        "--username=test",
                        "--dbname=orders",
                    ])
                    .arg(format!("--port={}", self.port))
                    .arg("--command=SELECT 1")
                    .env("PGPASSWORD", "test")
                    .env(
                        "PGCONNECT_TIMEOUT",
                        process::PROBE_LIMIT.as_secs().to_string(),
                    ),
            )
    }

    fn endpoints(&self) -> Vec<String> {
        let port = self.port;
        vec![
            format!("postgres://orders:orders@127.0.0.1:{port}/orders"),
            format!("postgres://catalog:catalog@127.0.0.1:{port}/catalog"),
            format!("{} (superuser)", url(port)),
        ]
    }
}

/// The user and group ids of `USER`, which the Debian package makes.
fn server_user() -> anyhow::Result<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    ids_of(USER, &passwd)
        .with_context(|| format!("PostgreSQL does not run as root, and there is no user {USER}"))
}

fn ids_of(user: &str, passwd: &str) -> Option<(u32, u32)> {
    let fields = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let fields = fields
        .into_iter()
        .find(|fields| fields.first() == Some(&user))?;
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

/// Whether every folder down to `path` lets any user through (a `mktemp -d` does not).
fn reachable_by_all(path: &Path) -> bool {
    const OTHERS_MAY_ENTER: u32 = 0o001;
    // Not there yet: it will be made with the usual mode.
    path.ancestors()
        .all(|folder| fs::metadata(folder).map_or(true, |meta| meta.mode() & OTHERS_MAY_ENTER != 0))
}

/// `/a/b/c` as a file name of at most 200 bytes; the end of a long path tells more than its start.
fn flat_name(path: &Path) -> String {
    let name: String = path
        .to_string_lossy()
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || letter == '.' {
                letter
            } else {
                '-'
            }
        })
        .collect();
    let name = name.trim_start_matches('-');
    name[name.len().saturating_sub(200)..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_the_line_of_that_very_user() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgres2:x:7:8::/:\npostgres:x:101:104:PostgreSQL:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(ids_of("postgres", passwd), Some((101, 104)));
        assert_eq!(ids_of("nobody", passwd), None);
        assert_eq!(ids_of("broken", "broken:x:one"), None);
    }

    #[test]
    fn a_path_becomes_one_file_name() {
        assert_eq!(
            flat_name(Path::new("/tmp/tmp.Ab1/my pair/target")),
            "tmp-tmp.Ab1-my-pair-target"
        );
        assert_eq!(flat_name(Path::new(&"/x".repeat(300))).len(), 200);
    }

    #[test]
    fn a_private_folder_is_not_reachable_by_all() {
        let folder = std::env::temp_dir().join(format!("xtask-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder).unwrap();
        assert!(!reachable_by_all(&folder.join("target")));
        fs::remove_dir(folder).unwrap();
        assert!(reachable_by_all(Path::new("/usr/bin")));
    }
}
