//! How far the agent's downloads are: a bar on a terminal, lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::whisper;
use crate::world::download::Download;

/// Between lines, where there is no terminal.
const LINE: Duration = Duration::from_secs(10);
/// Signs and no colours, so that NO_COLOR has nothing to take away.
const BAR: &str = "[{bar:25}] {msg}";

/// A download as it is shown; a bar is gone when there is none any more, or when this
/// is dropped.
#[derive(Default)]
pub(super) struct Shown {
    bar: Option<ProgressBar>,
    told: Option<Instant>,
}

impl Shown {
    /// What the agent says now.
    pub(super) fn see(&mut self, download: Option<&Download>) {
        let Some(download) = download else { return self.clear() };
        let bar = self.bar.get_or_insert_with(bar);
        bar.set_length(download.of_bytes.max(1));
        bar.set_position(download.bytes);
        bar.set_message(download.to_string());
        if bar.is_hidden() && self.told.is_none_or(|told| told.elapsed() >= LINE) {
            whisper(&format!("fetched {download}\n"));
            self.told = Some(Instant::now());
        }
    }

    fn clear(&mut self) {
        self.bar.take().iter().for_each(ProgressBar::finish_and_clear);
        self.told = None;
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.clear();
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    bar
}
