//! The demo: a company, its deploy repository and one host, from the first signed push to a revert.
//!
//! `./demo` builds and runs it; `./demo --keep` leaves the host up.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is made to be read")]

#[path = "../tests/lab/mod.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod lab;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use lab::acme::Acme;
use lab::site::{Site, Status};

const WEB: &str = "web.acme.example";
const NEWS: &str = "news.acme.example";

fn main() -> ExitCode {
    let keep = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [option] if option == "--keep" => true,
        _ => {
            eprintln!("usage: ./demo [--keep]");
            return ExitCode::from(2);
        }
    };
    if let Err(why) = lab::fleet::Fleet::new() {
        eprintln!("demo: this machine cannot boot test hosts: {}", why.0);
        return ExitCode::FAILURE;
    }
    std::panic::set_hook(Box::new(|_| {})); // the summary says it
    let story = Story::default();
    let stage = story.play();
    story.summary();
    match stage {
        Ok(stage) if keep => stage.keep(),
        Ok(_) => println!("\nThe hosts are shut down; nothing is left running."),
        Err(_) => println!("\nThe hosts are shut down. The demo ended early."),
    }
    if story.broken.borrow().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is told: chapters with the time each took, and what did not hold.
#[derive(Default)]
struct Story {
    chapters: RefCell<Vec<(String, f64)>>,
    broken: RefCell<Option<String>>,
}

/// The machines, and what was pushed so far.
struct Stage {
    acme: Acme,
    biz: Site,
}

/// The story cannot go on; [`Story::broken`] says why.
struct Broken;

impl Story {
    fn play(&self) -> Result<Stage, Broken> {
        let stage = self.chapter("A workshop and a host", || self.machines())?;
        let (acme, biz) = (&stage.acme, &stage.biz);
        self.chapter("Version 1 is pushed, signed", || self.first_version(acme, biz))?;
        let v2 = self.chapter("Version 2 is pushed", || self.second_version(acme, biz))?;
        self.chapter("Version 3 is broken", || self.broken_version(acme, biz, &v2))?;
        self.chapter("Commits that nobody here may make", || self.strangers(acme, biz))?;
        self.chapter("git revert", || self.revert(acme, biz, &v2))?;
        Ok(stage)
    }

    fn machines(&self) -> Stage {
        let acme = self.step(
            "boot the workshop: Alice's machine with the git remote and the signed nix cache",
            Acme::found,
        );
        self.say(&format!("Alice signs with {}", acme.alice.fingerprint));
        let biz = self.step(
            "boot the host biz: systemd, nix, Caddy, and the agent, which knows that key",
            || {
                let biz = acme.site("biz");
                biz.start();
                biz
            },
        );
        self.step("biz accepts the repository's first commit", || {
            biz.confirmed(&acme.introduction)
        });
        Stage { acme, biz }
    }

    fn first_version(&self, acme: &Acme, biz: &Site) {
        self.step(
            "Alice builds web 1 and news 1, signs them into the cache, writes their manifests",
            || {
                acme.publish("web", "v1", 8001, "");
                acme.publish("news", "n1", 8002, "");
            },
        );
        let commit = self.release(acme, "web and news: version 1");
        self.confirmed(biz, &commit);
        self.shows(biz, WEB, "v1");
        self.shows(biz, NEWS, "n1");
    }

    fn second_version(&self, acme: &Acme, biz: &Site) -> String {
        let (web, news) = (biz.pid("web"), biz.pid("news"));
        self.step("Alice builds web 2", || acme.publish("web", "v2", 8001, ""));
        let commit = self.release(acme, "web: version 2");
        self.confirmed(biz, &commit);
        self.shows(biz, WEB, "v2");
        let (new_web, new_news) = (biz.pid("web"), biz.pid("news"));
        self.say(&format!("web's process {web} became {new_web}; news still is process {news}"));
        assert_ne!(new_web, web, "web should have been restarted");
        assert_eq!(new_news, news, "news should not have been touched");
        commit
    }

    fn broken_version(&self, acme: &Acme, biz: &Site, v2: &str) {
        self.step("Alice builds web 3, which cannot find its database", || {
            acme.publish("web", "v3", 8001, "--crash")
        });
        let commit = self.release(acme, "web: version 3");
        let status = self.step("biz tries it, sees it fail, and goes back by itself", || {
            biz.judged(&commit, "rolled-back")
        });
        assert_eq!(status.running(), v2, "biz should run version 2");
        assert!(
            status.why().contains("cannot find the database"),
            "the verdict should quote the journal"
        );
        self.shows(biz, WEB, "v2");
        self.quote(biz, "", usize::MAX);
    }

    fn strangers(&self, acme: &Acme, biz: &Site) {
        let before = acme.workshop.head();
        let pid = biz.pid("web");
        acme.publish("web", "v4", 8001, "");
        let commit = self.step("somebody pushes a commit without a signature", || {
            acme.workshop.release(None, "web: version 4, in a hurry")
        });
        let status = self.step("biz refuses it", || biz.judged(&commit, "refused"));
        self.refused(&status, "unsigned");

        acme.workshop.reset(&before);
        let mallory = acme.workshop.key("mallory");
        acme.publish("web", "v4", 8001, "");
        let commit = self.step("Mallory pushes a commit signed with her own key", || {
            acme.workshop.release(Some(&mallory), "web: version 4, trust me")
        });
        let status = self.step("biz refuses it", || biz.judged(&commit, "refused"));
        self.refused(&status, "unknown-key");
        self.quote(biz, "the branch's head is refused", 3);
        self.shows(biz, WEB, "v2");
        assert_eq!(biz.pid("web"), pid, "nothing should have been touched");
        acme.workshop.reset(&before);
    }

    fn revert(&self, acme: &Acme, biz: &Site, v2: &str) {
        acme.workshop.host.must(&["mv", "/srv/cache", "/srv/taken-away"]);
        self.say("the cache is taken away, so that nothing can be downloaded");
        let commit =
            self.step("Alice reverts the commits of version 3 and 2, signed, and pushes", || {
                acme.workshop.revert(&acme.alice, &acme.workshop.head());
                let commit = acme.workshop.revert(&acme.alice, v2);
                acme.workshop.push();
                commit
            });
        self.confirmed(biz, &commit);
        self.shows(biz, WEB, "v1");
        self.shows(biz, NEWS, "n1");
        self.quote(biz, "", usize::MAX);
    }

    fn release(&self, acme: &Acme, message: &str) -> String {
        self.step(&format!("she commits \u{201c}{message}\u{201d}, signed, and pushes"), || {
            acme.release(message)
        })
    }

    fn confirmed(&self, biz: &Site, commit: &str) {
        let what = format!("biz fetches, verifies, converges and confirms {}", &commit[..10]);
        self.step(&what, || biz.confirmed(commit));
    }

    fn refused(&self, status: &Status, reason: &str) {
        assert_eq!(status.reason(), reason);
        self.say(&format!("reason: {reason}"));
    }

    fn shows(&self, biz: &Site, domain: &str, text: &str) {
        self.step(
            &format!("curl http://{domain}/ through Caddy answers \u{201c}{text}\u{201d}"),
            || {
                biz.serves(domain, text);
            },
        );
    }

    /// What `writ status` says on the host, from some words on.
    fn quote(&self, biz: &Site, from: &str, lines: usize) {
        println!("            biz# writ status");
        // It ends with 1 where the newest generation was rolled back, as a script may ask.
        let status = biz.host.run(&["writ", "status"]).stdout;
        for line in status.lines().skip_while(|line| !line.starts_with(from)).take(lines) {
            println!("            | {line}");
        }
    }

    fn say(&self, text: &str) {
        println!("            {text}");
    }

    /// Does one thing and says what and how long it took.
    fn step<T>(&self, what: &str, act: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = act();
        println!("  {:>6.2} s  {what}", start.elapsed().as_secs_f64());
        done
    }

    /// A chapter that has to hold for the story to go on.
    fn chapter<T>(&self, title: &str, act: impl FnOnce() -> T) -> Result<T, Broken> {
        let number = self.chapters.borrow().len() + 1;
        println!("\n{number}. {title}");
        let start = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(act));
        self.chapters.borrow_mut().push((title.to_owned(), start.elapsed().as_secs_f64()));
        done.map_err(|panic| {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or(panic.downcast_ref::<&str>().map(|&s| s.to_owned()));
            *self.broken.borrow_mut() = Some(said.unwrap_or_default());
            Broken
        })
    }

    fn summary(&self) {
        println!("\nSummary");
        let broken = self.broken.borrow();
        let chapters = self.chapters.borrow();
        for (number, (title, seconds)) in chapters.iter().enumerate() {
            let held = broken.is_none() || number + 1 < chapters.len();
            let word = if held { "held" } else { "DID NOT HOLD" };
            println!("  {seconds:>6.2} s  {}. {title}: {word}", number + 1);
        }
        if let Some(why) = &*broken {
            println!("\n{why}");
        }
    }
}

impl Stage {
    /// Leaves the machines up and says how to look around.
    fn keep(self) {
        let (biz, workshop) = (self.biz.host.init(), self.acme.workshop.host.init());
        match self.acme.fleet.keep() {
            Ok(holder) => {
                println!("\nThe machines stay up. To look around:");
                println!("  on the host:      nsenter -t {biz} -a writ status");
                println!(
                    "                    nsenter -t {biz} -a journalctl -u writ-agent -u 'writ-*'"
                );
                println!(
                    "                    nsenter -t {biz} -a curl --resolve {WEB}:80:127.0.0.1 http://{WEB}/"
                );
                println!(
                    "  in the workshop:  nsenter -t {workshop} -a git -C /root/deploy log --show-signature"
                );
                println!("To end it all:      kill {holder}");
                std::mem::forget(self);
            }
            Err(why) => eprintln!("demo: cannot keep the machines: {why}"),
        }
    }
}
