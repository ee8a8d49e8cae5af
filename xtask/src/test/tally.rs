use std::fmt;

/// Sums what the test binaries report themselves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// `test result:` of cargo's tests, `# pass` and `# fail` of Node's; other lines count
    /// nothing.
    pub(super) fn read(&mut self, line: &str) {
        if let Some((passed, failed)) = counts(line) {
            self.passed += passed;
            self.failed += failed;
        }
        let count = |of: &str| line.strip_prefix(of)?.trim_end().parse::<u64>().ok();
        self.passed += count("# pass ").unwrap_or(0);
        self.failed += count("# fail ").unwrap_or(0);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

fn counts(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = counts.split("; ");
    let passed = counts.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = counts.next()?.strip_suffix(" failed")?.parse().ok()?;
    Some((passed, failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_binaries_are_summed() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s\n",
            "# tests 6\n",
            "# pass 5\n",
            "# fail 1\n",
        ] {
            tally.read(line);
        }
        assert_eq!(
            tally,
            Tally {
                passed: 18,
                failed: 3
            }
        );
        assert_eq!(tally.to_string(), "18 passed, 3 failed");
    }

    #[test]
    fn what_only_looks_like_a_result_counts_nothing() {
        let mut tally = Tally::default();
        for line in [
            "test result: ok",
            "a test result: ok. 3 passed; 0 failed;",
            "test result: ok. many passed; 0 failed",
        ] {
            tally.read(line);
        }
        assert_eq!(tally, Tally::default());
    }
}
