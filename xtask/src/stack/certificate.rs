use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::process;
use crate::prerequisites;

/// Java opens no key store without one.
pub(crate) const PASSWORD: &str = "stack-tls";
const NAME: &str = "/CN=localhost";
const HOSTS: &str = "subjectAltName=IP:127.0.0.1,DNS:localhost";

/// What every server of a stack shows its clients, and what these must trust. It outlives `down`.
#[derive(Clone)]
pub(crate) struct Certificate {
    home: PathBuf,
}

impl Certificate {
    pub(crate) fn new(stack: &Path) -> Self {
        Self {
            home: stack.join("tls"),
        }
    }

    /// PEM; it is its own authority.
    pub(crate) fn path(&self) -> PathBuf {
        self.home.join("certificate.pem")
    }

    /// PEM, without a password.
    pub(crate) fn key(&self) -> PathBuf {
        self.home.join("key.pem")
    }

    /// Both as PKCS #12.
    pub(crate) fn key_store(&self) -> PathBuf {
        self.home.join("key-store.p12")
    }

    /// Makes it unless it is there: the key store is written last.
    pub(crate) fn ensure(&self) -> anyhow::Result<()> {
        if self.key_store().exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.home)
            .with_context(|| format!("cannot create {}", self.home.display()))?;
        let mut make = self.openssl("req")?;
        make.args(["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"])
            .args(["-subj", NAME, "-addext", HOSTS, "-keyout"])
            .arg(self.key())
            .arg("-out")
            .arg(self.path());
        process::run(&mut make, None, &self.log())?;
        let mut pack = self.openssl("pkcs12")?;
        pack.args(["-export", "-passout", &format!("pass:{PASSWORD}"), "-inkey"])
            .arg(self.key())
            .arg("-in")
            .arg(self.path())
            .arg("-out")
            .arg(self.key_store());
        process::run(&mut pack, None, &self.log())
    }

    fn openssl(&self, task: &str) -> anyhow::Result<Command> {
        let mut openssl = Command::new(prerequisites::program("openssl")?);
        openssl.arg(task);
        Ok(openssl)
    }

    fn log(&self) -> PathBuf {
        self.home.join("openssl.log")
    }
}
