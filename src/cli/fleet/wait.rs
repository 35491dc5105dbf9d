//! Follows the reports until each host that a commit concerns has told its verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::super::{Blame, Failure, whisper};
use super::DEADLINE;
use super::screen::Screen;
use super::sight::{Fleet, manifest_at};
use crate::names::{CommitId, HostName};
use crate::report::fleet::Standing;
use crate::report::table::Row;
use crate::report::waiting::{Progress, progress};

const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LONGEST: Duration = Duration::from_secs(10);

/// What the hosts that a commit concerns had reported at the end.
pub(in crate::cli) struct Waited {
    pub(in crate::cli) rows: Vec<Row>,
    /// # Errors
    /// A host has failed with it, or the time is over.
    pub(in crate::cli) outcome: Result<(), Failure>,
}

/// Waits for the verdicts on a commit and tells each as it comes. What hosts had before
/// is the second one, or else its first parent.
///
/// # Errors
/// It cannot be told which hosts it concerns, or what they have reported.
pub(super) async fn wait(
    fleet: &mut Fleet,
    (commit, before): (&CommitId, Option<&CommitId>),
    timeout: Duration,
) -> Result<Waited, Failure> {
    let parent = format!("{commit}^");
    let hosts = concerned(fleet, commit, before.map_or(parent.as_str(), CommitId::as_str))?;
    whisper(&format!("waiting for {} host(s) and commit {}\n", hosts.len(), commit.short()));
    let end = Instant::now() + timeout;
    let mut screen = Screen::default();
    let mut pause = PAUSE_FIRST;
    let (mut all, mut news) = (BTreeMap::new(), false);
    loop {
        match fleet.look(DEADLINE.min(left(end).max(PAUSE_FIRST))).await {
            Ok(true) => (pause, news) = (PAUSE_FIRST, true),
            Ok(false) => {}
            Err(failure) => screen.trouble(&failure.message),
        }
        if news {
            match seen(fleet, commit, &hosts, &all) {
                Ok(progress) => (all, news) = (progress, false),
                Err(failure) => screen.trouble(&failure.message),
            }
        }
        screen.tell(&all);
        let open = |progress: &Progress| matches!(progress, Progress::Pending(_));
        let asked = all.iter().filter(|(host, _)| !fleet.is_keyless(host));
        let over = !all.is_empty() && !asked.map(|(_, progress)| progress).any(open);
        if over || left(end).is_zero() {
            break;
        }
        tokio::time::sleep(pause.min(left(end))).await;
        pause = (pause * 3 / 2).min(PAUSE_LONGEST);
    }
    screen.clear();
    let rows = fleet.rows(None)?;
    let own = |host: &str| hosts.iter().any(|concerned| concerned.as_str() == host);
    let rows = rows.into_iter().filter(|row| own(&row.host)).collect();
    Ok(Waited { rows, outcome: verdict(&hosts, &all, timeout) })
}

/// The hosts for which a commit changes something; all of them where it changes nothing,
/// since each comes to a verdict on it.
fn concerned(
    fleet: &Fleet,
    commit: &CommitId,
    before: &str,
) -> Result<BTreeSet<HostName>, Failure> {
    let new = manifest_at(fleet.checkout(), commit.as_str())?;
    let all: BTreeSet<HostName> = new.hosts().into_iter().chain(fleet.hosts()).collect();
    let Ok(old) = manifest_at(fleet.checkout(), before) else { return Ok(all) };
    let changed = all.iter().filter(|host| !old.desired(host).is_as(&new.desired(host)));
    let changed: BTreeSet<HostName> = changed.cloned().collect();
    Ok(if changed.is_empty() { all } else { changed })
}

fn seen(
    fleet: &Fleet,
    commit: &CommitId,
    hosts: &BTreeSet<HostName>,
    before: &BTreeMap<HostName, Progress>,
) -> Result<BTreeMap<HostName, Progress>, Failure> {
    let mut all = BTreeMap::new();
    for host in hosts {
        // Whatever came later, it has run this.
        let progress = match before.get(host) {
            Some(Progress::Confirmed) => Progress::Confirmed,
            Some(Progress::Pending(_) | Progress::Failed(_)) | None => one(fleet, commit, host)?,
        };
        all.insert(host.clone(), progress);
    }
    Ok(all)
}

fn one(fleet: &Fleet, commit: &CommitId, host: &HostName) -> Result<Progress, Failure> {
    Ok(match fleet.standings.get(host.as_str()) {
        Some(Standing::Told(report)) => {
            let named = [&report.state.head, &report.state.commit];
            let mut kin = BTreeSet::new();
            for named in named.into_iter().flatten() {
                if fleet.follows(commit, named)? {
                    kin.insert(named.clone());
                }
            }
            progress(report, |named| kin.contains(named))
        }
        Some(Standing::Doubtful(why)) => Progress::Pending(why.clone()),
        Some(Standing::Never | Standing::Stranger) | None if fleet.is_keyless(host) => {
            Progress::Pending(format!("manifests/hosts/{host}.toml names no reportKey"))
        }
        Some(Standing::Never | Standing::Stranger) | None => {
            Progress::Pending("never reported".to_owned())
        }
    })
}

fn verdict(
    hosts: &BTreeSet<HostName>,
    all: &BTreeMap<HostName, Progress>,
    timeout: Duration,
) -> Result<(), Failure> {
    let failed = all.iter().filter_map(|(host, progress)| match progress {
        Progress::Failed(why) => Some(format!("{host}: {why}")),
        Progress::Confirmed | Progress::Pending(_) => None,
    });
    let failed: Vec<String> = failed.collect();
    if !failed.is_empty() {
        return Err(Failure { message: failed.join("\n"), hint: None, blame: Blame::Refused });
    }
    let missing = hosts.iter().filter_map(|host| match all.get(host) {
        Some(Progress::Confirmed | Progress::Failed(_)) => None,
        Some(Progress::Pending(why)) => Some(format!("  {host}: {why}")),
        None => Some(format!("  {host}: its reports cannot be reached")),
    });
    let missing: Vec<String> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("no verdict within {timeout:?} of\n{}", missing.join("\n"));
    Err(Failure { message, hint: None, blame: Blame::World })
}

fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}
