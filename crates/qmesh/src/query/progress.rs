//! A line on a terminal while an answer is awaited, and the terminal's size.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use super::console::Size;

/// The line; nothing where stderr is no terminal.
pub(super) struct Line(Option<ProgressBar>);

impl Line {
    pub(super) fn start() -> Self {
        if !std::io::stderr().is_terminal() {
            return Line(None);
        }
        let bar = ProgressBar::new_spinner().with_message("waiting for the gateway");
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Line(Some(bar))
    }

    pub(super) fn finish(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}

/// What fits the terminal.
pub(super) fn terminal() -> Size {
    let (lines, width) = ::console::Term::stdout().size();
    Size { lines: usize::from(lines.max(5)), width: usize::from(width.max(20)) }
}
