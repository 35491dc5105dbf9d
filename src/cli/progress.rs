//! How far long work is: a bar on a terminal, lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Blame, Failure, whisper};
use crate::fault::Fault;
use crate::world::nix::{Look, Tally};
use crate::world::stop::Answering;

const REDRAW: Duration = Duration::from_millis(100);
/// Between lines, where there is no terminal.
const LINE: Duration = Duration::from_secs(10);
/// Signs and no colours, so that NO_COLOR has nothing to take away.
const BAR: &str = "[{bar:25}] {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left; {msg}";

/// Shows an upload while it is waited for; a bar is gone when this is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    begun: Instant,
}

impl Progress {
    pub(super) fn begin() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style =
            ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        Self { bar, begun: Instant::now() }
    }

    /// Shows some work until it is done, or until somebody stops it, who is told what is
    /// left of it.
    pub(super) async fn beside(
        &self,
        own: &Answering,
        tally: &Tally,
        work: impl Future<Output = Result<(), Fault>>,
        left: &str,
    ) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = own.asked() => Err(interrupted(left)),
            done = work => done.map_err(Failure::from),
            () = self.follow(tally) => Ok(()),
        }
    }

    /// Never ends by itself.
    async fn follow(&self, tally: &Tally) {
        tally.begun().await;
        let mut told = Instant::now();
        if self.bar.is_hidden() {
            whisper(&first(&tally.look()));
        }
        loop {
            let look = tally.look();
            self.draw(&look);
            if self.bar.is_hidden() && told.elapsed() >= LINE {
                whisper(&line(&look));
                told = Instant::now();
            }
            tokio::time::sleep(REDRAW).await;
        }
    }

    fn draw(&self, look: &Look) {
        self.bar.set_message(format!("{} of {}", look.paths, counted(look.of_paths)));
        self.bar.set_length(look.of_bytes);
        self.bar.set_position(look.bytes);
    }

    /// What was uploaded in the end.
    pub(super) fn end(self, tally: &Tally) {
        let look = tally.look();
        self.bar.finish_and_clear();
        whisper(&match look.of_paths {
            0 => "nothing was missing\n".to_owned(),
            paths => format!(
                "uploaded {} in {}: {}, {} packed\n",
                counted(paths),
                HumanDuration(self.begun.elapsed()),
                BinaryBytes(look.of_bytes),
                BinaryBytes(look.uploaded)
            ),
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn interrupted(left: &str) -> Failure {
    Failure {
        message: format!("stopped; {left}"),
        hint: Some("run it again: it goes on from here".to_owned()),
        blame: Blame::World,
    }
}

fn counted(paths: u64) -> String {
    format!("{paths} {}", if paths == 1 { "path" } else { "paths" })
}

fn first(look: &Look) -> String {
    format!("missing: {}, {}\n", counted(look.of_paths), BinaryBytes(look.of_bytes))
}

fn line(look: &Look) -> String {
    let percent = look.bytes.saturating_mul(100).checked_div(look.of_bytes).unwrap_or(100);
    format!(
        "{percent} %: {} of {}, {} of {} paths\n",
        BinaryBytes(look.bytes),
        BinaryBytes(look.of_bytes),
        look.paths,
        look.of_paths
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let look =
            Look { paths: 1, of_paths: 4, bytes: 3 << 20, of_bytes: 10 << 20, uploaded: 1 << 20 };
        assert_eq!(first(&look), "missing: 4 paths, 10.00 MiB\n");
        assert_eq!(line(&look), "30 %: 3.00 MiB of 10.00 MiB, 1 of 4 paths\n");
    }
}
