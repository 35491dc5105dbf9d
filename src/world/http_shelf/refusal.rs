//! What a cache's refusals mean, and what a person does about them.

use reqwest::StatusCode;

use super::HttpShelf;
use crate::fault::Fault;
use crate::world::certificate::explained;

impl HttpShelf {
    pub(super) fn lost(&self, doing: &str, name: &str, because: &str) -> Fault {
        explained(Fault::wait(self.doing(doing, name), because).remedy("see that the cache is up"))
    }

    pub(super) fn refused(&self, doing: &str, name: &str, status: StatusCode) -> Fault {
        let doing = self.doing(doing, name);
        let refuse = |because: &str, remedy: &str| {
            Fault::refuse(&doing, format!("{because} ({status})")).remedy(remedy)
        };
        match status.as_u16() {
            401 | 403 => refuse(self.unwelcome(status), &self.password()),
            405 | 501 => refuse(
                "it takes no uploads",
                "name a cache that takes PUT, or bring it there by other means and then writ push --no-upload",
            ),
            409 => refuse(
                "it has no folder to put it in",
                "have the server make folders, or make it there",
            ),
            413 => refuse("it takes no file of this size", "raise the server's limit"),
            507 => Fault::wait(&doing, format!("it has no room left ({status})"))
                .remedy("make room there"),
            300..=399 => refuse("it sends uploads elsewhere", "name with --to where it sends them"),
            500.. => Fault::wait(&doing, format!("it answered {status}"))
                .remedy("see that the cache is up, and what the log of its server says"),
            _ => refuse("it does not take it", "see the log of the cache's server"),
        }
    }

    fn unwelcome(&self, status: StatusCode) -> &'static str {
        match (status, &self.login) {
            (StatusCode::UNAUTHORIZED, Ok(None) | Err(_)) => "it asks for a password",
            (StatusCode::UNAUTHORIZED, Ok(Some(_))) => "it does not know this user and password",
            _ => "it does not allow that",
        }
    }

    fn password(&self) -> String {
        let (host, file) = (&self.host, self.netrc.path().display());
        match &self.login {
            Err(why) => {
                format!("nix's netrc-file cannot be used ({why}); name one that can, with --netrc")
            }
            Ok(Some(_)) => {
                format!("see what {file} says of {host}, and what the server allows that user")
            }
            Ok(None) => format!(
                "{file} names no user for {host}: write `machine {host} login … password …` there, or name another file with --netrc"
            ),
        }
    }

    fn doing(&self, doing: &str, name: &str) -> String {
        format!("{doing} {}/{name}", self.place)
    }
}
