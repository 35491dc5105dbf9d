//! A review as a person reads it.

use std::fmt::Write as _;

use super::Sight;
use super::advice::{Way, names, needs};
use crate::trust::{Brought, Refusal, Reviewed};

pub(super) fn of(sight: &Sight) -> String {
    let mut text = String::new();
    let meeting = &sight.meeting;
    let (tip, base) = (meeting.tip.short(), meeting.base.short());
    let _ = writeln!(text, "{} ({tip}) onto {} ({base})", meeting.name, meeting.against);
    if let Some(told) = super::pushed::told(meeting) {
        let _ = writeln!(text, "{told}");
    }
    text.push('\n');
    sight.review.commits.iter().for_each(|commit| brought(&mut text, commit));
    text.push('\n');
    sight.review.paths.iter().for_each(|path| reviewed(&mut text, path));
    for why in &sight.review.ignored {
        let _ = writeln!(text, "  an approval does not count: {why}");
    }
    match &sight.plan {
        Ok(plan) => {
            let _ = writeln!(text, "\n{plan}");
        }
        Err(problems) => {
            let _ = writeln!(text, "\nhosts would refuse the manifest\n{}\n", problems.trim_end());
        }
    }
    verdict(&mut text, sight);
    text
}

fn brought(text: &mut String, commit: &Brought) {
    let _ = writeln!(text, "  {} {}", commit.commit.short(), commit.subject);
    let key = commit.key.as_ref().map(|key| format!(" ({key})")).unwrap_or_default();
    match (&commit.principal, &commit.refused) {
        (Some(principal), None) => {
            let _ = writeln!(text, "    signed by {principal}{key}");
        }
        (_, Some(refusal)) => {
            let _ = writeln!(text, "    {}", told(refusal));
        }
        (None, None) => {}
    }
}

fn reviewed(text: &mut String, path: &Reviewed) {
    let _ = writeln!(text, "  {} {}", path.change, path.path.replace(char::is_control, " "));
    let writers: Vec<String> =
        path.writers.iter().map(|right| format!("{} ({})", right.principal, right.by)).collect();
    let writers = if writers.is_empty() { "nobody".to_owned() } else { writers.join(", ") };
    let _ = writeln!(text, "    may be written by {writers}");
    match &path.missing {
        Some(missing) => {
            let needs = needs(path.threshold, &path.agreed, missing.people, &missing.of);
            let _ = writeln!(text, "    {needs}");
        }
        None if path.threshold > 1 => {
            let agreed = names(&path.agreed);
            let _ = writeln!(text, "    needs {} people: agreed to by {agreed}", path.threshold);
        }
        None => {}
    }
}

fn verdict(text: &mut String, sight: &Sight) {
    let review = &sight.review;
    match &review.forward {
        Some(refusal) => {
            let _ = writeln!(text, "as it is: {}", told(refusal));
        }
        None if sight.advice.way == Way::FastForward => {
            text.push_str("as it is: accepted, by a fast-forward\n");
        }
        None => text.push_str("as it is: accepted, and hosts wait: it does not name their plans\n"),
    }
    let by = sight.advice.mergers();
    if !by.is_empty() {
        let _ = writeln!(text, "as a merge: accepted from {}", names(by));
    }
    let nobody = sight.advice.way == Way::No;
    for merger in &review.merges {
        let own = sight.you.as_ref() == Some(&merger.principal);
        if let Some(refusal) = merger.refused.as_ref().filter(|_| nobody || own) {
            let _ = writeln!(text, "as a merge by {}: {}", merger.principal, told(refusal));
        }
    }
    if nobody {
        for missing in &sight.advice.missing {
            let _ = writeln!(text, "missing: {missing}");
        }
    }
    for next in &sight.advice.next {
        let _ = writeln!(text, "next: {next}");
    }
}

fn told(refusal: &Refusal) -> String {
    let Refusal { rule, because, .. } = refusal;
    format!("refused by rule {rule} ({}): {because}", refusal.reason.word())
}
