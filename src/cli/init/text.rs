//! The files of a new deploy repository, and what a host pins.

use std::fmt;
use std::path::Path;

use super::{Hooks, Plan};

pub(super) const SIGNERS_PATH: &str = ".writ/allowed_signers";
const RULES_PATH: &str = ".writ/policy.toml";

/// What git runs in a checkout.
pub(super) const HOOKS: [(&str, &str); 2] = [
    ("pre-commit", include_str!("../../../hooks/pre-commit")),
    ("pre-push", include_str!("../../../hooks/pre-push")),
];

const GUIDE: &str = include_str!("guide.md");
const WORKFLOW: &str = include_str!("workflow.yml");

impl Plan {
    pub(super) fn channel(&self) -> String {
        format!("{}:{}", self.id, self.branch)
    }

    pub(super) fn signers(&self) -> String {
        let (name, key) = (&self.principal, self.key.public());
        format!(
            "# Who may sign, in OpenSSH's ALLOWED SIGNERS format; what each may change is in policy.toml.\n{name} namespaces=\"git,writ-approve\" {key}\n"
        )
    }

    pub(super) fn rules(&self) -> String {
        let (channel, name) = (self.channel(), toml_key(self.principal.as_str()));
        format!(
            r#"# What each signer may change. Hosts refuse what nothing here grants.
channel = "{channel}"                # with the branch's name; every host pins it

[principals.{name}]
roles  = ["admin"]                   # may change .writ/
grants = ["**"]                      # and every other path
may    = "everything"                # whatever a service asks of its hosts

# Add people with `writ trust add-signer`:
#
#     writ trust add-signer bob --key bob.pub --grant 'manifests/services/web*.toml' \
#         --may hosts=tag:web
#
# What a service asks of a host beyond the closed default (an account, a capability, a path,
# another host …) takes a `may`: man writ-trust-add-signer.
#
# A key that may only move closures, for CI:
#
#     [principals.ci]
#     grants = ["manifests/services/**"]
#     only   = ["artifact", "revision"]
#
# Two people for what matters most, once there are two administrators:
#
#     [[protect]]
#     paths     = [".writ/**"]
#     threshold = 2
"#
        )
    }

    /// The files that the introduction holds, by path.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let mut files = vec![
            (SIGNERS_PATH.to_owned(), self.signers()),
            (RULES_PATH.to_owned(), self.rules()),
            ("manifests/README.md".to_owned(), GUIDE.replace("HOST", self.hosts[0].as_str())),
            (".github/workflows/writ.yml".to_owned(), self.workflow()),
            (".forgejo/workflows/writ.yml".to_owned(), self.workflow()),
        ];
        for host in &self.hosts {
            let path = format!("manifests/hosts/{host}.toml");
            files.push((
                path,
                "# Services can name hosts by tag: hosts = [\"tag:web\"]\ntags = []\n".to_owned(),
            ));
        }
        files
    }

    fn workflow(&self) -> String {
        WORKFLOW.replace("BRANCH", self.branch.as_str())
    }

    /// What was done.
    pub(super) fn told(&self, hooks: &Hooks, root: &Path) -> String {
        format!(
            "a deploy repository in {}; {hooks}\n{} ({}) is its administrator\n",
            root.display(),
            self.principal,
            self.key.fingerprint()
        )
    }
}

impl fmt::Display for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared(folder) => write!(
                f,
                "no hook installed: git's core.hooksPath is {folder}, which need not be this repository's alone"
            ),
            Self::Installed(hooks) if hooks.is_empty() => {
                f.write_str("no hook installed: yours are there")
            }
            Self::Installed(hooks) => write!(f, "hooks installed: {}", hooks.join(", ")),
        }
    }
}

/// A name as the key of a TOML table.
fn toml_key(name: &str) -> String {
    let bare = name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if bare { name.to_owned() } else { toml_edit::Value::from(name).to_string() }
}
