//! What looks like a secret, which never is written into a manifest.

use super::words::texts;

/// Parts of names whose values are withheld.
const PARTS: [&str; 8] =
    ["TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "KEY", "CREDENTIAL", "PRIVATE"];

/// Whether a variable's value should not be in git: by its name, or as it carries a
/// password in an address. The path of a file with a secret is none.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let path = value.starts_with('/')
        && ["FILE", "PATH", "DIR", "DIRECTORY"].iter().any(|end| upper.ends_with(end));
    (PARTS.iter().any(|part| upper.contains(part)) || upper.ends_with("_PASS")) && !path
        || has_password(value)
}

/// `scheme://user:password@host`
fn has_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', ' ']).next().unwrap_or_default();
        authority
            .rsplit_once('@')
            .and_then(|(user, _)| user.split_once(':'))
            .is_some_and(|(_, password)| !password.is_empty())
    })
}

/// Which of a program's arguments give a secret away: `--token=x`, or the word behind
/// `--token`.
pub(super) fn secret_args(args: &[String]) -> Vec<bool> {
    let mut found = vec![false; args.len()];
    for (at, arg) in args.iter().enumerate() {
        let option = arg.strip_prefix('-').unwrap_or_default().trim_start_matches('-');
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let is_path = |value: &str| value.starts_with('/');
        if !value.is_empty() {
            found[at] = is_secret(name, value) && !is_path(value);
        } else if !name.is_empty()
            && is_secret(name, "")
            && let Some(next) = args.get(at + 1).filter(|next| !next.starts_with('-'))
            && !is_path(next)
        {
            (found[at], found[at + 1]) = (true, true);
        }
        found[at] |= has_password(arg)
            || arg
                .split_once('=')
                .is_some_and(|(n, v)| is_secret(n.trim_start_matches('-'), v) && !is_path(v));
    }
    found
}

/// A setting's value as a comment may repeat it.
pub(super) fn redacted(key: &str, value: &str) -> String {
    let told = if key.starts_with("SetCredential") {
        let name = value.split(':').next().unwrap_or_default();
        format!("{name}:…")
    } else {
        let Some(words) = texts(value) else { return "…".to_owned() };
        let secret = secret_args(&words);
        let shown =
            words.iter().zip(secret).map(|(word, secret)| match (secret, word.split_once('=')) {
                (true, Some((name, _))) => format!("{name}=…"),
                (true, None) if word.starts_with('-') => word.clone(),
                (true, None) => "…".to_owned(),
                (false, _) => word.clone(),
            });
        shown.collect::<Vec<_>>().join(" ")
    };
    told.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names_and_addresses() {
        for (name, value) in [
            ("API_TOKEN", "x"),
            ("db_password", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("SIGNING_KEY", "/not/a/path/in/truth"),
            ("SMTP_PASS", "x"),
            ("DATABASE_URL", "postgres://shop:hunter2@db/shop"),
        ] {
            assert!(is_secret(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("PORT", "8000"),
            ("API_TOKEN_FILE", "/run/secrets/token"),
            ("DATABASE_URL", "postgres:///shop?host=/run/postgresql"),
            ("BASE_URL", "https://example.org/a:b@c"),
        ] {
            assert!(!is_secret(name, value), "{name}={value}");
        }
    }

    #[test]
    fn what_a_comment_repeats_has_no_secret_in_it() {
        for (key, value, told) in [
            ("ExecStartPre", "/bin/login --password hunter2 -u x", "/bin/login --password … -u x"),
            ("ExecStop", "/bin/x --api-token=hunter2 y", "/bin/x --api-token=… y"),
            ("SetCredential", "db:hunter2", "db:…"),
            ("ExecStop", "/bin/env TOKEN=hunter2 y", "/bin/env TOKEN=… y"),
            ("ExecStop", "/bin/x --password 'hunter two' y", "/bin/x --password … y"),
            ("ExecStop", "/bin/x --password 'hunter two", "…"),
            ("ExecStop", "/bin/x https://a:hunter2@b/", "/bin/x …"),
            ("ExecStop", "/bin/x --tls-key /etc/key.pem", "/bin/x --tls-key /etc/key.pem"),
        ] {
            assert_eq!(redacted(key, value), told);
        }
    }
}
