//! URLs of git servers, without anything in them that would make a program do more
//! than fetch.

use std::fmt;
use std::str::FromStr;

use gix::url::{Scheme, Url};

/// A URL that was looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitUrl {
    text: String,
    scheme: GitScheme,
}

/// What is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitScheme {
    Https,
    Http,
    Ssh,
    File,
}

/// Where an SSH server is, and what is fetched from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SshPlace {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
}

const SCHEMES: [(&str, GitScheme); 4] = [
    ("https://", GitScheme::Https),
    ("http://", GitScheme::Http),
    ("ssh://", GitScheme::Ssh),
    ("file:///", GitScheme::File),
];

impl GitUrl {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn scheme(&self) -> GitScheme {
        self.scheme
    }

    /// Its parts for an SSH client.
    pub(super) fn ssh_place(&self) -> Result<SshPlace, String> {
        let url = parts(&self.text)?;
        let path = String::from_utf8(url.path.to_vec()).map_err(|_| "its path is not UTF-8")?;
        Ok(SshPlace {
            user: url.user().map(str::to_owned),
            host: url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: url.port,
            // As git itself has it: `/~alice/x` begins at alice's home.
            path: path.strip_prefix('/').filter(|p| p.starts_with('~')).unwrap_or(&path).to_owned(),
        })
    }

    /// The server's name, as a netrc has it.
    pub(super) fn host(&self) -> Option<String> {
        parts(&self.text).ok()?.host().map(str::to_owned)
    }
}

impl FromStr for GitUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("a URL holds no blanks and no control characters".to_owned());
        }
        let scheme = SCHEMES.iter().find(|(begins, _)| text.starts_with(begins));
        let Some((_, scheme)) = scheme else { return Err(unknown(text)) };
        let url = parts(text)?;
        if *scheme != GitScheme::File {
            check_host(&url)?;
        }
        check_user(&url, *scheme)?;
        Ok(Self { text: text.to_owned(), scheme: *scheme })
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parts(text: &str) -> Result<Url, String> {
    let url = gix::url::parse(text).map_err(|error| format!("it is no URL: {error}"))?;
    let known = matches!(url.scheme, Scheme::Https | Scheme::Http | Scheme::Ssh | Scheme::File);
    if known { Ok(url) } else { Err(unknown(text)) }
}

fn unknown(text: &str) -> String {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    match (scheme, text.split_once(':')) {
        (None, Some((host, path))) if !host.contains('/') && !path.starts_with(':') => {
            "write an SSH server as ssh://user@host/path".to_owned()
        }
        _ => "it has to begin with https://, http://, ssh:// or file:///".to_owned(),
    }
}

fn check_host(url: &Url) -> Result<(), String> {
    let host = url.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let known = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    if bare.is_empty() || bare.starts_with('-') || !bare.chars().all(known) {
        return Err(format!("{host:?} is no server's name"));
    }
    Ok(())
}

/// Programs that are given such a URL show it to whoever looks.
fn check_user(url: &Url, scheme: GitScheme) -> Result<(), String> {
    if url.password().is_some() {
        return Err("a URL is no place for a password: everybody can read it in logs and in the list of processes; put USER:TOKEN into a file and name it with tokenFile".to_owned());
    }
    match (url.user(), scheme) {
        (None, _) => Ok(()),
        (Some(user), GitScheme::Ssh) => {
            let known = |c: char| c.is_ascii_alphanumeric() || "._-+@".contains(c);
            if user.is_empty() || user.starts_with('-') || !user.chars().all(known) {
                return Err(format!("{user:?} is no user's name"));
            }
            Ok(())
        }
        (Some(_), GitScheme::Https | GitScheme::Http | GitScheme::File) => {
            Err("a user's name belongs in the file that tokenFile names, as USER:TOKEN".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_a_server_is_taken() {
        for (text, scheme) in [
            ("https://git.example.org/acme/deploy.git", GitScheme::Https),
            ("https://git.example.org:8443/deploy", GitScheme::Https),
            ("http://[::1]:3000/deploy.git", GitScheme::Http),
            ("ssh://git@git.example.org:2222/acme/deploy.git", GitScheme::Ssh),
            ("ssh://git.example.org/~alice/deploy.git", GitScheme::Ssh),
            ("file:///srv/git/deploy.git", GitScheme::File),
        ] {
            let url: GitUrl = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((url.scheme(), url.as_str()), (scheme, text));
        }
    }

    #[test]
    fn each_mistake_is_told() {
        let told: Vec<String> = [
            "ext::sh -c id",
            "ext::sh",
            "git://git.example.org/deploy.git",
            "git@git.example.org:acme/deploy.git",
            "/srv/git/deploy.git",
            "file://srv/git",
            "ssh://-oProxyCommand=id/x",
            "ssh://git@-oProxyCommand=id/x",
            "ssh://-ofoo@git.example.org/x",
            "ssh://git:s3cret@git.example.org/x",
            "https://bob:s3cret@git.example.org/x",
            "https://bob@git.example.org/x",
            "https:///x",
            "https://git.example.org/a b",
            "https://git.example.org/a\nb",
            "ssh://a;id/x",
        ]
        .iter()
        .map(|url| format!("{url:?}\n    {}", url.parse::<GitUrl>().unwrap_err()))
        .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn an_ssh_url_is_taken_apart_as_git_does() {
        let place = |text: &str| text.parse::<GitUrl>().unwrap().ssh_place().unwrap();
        let plain =
            place("ssh://git@git.example.org:2222/srv/x y'.git".replace(' ', "%20").as_str());
        assert_eq!((plain.user.as_deref(), plain.port), (Some("git"), Some(2222)));
        assert_eq!((&*plain.host, &*plain.path), ("git.example.org", "/srv/x y'.git"));
        assert_eq!(place("ssh://h/~alice/x").path, "~alice/x");
        assert_eq!(place("ssh://[::1]/x").host, "::1");
    }
}
