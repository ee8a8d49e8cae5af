//! Everything, from cheap to dear, stopping at the first step that fails.

mod tally;

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use self::tally::Tally;
use crate::images;
use crate::stack::{Stack, process};
use crate::workspace::{FEATURES, Workspace, build_binaries};

/// Packages with test targets that need the stack (`required-features = ["stack"]`).
const STACK_PACKAGES: [&str; 5] = [
    "migrations",
    "catalog-service",
    "connect-worker",
    "shared",
    "order-service",
];

/// Sink and database behind the same end-to-end tests.
const STACK_WORLDS: [&str; 3] = ["connect-mariadb", "worker-mariadb", "worker-postgres"];

pub(crate) const HELP: &str = "\
Stops at the first step that fails. What a step needs and this machine lacks is installed, as root on
Debian or Ubuntu, or named.

Examples:
  cargo xtask test --list
  cargo xtask test
  cargo xtask test --only fmt --only clippy --only unit
  cargo xtask test --only databases --keep     the stack stays up for the next run
  cargo xtask test --stack local               no containers";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Whose tests: of the local stack, of docker-compose.yml, or of both; without it, of what
    /// this machine has
    #[arg(long = "stack", value_name = "STACK")]
    choice: Option<Choice>,
    /// Run only this step (repeatable); the order stays
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Leave the stack running
    #[arg(long)]
    keep: bool,
    /// Show the steps
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Choice {
    Local,
    Compose,
    All,
}

/// Why steps with this need are not run, if so.
fn left_out(choice: Option<Choice>, need: StackNeed) -> Option<&'static str> {
    match (choice, need) {
        (Some(Choice::Local), StackNeed::Compose) => Some("--stack local"),
        (Some(Choice::Compose), StackNeed::Shared | StackNeed::Own) => Some("--stack compose"),
        (None, StackNeed::Compose) if !images::docker_is_there() => {
            Some("there is no Docker engine with Compose v2 here")
        }
        _ => None,
    }
}

pub(crate) fn run(
    workspace: &Workspace,
    stack: &Stack,
    options: &Options,
) -> anyhow::Result<ExitCode> {
    let steps = select(steps(), &options.only)?;
    if options.list {
        for step in steps {
            let stack = match step.stack {
                StackNeed::None => "",
                StackNeed::Shared => "  (needs the stack)",
                StackNeed::Own => "  (has a stack of its own)",
                StackNeed::Compose => "  (needs Docker)",
            };
            println!("{:<16} {step}{stack}", step.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    // Clippy builds with it already.
    workspace.prepare_build()?;
    let (left_out, steps): (Vec<_>, Vec<_>) = steps
        .into_iter()
        .map(|step| (left_out(options.choice, step.stack), step))
        .partition(|(why, _)| why.is_some());
    let steps: Vec<_> = steps.into_iter().map(|(_, step)| step).collect();
    let mut report = Report::new(steps.len());
    let of = |need| steps.iter().filter(move |step| step.stack == need);
    report.run_all(workspace, stack, of(StackNeed::None));
    if !report.failed() && of(StackNeed::Shared).next().is_some() {
        report.time("stack up", |_| stack.up());
        report.run_all(workspace, stack, of(StackNeed::Shared));
        if !options.keep {
            report.time("stack down", |_| stack.down());
        }
    }
    report.run_all(workspace, stack, of(StackNeed::Own));
    report.run_all(workspace, stack, of(StackNeed::Compose));
    for (why, step) in &left_out {
        report.not_run(step.name, why.unwrap_or_default());
    }
    Ok(report.finish())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum StackNeed {
    None,
    Shared,
    /// It starts and stops one.
    Own,
    /// Containers.
    Compose,
}

struct Step {
    name: &'static str,
    program: &'static str,
    arguments: String,
    environment: Option<(&'static str, &'static str)>,
    stack: StackNeed,
    condition: Option<Condition>,
}

/// A step that needs what not every machine has.
struct Condition {
    /// It is there if this succeeds, with the step's program.
    arguments: &'static str,
    otherwise: &'static str,
}

impl Step {
    fn new(name: &'static str, cargo: &str) -> Self {
        Self {
            name,
            program: "cargo",
            arguments: cargo.to_owned(),
            environment: None,
            stack: StackNeed::None,
            condition: None,
        }
    }

    fn by(self, program: &'static str) -> Self {
        Self { program, ..self }
    }

    fn only_if(self, arguments: &'static str, otherwise: &'static str) -> Self {
        let condition = Condition {
            arguments,
            otherwise,
        };
        Self {
            condition: Some(condition),
            ..self
        }
    }

    fn with(self, name: &'static str, value: &'static str) -> Self {
        Self {
            environment: Some((name, value)),
            ..self
        }
    }

    fn on_stack(self) -> Self {
        Self {
            stack: StackNeed::Shared,
            ..self
        }
    }

    fn in_containers(self) -> Self {
        Self {
            stack: StackNeed::Compose,
            ..self
        }
    }

    fn on_own_stack(self) -> Self {
        Self {
            stack: StackNeed::Own,
            ..self
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, value)) = self.environment {
            write!(formatter, "{name}={value} ")?;
        }
        write!(formatter, "{} {}", self.program, self.arguments)
    }
}

fn steps() -> Vec<Step> {
    // Tests on the stack mostly wait for it.
    let on_stack = format!(
        "test --no-fail-fast --package {} {FEATURES},stack --test * -- --test-threads 6",
        STACK_PACKAGES.join(" --package ")
    );
    let pair = format!("test --no-fail-fast --package e2e {FEATURES}");
    let mut steps = cheap_steps();
    steps.extend([
        Step::new("embedded", &pair).with("PAIR_WORLD", "embedded"),
        Step::new("browser", "xtask browser"),
        Step::new("databases", &on_stack).on_stack(),
        Step::new(
            "verify",
            &format!("{pair},stack --test verify -- --test-threads 12"),
        )
        .on_stack(),
    ]);
    steps.extend(STACK_WORLDS.map(|world| {
        Step::new(world, &format!("{pair} --test pair"))
            .with("PAIR_WORLD", world)
            .on_stack()
    }));
    // A seed under which two minutes hit everything.
    steps.extend([
        Step::new("chaos", "xtask chaos --minutes 2 --seed 1").on_own_stack(),
        Step::new("images", "xtask images").in_containers(),
        Step::new("compose", &format!("{pair} --test pair"))
            .with("PAIR_WORLD", "compose")
            .in_containers(),
    ]);
    steps
}

fn cheap_steps() -> Vec<Step> {
    vec![
        Step::new("fmt", "fmt --all --check"),
        Step::new("deny", "deny --all-features check bans licenses sources")
            .only_if("deny --version", "cargo-deny is not installed"),
        Step::new("advisories", "deny --all-features check advisories").only_if(
            "deny fetch db",
            "cargo-deny is not installed, or the advisory database cannot be reached",
        ),
        Step::new(
            "kubernetes",
            "--strict --quiet kubernetes/order-service.yaml kubernetes/catalog-service.yaml kubernetes/connect-worker.yaml",
        )
        .by("kubernetes-validate")
        .only_if(
            "--version",
            "kubernetes-validate is not installed (pip install kubernetes-validate)",
        ),
        Step::new("rules", "xtask rules").only_if(
            "xtask rules --find",
            "promtool is not installed (Debian: its package `prometheus`)",
        ),
        Step::new(
            "clippy",
            "clippy --workspace --all-targets --all-features -- -D warnings",
        ),
        Step::new("doc", "doc --workspace --no-deps --all-features")
            .with("RUSTDOCFLAGS", "-Dwarnings"),
        Step::new(
            "unit",
            &format!("test --no-fail-fast --workspace --exclude e2e {FEATURES}"),
        ),
        Step::new("build", &build_binaries()),
        Step::new("counts", "xtask counts").only_if(
            "xtask counts --check-compiler",
            "hot-paths/baseline.txt is of another compiler (`cargo xtask counts --accept`)",
        ),
    ]
}

/// All steps if `only` is empty.
fn select(steps: Vec<Step>, only: &[String]) -> anyhow::Result<Vec<Step>> {
    if let Some(unknown) = only
        .iter()
        .find(|name| steps.iter().all(|step| step.name != **name))
    {
        let known: Vec<_> = steps.iter().map(|step| step.name).collect();
        bail!(
            "there is no step `{unknown}`; the steps are {}",
            known.join(", ")
        );
    }
    let chosen = |step: &Step| only.is_empty() || only.iter().any(|name| name == step.name);
    Ok(steps.into_iter().filter(chosen).collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    NotRun,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "FAILED",
            Self::NotRun => "not run",
        }
    }
}

struct Report {
    clock: Instant,
    planned: usize,
    begun: usize,
    steps: Vec<(&'static str, Duration, Outcome)>,
    tally: Tally,
}

impl Report {
    fn new(planned: usize) -> Self {
        Self {
            clock: Instant::now(),
            planned,
            begun: 0,
            steps: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn run_all<'a>(
        &mut self,
        workspace: &Workspace,
        stack: &Stack,
        steps: impl Iterator<Item = &'a Step>,
    ) {
        for step in steps {
            if self.failed() {
                return;
            }
            self.begun += 1;
            let minutes = self.clock.elapsed().as_secs() / 60;
            let (begun, planned) = (self.begun, self.planned);
            println!(
                "\n==> step {begun} of {planned}, after {minutes} min: {}: {step}",
                step.name
            );
            if let Some(condition) = &step.condition
                && !process::succeeds(&mut workspace.command(step.program, condition.arguments))
            {
                self.not_run(step.name, condition.otherwise);
                continue;
            }
            let mut command = workspace.command(step.program, &step.arguments);
            command.envs(step.environment);
            if step.stack == StackNeed::Shared {
                command.envs(stack.environment());
            }
            self.time(step.name, |tally| {
                pass_through(&mut command, &mut io::stdout(), tally)
            });
        }
    }

    fn not_run(&mut self, name: &'static str, why: &str) {
        println!("==> {name}: {why}: not run");
        self.steps.push((name, Duration::ZERO, Outcome::NotRun));
    }

    fn time(&mut self, name: &'static str, work: impl FnOnce(&mut Tally) -> anyhow::Result<()>) {
        let began = Instant::now();
        let result = work(&mut self.tally);
        let took = began.elapsed();
        let outcome = match result {
            Ok(()) => Outcome::Passed,
            Err(_) => Outcome::Failed,
        };
        self.steps.push((name, took, outcome));
        match result {
            Ok(()) => println!("==> {name}: ok in {:.1} s", took.as_secs_f32()),
            Err(error) => println!(
                "==> {name}: FAILED after {:.1} s: {error:#}",
                took.as_secs_f32()
            ),
        }
    }

    fn failed(&self) -> bool {
        let mut outcomes = self.steps.iter().map(|(_, _, outcome)| *outcome);
        outcomes.any(|outcome| outcome == Outcome::Failed)
    }

    fn finish(self) -> ExitCode {
        println!();
        for (name, took, outcome) in &self.steps {
            let outcome = outcome.name();
            println!("{name:<16} {outcome:<7} {:>7.1} s", took.as_secs_f32());
        }
        println!("{}", self.tally);
        ExitCode::from(u8::from(self.failed()))
    }
}

/// Counts on the way; standard error, where cargo reports, stays its own.
fn pass_through(
    command: &mut Command,
    stdout: &mut impl Write,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let program = command.get_program().display().to_string();
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{program} does not start"))?;
    let mut output = BufReader::new(child.stdout.take().context("no output")?);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        stdout.write_all(&line)?;
        tally.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    let status = child.wait()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let only: Vec<_> = only.iter().map(ToString::to_string).collect();
        Ok(select(steps(), &only)?
            .iter()
            .map(|step| step.name)
            .collect())
    }

    #[test]
    fn the_steps_chosen_keep_their_order() {
        assert_eq!(names(&["clippy", "fmt"]).unwrap(), ["fmt", "clippy"]);
        assert_eq!(names(&[]).unwrap().len(), steps().len());
    }

    #[test]
    fn a_choice_leaves_the_other_stack_out_and_no_other_step() {
        let needs = [
            StackNeed::None,
            StackNeed::Shared,
            StackNeed::Own,
            StackNeed::Compose,
        ];
        let runs = |choice| needs.map(|need| left_out(Some(choice), need).is_none());
        assert_eq!(runs(Choice::Local), [true, true, true, false]);
        assert_eq!(runs(Choice::Compose), [true, false, false, true]);
        assert_eq!(runs(Choice::All), [true; 4]);
    }

    #[test]
    fn an_unknown_step_is_named_with_the_known_ones() {
        let error = names(&["fmt", "lint"]).unwrap_err().to_string();
        assert!(
            error.starts_with("there is no step `lint`; the steps are fmt, deny,"),
            "{error}"
        );
    }

    #[test]
    fn output_is_passed_on_and_counted_and_a_failure_reported() {
        let mut tally = Tally::default();
        let mut seen = Vec::new();
        let mut run = |script| {
            let mut shell = Command::new("sh");
            pass_through(shell.args(["-c", script]), &mut seen, &mut tally)
        };
        run("echo 'test result: ok. 2 passed; 0 failed; 0 ignored'").unwrap();
        run("echo 'test result: FAILED. 3 passed; 1 failed; 0 ignored'; exit 101").unwrap_err();
        run("printf '\\377, not UTF-8'").unwrap();
        assert_eq!(tally.to_string(), "5 passed, 1 failed");
        assert!(seen.ends_with(b"1 failed; 0 ignored\n\xff, not UTF-8"));
    }
}
