//! How many instructions the paths take that every record takes. A busy machine counts as an idle
//! one does, to a thousandth.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};

use crate::prerequisites;
use crate::workspace::{FEATURES, Workspace};

pub(crate) const HELP: &str = "\
Fails where a path takes 5 % more instructions than hot-paths/baseline.txt says. The counts depend
on the compiler, so a baseline is of one; those of another are not compared.

Examples:
  cargo xtask counts
  cargo xtask counts --accept    and commit the new baseline, with the reason";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Take today's counts for the baseline
    #[arg(long)]
    accept: bool,
    /// Only look whether the baseline is of this compiler; exits with 1 if it is not
    #[arg(long, conflicts_with = "accept")]
    check_compiler: bool,
}

const BASELINE: &str = "hot-paths/baseline.txt";
const MOST_PERCENT: u64 = 5;

/// Each path of `hot-paths`, and how often it is run: what it takes to start is in both counts.
const PATHS: [(&str, [u64; 2]); 5] = [
    ("encode-order", [20, 220]),
    ("decode-delta", [20, 220]),
    ("decide-batch", [2, 12]),
    ("decode-envelope", [20, 220]),
    ("build-upsert", [2, 12]),
];

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<ExitCode> {
    let compiler = compiler(workspace)?;
    let file = workspace.root().join(BASELINE);
    let baseline = fs::read_to_string(&file).with_context(|| format!("cannot read {BASELINE}"));
    if !options.accept {
        let baseline = baseline.as_deref().unwrap_or_default();
        let of = baseline.lines().next().unwrap_or_default();
        if options.check_compiler {
            return Ok(ExitCode::from(u8::from(of != compiler)));
        }
        ensure!(
            of == compiler,
            "{BASELINE} is of {of}, this is {compiler}: where its counts are good, take them over \
             by `cargo xtask counts --accept`"
        );
    }
    prerequisites::ensure_valgrind(&workspace.target().join("apt.log"))?;
    let program = build(workspace)?;
    let counts: Counts = PATHS
        .iter()
        .map(|(path, times)| Ok((*path, count(&program, path, *times)?)))
        .collect::<anyhow::Result<_>>()?;
    if options.accept {
        fs::write(&file, text(&compiler, &counts))
            .with_context(|| format!("cannot write {BASELINE}"))?;
        println!("{BASELINE} has today's counts");
        return Ok(ExitCode::SUCCESS);
    }
    compare(&counts, &baseline?)?;
    Ok(ExitCode::SUCCESS)
}

type Counts = BTreeMap<&'static str, u64>;

/// Version and target.
fn compiler(workspace: &Workspace) -> anyhow::Result<String> {
    let output = workspace.command("rustc", "--version --verbose").output();
    let output = String::from_utf8(output.context("rustc does not start")?.stdout)?;
    let version = output.lines().next().context("rustc tells no version")?;
    let host = output.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(format!(
        "{version} {}",
        host.context("rustc tells no host")?
    ))
}

/// Of the same parts as everything that is built for tests.
fn build(workspace: &Workspace) -> anyhow::Result<std::path::PathBuf> {
    let build = format!(
        "build --workspace --exclude xtask --bin hot-paths {FEATURES} \
         --config hot-paths/optimised.toml"
    );
    let mut cargo = workspace.cargo(&build);
    // It would cut the code into other parts from one build to the next.
    let built = cargo.env("CARGO_INCREMENTAL", "0").status();
    ensure!(
        built.context("cargo does not start")?.success(),
        "the build failed"
    );
    Ok(workspace.debug_binary("hot-paths"))
}

fn count(program: &Path, path: &str, [few, many]: [u64; 2]) -> anyhow::Result<u64> {
    let of_few = instructions(program, path, few)?;
    let of_many = instructions(program, path, many)?;
    Ok((of_many - of_few) / (many - few))
}

fn instructions(program: &Path, path: &str, times: u64) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no"])
        .arg("--cachegrind-out-file=/dev/null")
        .arg(program)
        .args([path, &times.to_string()])
        .output()
        .context("valgrind does not start")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind {path} failed: {told}");
    refs(&told).with_context(|| format!("valgrind counts nothing: {told}"))
}

/// 685212 of `==7500== I   refs:      685,212`.
fn refs(told: &str) -> Option<u64> {
    let line = told.lines().find(|line| line.contains("refs:"))?;
    let (_, number) = line.rsplit_once(':')?;
    number.trim().replace(',', "").parse().ok()
}

fn text(compiler: &str, counts: &Counts) -> String {
    let mut text = format!("{compiler}\n");
    for (path, count) in counts {
        // Writing to a string cannot fail.
        writeln!(text, "{path} {count}").unwrap_or_default();
    }
    text
}

fn compare(counts: &Counts, baseline: &str) -> anyhow::Result<()> {
    let mut above = Vec::new();
    println!("{:<16} {:>12} {:>12}", "path", "instructions", "baseline");
    for (path, count) in counts {
        let expected = expected(baseline, path)
            .with_context(|| format!("{BASELINE} lacks {path}: `cargo xtask counts --accept`"))?;
        let change = percent(*count, expected);
        println!("{path:<16} {count:>12} {expected:>12} {change:+.1} %");
        if count * 100 > expected * (100 + MOST_PERCENT) {
            above.push(*path);
        }
    }
    if above.is_empty() {
        return Ok(());
    }
    bail!(
        "more than {MOST_PERCENT} % above the baseline: {}; make it cheaper, or say by `cargo xtask \
         counts --accept` that it is worth that",
        above.join(", ")
    );
}

fn expected(baseline: &str, path: &str) -> Option<u64> {
    let mut lines = baseline.lines().filter_map(|line| line.split_once(' '));
    let (_, count) = lines.find(|(name, _)| *name == path)?;
    count.parse().ok()
}

#[allow(
    clippy::cast_precision_loss,
    reason = "no count comes near 2 to the power of 53"
)]
fn percent(count: u64, expected: u64) -> f64 {
    (count as f64 / expected as f64 - 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valgrind_is_understood_old_and_new() {
        let old = "==1== Cachegrind\n==1== \n==1== I   refs:      1,685,212\n";
        assert_eq!(refs(old), Some(1_685_212));
        assert_eq!(refs("==1== I refs:        397,288"), Some(397_288));
        assert_eq!(refs("==1== nothing"), None);
    }

    #[test]
    fn what_is_accepted_is_what_is_compared_with() {
        let counts = Counts::from([("encode-order", 1_000), ("decode-delta", 2_000)]);
        let baseline = text("rustc 1", &counts);
        assert_eq!(baseline, "rustc 1\ndecode-delta 2000\nencode-order 1000\n");
        compare(&counts, &baseline).unwrap();
        compare(&Counts::from([("encode-order", 1_050)]), &baseline).unwrap();
        compare(&Counts::from([("encode-order", 10)]), &baseline).unwrap();
    }

    #[test]
    fn five_percent_more_fail_and_so_does_a_path_without_a_baseline() {
        let above = Counts::from([("decode-delta", 2_000), ("encode-order", 1_051)]);
        let baseline = "rustc 1\ndecode-delta 2000\nencode-order 1000\n";
        let error = compare(&above, baseline).unwrap_err().to_string();
        assert!(error.contains("baseline: encode-order;"), "{error}");
        let error = compare(&Counts::from([("build-upsert", 1)]), baseline).unwrap_err();
        assert!(error.to_string().contains("lacks build-upsert"), "{error}");
    }
}
