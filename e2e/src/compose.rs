use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// A project of its own: nobody else's containers and volumes are touched.
const PROJECT: &str = "pair-e2e";

/// The deployment of docker-compose.yml, as its users drive it.
#[derive(Debug, Clone)]
pub struct Compose {
    /// Where docker-compose.yml is.
    root: PathBuf,
    answers: PathBuf,
}

impl Compose {
    /// `answers` is the folder that `verify` sees as `/answers`.
    pub(crate) fn new(answers: &Path) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        Ok(Self {
            root: root.canonicalize()?,
            answers: answers.canonicalize()?,
        })
    }

    /// Starts what does not run, makes anew what has changed, and waits until all of it is
    /// healthy.
    pub async fn up(&self) -> anyhow::Result<()> {
        self.run("up --detach --wait --wait-timeout 180 --no-build")
            .await
            .map(drop)
    }

    /// Stops and removes everything but the volumes.
    pub async fn down(&self) -> anyhow::Result<()> {
        self.run("down").await.map(drop)
    }

    pub async fn down_with_volumes(&self) -> anyhow::Result<()> {
        self.run("down --volumes").await.map(drop)
    }

    /// `docker compose ARGUMENTS`, which are separated by spaces; returns what it prints.
    pub async fn run(&self, arguments: &str) -> anyhow::Result<String> {
        self.run_with(arguments, &[]).await
    }

    /// [`Self::run`] with variables that the compose files read.
    pub async fn run_with(
        &self,
        arguments: &str,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        let shown = format!("docker compose {arguments}");
        let output = tokio::task::spawn_blocking(move || command.output()).await?;
        let output = output.context("docker does not start")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(
            output.status.success(),
            "{shown}: {}\n{}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        Ok(text(&output.stdout))
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new("docker");
        command
            .args(["compose", "--ansi", "never", "--progress", "quiet"])
            .args(["--project-name", PROJECT, "--env-file", "e2e/compose.env"])
            .args(["--file", "docker-compose.yml", "--file", "e2e/compose.yml"])
            .args(arguments.split(' '))
            .env("ANSWERS", &self.answers)
            .current_dir(&self.root);
        command
    }
}
