//! Puts systemd's results into words.
//!
//! Sources: systemd.exec(5) "Process Exit Codes", systemd.service(5)
//! "$SERVICE_RESULT", org.freedesktop.systemd1(5) for the results of jobs.

/// How a unit's last run ended, as its properties tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ending {
    /// `Result=`: `success`, `exit-code`, `signal`, …
    pub(super) result: String,
    /// `ExecMainCode=`: waitid(2)'s si_code, 0 where no process has ended.
    pub(super) code: i32,
    /// `ExecMainStatus=`: an exit status or a signal's number.
    pub(super) status: i32,
}

/// waitid(2)'s CLD_EXITED.
const EXITED: i32 = 1;

impl Ending {
    /// The result in short, `None` where it is `success`: `exit-code, status 3`.
    pub(super) fn failure(&self) -> Option<String> {
        let result = self.result.as_str();
        if matches!(result, "" | "success") {
            return None;
        }
        Some(match (self.code, exit_name(self.status)) {
            (EXITED, Some((name, _))) => format!("{result}, status {}/{name}", self.status),
            (EXITED, None) => format!("{result}, status {}", self.status),
            (0, _) => result.to_owned(),
            _ => format!("{result}, signal {}", self.status),
        })
    }

    /// The failure as a sentence, for a person.
    pub(super) fn explain(&self) -> Option<String> {
        let short = self.failure()?;
        let meaning = match exit_name(self.status) {
            Some((_, meaning)) if self.code == EXITED => meaning,
            _ => meaning_of(&self.result),
        };
        Some(format!("{meaning} ({short})"))
    }
}

fn meaning_of(result: &str) -> &'static str {
    match result {
        "exit-code" => "its process ended with an error",
        "signal" => "its process was killed by a signal",
        "core-dump" => "its process crashed",
        "timeout" => "it did not start or stop within its time limit",
        "watchdog" => "it stopped telling systemd that it is alive",
        "start-limit-hit" => "it was started too often in a short time",
        "oom-kill" => "it used more memory than it may",
        "protocol" => "it ended, or misreported its state, before it said that it is ready",
        "resources" => {
            "systemd could not set its process up (does its environment file exist and parse?)"
        }
        "exec-condition" => "its start condition did not hold",
        _ => "systemd counts it as failed",
    }
}

/// The exit statuses that systemd itself gives a process it could not set up.
fn exit_name(status: i32) -> Option<(&'static str, &'static str)> {
    Some(match status {
        200 => ("CHDIR", "its working directory cannot be entered"),
        203 => (
            "EXEC",
            "its program cannot be run (missing, not executable, or made for another machine)",
        ),
        209 => ("STDOUT", "its output could not be set up"),
        214 => ("SETSCHEDULER", "its scheduling could not be set up"),
        216 => ("GROUP", "its group is unknown on this host, or cannot be taken on"),
        217 => ("USER", "its user is unknown on this host, or cannot be taken on"),
        218 => ("CAPABILITIES", "its capabilities could not be set"),
        219 => ("CGROUP", "its control group could not be set up"),
        225 => ("NETWORK", "its private network could not be set up"),
        226 => (
            "NAMESPACE",
            "its view of the file system could not be set up (does each of its paths exist?)",
        ),
        228 => ("SECCOMP", "its system call filter could not be set"),
        238 => ("STATE_DIRECTORY", "its state directory could not be made"),
        243 => ("CREDENTIALS", "its credentials could not be set up"),
        _ => return None,
    })
}

/// Why a job that did not end as `done` ended.
pub(super) fn meaning_of_job(result: &str) -> &'static str {
    match result {
        "timeout" => "its time limit passed",
        "dependency" => "a unit that it requires could not be started",
        "canceled" => "the job was cancelled: another start or stop took its place",
        "skipped" => "a condition of the unit does not hold",
        "assert" => "an assertion of the unit does not hold",
        "unsupported" => "this host does not support such a unit",
        "invalid" => "the unit cannot do that in the state it is in",
        "frozen" => "the unit is frozen",
        _ => "systemd counts the job as failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(result: &str, code: i32, status: i32) -> Ending {
        Ending { result: result.to_owned(), code, status }
    }

    #[test]
    fn success_is_no_failure() {
        assert_eq!(ending("success", 0, 0).failure(), None);
        assert_eq!(Ending::default().explain(), None);
    }

    #[test]
    fn a_failure_names_the_status_or_the_signal() {
        assert_eq!(ending("exit-code", 1, 3).failure().unwrap(), "exit-code, status 3");
        assert_eq!(ending("exit-code", 1, 203).failure().unwrap(), "exit-code, status 203/EXEC");
        assert_eq!(ending("signal", 2, 9).failure().unwrap(), "signal, signal 9");
        assert_eq!(ending("resources", 0, 0).failure().unwrap(), "resources");
    }

    #[test]
    fn a_failure_says_what_systemd_could_not_do() {
        let said = |result, code, status| ending(result, code, status).explain().unwrap();
        assert!(said("exit-code", 1, 217).starts_with("its user is unknown"));
        assert!(said("exit-code", 1, 3).starts_with("its process ended with an error"));
        assert!(said("resources", 0, 0).contains("environment file"));
    }
}
