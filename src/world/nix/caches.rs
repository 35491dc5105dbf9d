//! The caches of a host's config in their order, and those of them that answer.
//!
//! One that does not answer would keep nix for ten seconds and more, in each round. So
//! all are asked a small thing first, side by side; who says nothing is left out, and
//! is remembered. It is asked again after a while, or at once where no other cache has
//! what is wanted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Client;
use tokio::time::timeout;

use super::NixConfig;
use super::away::Memory;
use super::check::INFO;
use super::conduct::Conduct;
use super::gateway::Gateway;
use crate::fault::{Fault, causes};
use crate::world::certificate::explained;
use crate::world::shelf::location;
use crate::world::stock::{Denial, Stock};

/// Who has answered until now gets this long.
const GRACE: Duration = Duration::from_millis(1500);
/// Who has not holds nobody up.
const SHORT: Duration = Duration::from_millis(300);
/// Where there is no choice.
const PATIENCE: Duration = Duration::from_secs(5);
/// What nix gives a cache that says nothing (`src/libstore/store-api.hh`).
const USUAL: u32 = 50;

/// One cache.
pub(super) struct Cache {
    /// As the host's config has it.
    pub(super) name: String,
    /// As nix is given it.
    pub(super) url: String,
    stock: Option<Arc<dyn Stock>>,
    state: State,
    /// How it kept this host from something that nix takes for absent.
    denied: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Unasked,
    Well,
    /// It may be slow; the fault says what came of the last question.
    Silent(Fault),
    /// It said itself that it is of no use.
    Ill(Fault),
}

/// The caches of one download. Whatever serves them ends with it.
pub(super) struct Caches {
    all: Vec<Cache>,
    gateway: Option<Gateway>,
}

impl Caches {
    /// Reads the config; asks nobody.
    pub(super) async fn of(config: &NixConfig) -> Self {
        let (mut all, mut stocks) = (Vec::new(), Vec::new());
        for name in ordered(&config.substituters) {
            let (mut stock, mut state) = (None, State::Unasked);
            if name.starts_with("s3://") {
                match config.keeper.find(name) {
                    Ok(found) => stock = Some(found),
                    Err(fault) => state = State::Ill(fault),
                }
            }
            stocks.extend(stock.clone());
            let (name, url) = (name.clone(), name.clone());
            all.push(Cache { name, url, stock, state, denied: None });
        }
        let mut caches = Self { all, gateway: None };
        if !stocks.is_empty() {
            caches.serve(stocks).await;
        }
        caches
    }

    async fn serve(&mut self, stocks: Vec<Arc<dyn Stock>>) {
        let opened = Gateway::open(stocks).await;
        let with_stock = self.all.iter_mut().filter(|cache| cache.stock.is_some());
        for (number, cache) in with_stock.enumerate() {
            match &opened {
                Ok(gateway) => cache.url = gateway.url(number) + query(&cache.name),
                Err(error) => {
                    let fault = Fault::wait("listen on the loopback interface", error);
                    cache.state = State::Ill(fault);
                }
            }
        }
        self.gateway = opened.ok();
    }

    /// For what is there already: nix asks nobody then.
    pub(super) fn trust_all(&mut self) {
        let unasked = self.all.iter_mut().filter(|cache| cache.state == State::Unasked);
        unasked.for_each(|cache| cache.state = State::Well);
    }

    /// Finds out who answers: those that did not lately only in passing, unless nobody
    /// else does.
    pub(super) async fn look(&mut self, http: Option<&Client>, memory: &Memory) {
        let asked = self.all.iter().enumerate().filter(|(_, cache)| cache.state == State::Unasked);
        let patience = |name: &str| match memory.knows(name) {
            None => Some(GRACE),
            Some(away) if away.is_over() => Some(SHORT),
            Some(_) => None,
        };
        let asked: Vec<_> =
            asked.filter_map(|(n, cache)| Some((n, patience(&cache.name)?))).collect();
        self.ask(http, asked).await;
        if !self.all.iter().any(|cache| cache.state == State::Well) {
            self.look_again(http).await;
        }
    }

    /// Who could not be used is left alone for a while.
    pub(super) fn remember(&self, memory: &Memory) {
        memory.learn(self.all.iter().filter_map(Cache::told));
    }

    /// Leaves out those that answer, and not as a cache does. Returns whether there are any.
    pub(super) fn leave_out(&mut self, conduct: &Conduct) -> bool {
        let known = self.fault();
        let mut some = false;
        for cache in self.all.iter_mut().filter(|cache| cache.state == State::Well) {
            cache.denied = conduct.denied(&cache.url);
            let Some(because) = conduct.unusable(&cache.url) else { continue };
            some = true;
            let behind = known.clone().filter(|_| cache.stock.is_some());
            cache.state = State::Ill(behind.unwrap_or_else(|| {
                Fault::wait(format!("read {}", cache.name), because)
                    .remedy("see that the cache is up, and that the URL names its root")
            }));
        }
        some
    }

    /// Asks those once more that said nothing or were not asked, with patience.
    async fn look_again(&mut self, http: Option<&Client>) {
        let silent = |cache: &Cache| matches!(cache.state, State::Unasked | State::Silent(_));
        let asked = self.all.iter().enumerate().filter(|(_, cache)| silent(cache));
        let asked = asked.map(|(n, _)| (n, PATIENCE)).collect();
        self.ask(http, asked).await;
    }

    /// As [`Self::look`] where those that answer do not have everything. Returns whether
    /// there are more of them now.
    pub(super) async fn look_further(&mut self, http: Option<&Client>) -> bool {
        let before = self.urls().len();
        self.look_again(http).await;
        self.urls().len() > before
    }

    async fn ask(&mut self, http: Option<&Client>, asked: Vec<(usize, Duration)>) {
        let cache = |n: usize| &self.all[n];
        let answers = asked.iter().map(|(n, patience)| cache(*n).answers(http, *patience));
        let answers = join_all(answers).await;
        for ((n, _), state) in asked.into_iter().zip(answers) {
            self.all[n].state = state;
        }
    }

    /// Those to be used, as nix is given them, in their order.
    pub(super) fn urls(&self) -> Vec<String> {
        self.used().map(|cache| cache.url.clone()).collect()
    }

    /// The same with their order written out, which otherwise a cache itself can change.
    pub(super) fn numbered(&self) -> String {
        let numbered = self.used().enumerate().map(|(n, cache)| {
            let (location, query) = cache.url.split_once('?').unwrap_or((&cache.url, ""));
            let kept = query.split('&').filter(|pair| pair.starts_with("want-mass-query="));
            let kept: String = kept.map(|pair| format!("&{pair}")).collect();
            format!("{location}?priority={}{kept}", n + 1)
        });
        numbered.collect::<Vec<_>>().join(" ")
    }

    fn used(&self) -> impl Iterator<Item = &Cache> {
        self.all.iter().filter(|cache| cache.state == State::Well)
    }

    /// Whether nix's list of caches has to stay out of sight.
    pub(super) fn are_secret(&self) -> bool {
        self.gateway.is_some()
    }

    /// Nix's words with the names that people know.
    pub(super) fn plain(&self, text: &str) -> String {
        let Some(gateway) = &self.gateway else { return text.to_owned() };
        let with_stock = self.all.iter().filter(|cache| cache.stock.is_some());
        with_stock.enumerate().fold(text.to_owned(), |text, (n, cache)| {
            let name = cache.name.split('?').next().unwrap_or_default();
            text.replace(&gateway.url(n), name)
        })
    }

    /// Who was asked, and who was not and why.
    pub(super) fn told(&self) -> String {
        let used: Vec<&str> = self.used().map(|cache| cache.name.as_str()).collect();
        let asked = match used[..] {
            [] => "no cache could be asked".to_owned(),
            _ => format!("asked: {}", used.join(", ")),
        };
        std::iter::once(asked).chain(self.left_out()).collect::<Vec<_>>().join("; ")
    }

    fn left_out(&self) -> impl Iterator<Item = String> {
        self.all.iter().filter_map(|cache| match &cache.state {
            State::Well => None,
            State::Unasked => Some(format!("left out: {}", cache.name)),
            State::Silent(fault) | State::Ill(fault) => {
                Some(format!("{}: {}", fault.because, cache.name))
            }
        })
    }

    /// How caches that were asked keep this host out, where one does.
    pub(super) fn denials(&self) -> Option<String> {
        let denied = self.used().filter_map(|cache| {
            cache.denied.as_ref().map(|because| format!("{because}: {}", cache.name))
        });
        let denied: Vec<String> = denied.collect();
        (!denied.is_empty()).then(|| denied.join("; "))
    }

    /// # Errors
    /// There are caches, and none of them can be used.
    pub(super) fn some_answer(&self, doing: &str) -> Result<(), Fault> {
        if self.all.is_empty() || self.used().next().is_some() {
            return Ok(());
        }
        let why: Vec<String> = self.left_out().collect();
        let ill = self.all.iter().any(|cache| matches!(cache.state, State::Ill(_)));
        let verb = if ill { "used" } else { "reached" };
        let because = format!("the host's caches cannot be {verb}: {}", why.join("; "));
        let usual = "look at the network and at the caches of this host's config";
        let remedy = self.all.iter().find_map(|cache| match &cache.state {
            State::Ill(fault) | State::Silent(fault) => fault.remedy.clone(),
            State::Well | State::Unasked => None,
        });
        let remedy = remedy.unwrap_or_else(|| usual.to_owned());
        Err(Fault::wait(doing, because).remedy(remedy).evidence(why))
    }

    /// What keeps a private cache from being read, where that is known.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.gateway.as_ref().and_then(Gateway::fault)
    }

    /// What was wrong so far does not count any more.
    pub(super) fn forget_fault(&self) {
        self.gateway.iter().for_each(Gateway::forget_fault);
    }
}

impl Cache {
    /// For the memory: nothing where it was not asked.
    fn told(&self) -> Option<(&str, Option<&Fault>)> {
        match &self.state {
            State::Unasked => None,
            State::Well => Some((&self.name, None)),
            // A folder is there or not: looking costs nothing.
            State::Ill(_) | State::Silent(_) if self.name.starts_with("file://") => None,
            State::Ill(fault) | State::Silent(fault) => Some((&self.name, Some(fault))),
        }
    }

    async fn answers(&self, http: Option<&Client>, patience: Duration) -> State {
        let doing = format!("read {INFO} of {}", self.name);
        let late = || {
            let because = format!("no answer within {} s", patience.as_secs_f32());
            State::Silent(Fault::wait(&doing, because))
        };
        if let Some(folder) = self.name.strip_prefix("file://") {
            let folder = folder.split('?').next().unwrap_or(folder);
            // Nix would make it, on the disk below an empty mount point.
            return match Path::new(folder).is_dir() {
                true => State::Well,
                false => State::Ill(Fault::wait(doing, "not there")),
            };
        }
        let asked = async {
            match (&self.stock, http) {
                (Some(stock), _) => glance(&**stock).await,
                (None, Some(http)) => knock(http, &self.url, &doing).await,
                // Without a client only nix can find out.
                (None, None) => State::Well,
            }
        };
        timeout(patience, asked).await.unwrap_or_else(|_| late())
    }
}

async fn glance(stock: &dyn Stock) -> State {
    match stock.glance(INFO).await {
        Ok(_) => State::Well,
        Err(Denial::Absent | Denial::Beyond) => State::Ill(
            Fault::wait(format!("read {INFO}"), format!("there is no {INFO}"))
                .remedy("see that the URL names the cache's root; `writ upload` makes that file"),
        ),
        Err(Denial::Refused(fault)) => State::Ill(fault),
        Err(Denial::Trouble(fault)) => State::Silent(fault),
    }
}

/// Whatever a server answers for itself is for nix to judge.
async fn knock(http: &Client, url: &str, doing: &str) -> State {
    let answer = http.get(format!("{}/{INFO}", location(url))).send().await;
    match answer {
        Ok(answer) if answer.status().is_server_error() => {
            State::Silent(Fault::wait(doing, format!("it answered {}", answer.status())))
        }
        Ok(_) => State::Well,
        Err(error) => State::Silent(explained(Fault::wait(doing, causes(&error.without_url())))),
    }
}

/// Lower numbers first, as nix has it; the order of the config among equals.
fn ordered(substituters: &[String]) -> Vec<&String> {
    let mut ordered: Vec<&String> = substituters.iter().collect();
    ordered.sort_by_key(|url| {
        let query = query(url).trim_start_matches('?');
        let number = query.split('&').find_map(|pair| pair.strip_prefix("priority="));
        number.and_then(|number| number.parse().ok()).unwrap_or(USUAL)
    });
    ordered
}

fn query(url: &str) -> &str {
    url.find('?').map_or("", |at| &url[at..])
}

#[cfg(test)]
mod tests;
