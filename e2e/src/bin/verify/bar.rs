use std::cell::RefCell;
use std::io::IsTerminal;

use e2e::{Pace, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const REDRAWN_PER_SECOND: u8 = 1;

/// How far a run is, on standard error: a bar per source on a terminal, else a line now and then.
pub(crate) struct Bar(RefCell<Source>);

struct Source {
    bar: ProgressBar,
    what: String,
    pace: Pace,
}

impl Default for Bar {
    fn default() -> Self {
        Self(RefCell::new(Source {
            bar: ProgressBar::hidden(),
            what: String::new(),
            pace: Pace::default(),
        }))
    }
}

impl Progress for Bar {
    fn begin(&self, what: &str, total: u64) {
        let mut source = self.0.borrow_mut();
        source.bar.finish_and_clear();
        what.clone_into(&mut source.what);
        source.bar = bar(what, total);
    }

    fn advance(&self) {
        let mut source = self.0.borrow_mut();
        source.bar.inc(1);
        if source.pace.is_due() && !std::io::stderr().is_terminal() {
            let (position, total) = (source.bar.position(), source.bar.length().unwrap_or(0));
            eprintln!("{}: {position} of {total}", source.what);
        }
    }
}

fn bar(what: &str, total: u64) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(REDRAWN_PER_SECOND);
    let bar = ProgressBar::with_draw_target(Some(total), target).with_message(what.to_owned());
    match ProgressStyle::with_template("{msg:24} {wide_bar} {pos}/{len} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.borrow().bar.finish_and_clear();
    }
}
