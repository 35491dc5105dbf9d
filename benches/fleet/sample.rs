//! Hosts of the sample: real sources and real servers, with every byte counted.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use writ::source::access::Access;
use writ::source::bundles::{BundleSource, Place};
use writ::source::fetched::{Fetched, Known};
use writ::source::git::GitSource;
use writ::source::roads::Source;

use crate::git_server::GitServer;
use crate::model::Visit;
use crate::server::Answer;
use crate::town::Town;
use crate::wire::Wire;

const DEADLINE: Duration = Duration::from_secs(120);
const SLOW: &str = "<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>";

/// A source's server, with a counted road to it.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    wire: Wire,
    git: Option<GitServer>,
    /// When each request came since the last look, for a bucket.
    times: Arc<Mutex<Vec<Instant>>>,
    /// One for all, so that connections are kept between visits.
    runtime: Runtime,
}

/// A host that remembers what it has, and keeps nothing else.
pub(crate) struct Host {
    source: Source,
    pub(crate) known: Known,
    folder: PathBuf,
}

impl Server {
    pub(crate) fn bucket(town: &Town) -> Self {
        let server = Self::new("bucket", Wire::to(town.server.port), None);
        server.trouble(town, false);
        server
    }

    pub(crate) fn git(town: &Town) -> Self {
        let git = GitServer::of(town.dir.path());
        Self::new("git server", Wire::to(git.port), Some(git))
    }

    fn new(name: &'static str, wire: Wire, git: Option<GitServer>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self { name, wire, git, times: Arc::default(), runtime: runtime.unwrap() }
    }

    /// From now on it answers 503, or is well.
    pub(crate) fn trouble(&self, town: &Town, trouble: bool) {
        if let Some(git) = &self.git {
            return git.trouble(trouble);
        }
        let times = Arc::clone(&self.times);
        town.server.rule(move |_, _| {
            times.lock().unwrap().push(Instant::now());
            if trouble { Answer::Status(503, SLOW) } else { Answer::Normal }
        });
    }

    pub(crate) fn host(&self, town: &Town, number: usize) -> Host {
        let folder = town.path("hosts").join(format!("{}-{number}", self.name));
        let branch = "main".parse().unwrap();
        let at = format!("http://127.0.0.1:{}", self.wire.port);
        let source = match &self.git {
            Some(_) => Source::Git(GitSource {
                url: format!("{at}/deploy/.git").parse().unwrap(),
                access: Access::Open,
                branch,
                deadline: DEADLINE,
                program: env!("CARGO_BIN_EXE_writ").into(),
            }),
            None => {
                let keys = town.path("home/keys");
                let credentials = Some(keys.to_str().unwrap().parse().unwrap());
                let url = format!("s3://acme-deploy/live/main?endpoint={at}");
                let place = Place { url, credentials };
                Source::Bundles(BundleSource::at(place, branch, DEADLINE).unwrap())
            }
        };
        Host { source, known: Known::default(), folder }
    }

    /// One look of a host, and what it took; the connections that were opened for it.
    pub(crate) fn visit(&self, host: &mut Host) -> (Visit, u64) {
        // What went before is not counted.
        self.wire.count();
        self.asked();
        let fetched = self.runtime.block_on(host.source.fetch(&host.known, &host.folder));
        if let Ok(Fetched::Packs { tip, statements, .. }) = fetched {
            let tips = [&tip].into_iter().chain(statements.ids()).cloned().collect();
            host.known = Known { tips, have: vec![tip] };
            // What is done with the packs costs the server nothing.
            std::fs::remove_dir_all(&host.folder).unwrap();
        }
        let (counted, asked) = (self.wire.count(), self.asked());
        let first = asked.first().copied().unwrap_or_else(Instant::now);
        let requests = asked.iter().map(|at| *at - first).collect();
        (Visit { requests, up: counted.up, down: counted.down }, counted.connections)
    }

    /// The CPU that a git server's git takes for a host's look; the host learns nothing.
    pub(crate) fn cpu(&self, host: &Host, times: u32) -> Option<Duration> {
        let git = self.git.as_ref()?;
        git.asked();
        let fetched = self.runtime.block_on(host.source.fetch(&host.known, &host.folder));
        fetched.unwrap();
        let _ = std::fs::remove_dir_all(&host.folder);
        Some(git.cpu(times))
    }

    fn asked(&self) -> Vec<Instant> {
        match &self.git {
            Some(git) => git.asked(),
            None => std::mem::take(&mut *self.times.lock().unwrap()),
        }
    }
}
