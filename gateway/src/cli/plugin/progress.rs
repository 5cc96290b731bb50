//! Progress on standard error: one renewed line at a terminal, now and then a line elsewhere.

use std::{cell::Cell, io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use crate::words::{Clock, Time};

/// Away from a terminal the lines within a step are shown so often at most.
const SELDOM: Duration = Duration::from_secs(10);
/// Off which the renewed line is cut.
const WIDTH: usize = 98;

/// Shows how far something is.
pub(super) struct Progress<'a> {
    clock: &'a dyn Clock,
    bar: Option<ProgressBar>,
    last: Cell<Time>,
}

impl<'a> Progress<'a> {
    /// Nothing is shown before the first line.
    pub fn new(clock: &'a dyn Clock) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg}").expect("the template has one known key");
            ProgressBar::new_spinner().with_style(style)
        });
        Self { clock, bar, last: Cell::new(clock.now()) }
    }

    /// A step, or, when it begins with a space, a line within one.
    pub fn tell(&self, line: &str) {
        let now = self.clock.now();
        let step = !line.starts_with(' ');
        if let Some(bar) = &self.bar {
            bar.set_message(line.chars().take(WIDTH).collect::<String>());
            bar.tick();
        } else if step || now.since(self.last.get()) >= SELDOM {
            anstream::eprintln!("{line}");
            self.last.set(now);
        }
    }

    /// Takes the renewed line away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
