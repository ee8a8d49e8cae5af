//! The images of docker-compose.yml, with the binaries of the build that the tests run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

use crate::stack::Stack;
use crate::workspace::{Workspace, succeed};

const BINARIES: [&str; 5] = [
    "order-service",
    "catalog-service",
    "connect-worker",
    "console",
    "verify",
];

/// Whether there is an engine that answers, and Compose v2.
pub(crate) fn docker_is_there() -> bool {
    ["version", "compose version"].iter().all(|arguments| {
        let mut docker = Command::new("docker");
        docker.args(arguments.split(' '));
        let silent = docker.stdout(Stdio::null()).stderr(Stdio::null());
        silent.status().is_ok_and(|status| status.success())
    })
}

pub(crate) fn run(workspace: &Workspace, stack: &Stack) -> anyhow::Result<ExitCode> {
    workspace.build_binaries()?;
    lay_out(workspace)?;
    if !pulled(workspace) {
        println!("the official images are out of reach: building stand-ins (e2e/stand-ins)");
        let mut script = Command::new(workspace.root().join("e2e/stand-ins/build.sh"));
        script.arg(workspace.target().join("stand-ins"));
        succeed(script.arg(stack.fetch_jars()?))?;
    }
    succeed(
        compose(workspace)
            .args(["--profile", "tools"])
            .args(FILES)
            .arg("build"),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// What docker-compose.yml alone does not build.
const FILES: [&str; 4] = [
    "--file",
    "docker-compose.yml",
    "--file",
    "compose/light.yml",
];

fn compose(workspace: &Workspace) -> Command {
    let mut docker = Command::new("docker");
    docker
        .arg("compose")
        .env("BINARIES", "prebuilt")
        .current_dir(workspace.root());
    docker
}

/// Into target/image, which the Dockerfile's stage `prebuilt` is.
fn lay_out(workspace: &Workspace) -> anyhow::Result<()> {
    let image = workspace.target().join("image");
    for folder in ["bin", "lib"] {
        fs::create_dir_all(image.join(folder))?;
    }
    for name in BINARIES {
        let mut strip = Command::new("strip");
        strip.arg("--strip-debug").arg("-o");
        strip.arg(image.join("bin").join(name));
        succeed(strip.arg(workspace.debug_binary(name)))?;
    }
    // Linked against the machine's, which the images lack.
    let zlib = zlib(&workspace.debug_binary(BINARIES[0]))?;
    fs::copy(&zlib, image.join("lib/libz.so.1"))
        .with_context(|| format!("cannot copy {}", zlib.display()))?;
    Ok(())
}

fn zlib(binary: &Path) -> anyhow::Result<PathBuf> {
    let output = Command::new("ldd").arg(binary).output()?;
    let libraries = String::from_utf8_lossy(&output.stdout).into_owned();
    let path = libraries
        .lines()
        .find_map(|line| line.trim().strip_prefix("libz.so.1 => ")?.split(' ').next());
    path.map(PathBuf::from)
        .with_context(|| format!("{} does not use libz.so.1", binary.display()))
}

/// Where one is out of reach, all are taken for it.
fn pulled(workspace: &Workspace) -> bool {
    let pull = ["pull", "--quiet", "--ignore-buildable"];
    let mut docker = compose(workspace);
    let silent = docker.args(pull).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}
