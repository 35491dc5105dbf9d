//! `writ new`: drafts a service's file with the fields that most services have.

use std::fmt;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::consequences::{Files, accepted};
use super::service_file::{path_of, refused};
use super::{Blame, Failure, output};
use crate::manifest::Manifest;
use crate::manifest::edit::json_has;
use crate::names::{HostName, Literal, ServiceName};
use crate::source::checkout;
use crate::source::git_program::Checkout;

/// Draft a service's file: manifests/services/SERVICE.toml.
///
/// With the fields that most services have, others as comments, and a placeholder for the
/// closure, which `writ push` puts in. Refused where the service exists, or hosts would
/// refuse the result. Nothing is committed.
///
/// Example: writ new web --host tag:web --domain example.org --port 8000
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The service.
    service: ServiceName,
    /// Where it runs: a host, tag:TAG or "*"; may be repeated (default: the only host).
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<Literal>,
    /// The program in the closure's bin/ (default: the service's name).
    #[arg(long)]
    command: Option<Literal>,
    /// The domain that Caddy serves it under.
    #[arg(long, requires = "port")]
    domain: Option<Literal>,
    /// The port it listens on at 127.0.0.1.
    #[arg(long, requires = "domain", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The deploy repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Drafted<'a> {
    service: &'a ServiceName,
    path: String,
    next: Vec<String>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let checkout = Checkout::at(checkout::root_of(&args.repo));
    let (service, path) = (&args.service, path_of(&args.service));
    let mut files = checkout::working_tree(checkout.root())?;
    is_new(&files, service)?;
    let text = args.text(&hosts(args, &files)?);
    files.insert(path.clone(), text.clone().into_bytes());
    accepted(&files)?;
    checkout.put(&path, &text, 0o644)?;
    let next = vec![
        format!("look through {path}"),
        format!("writ push {service} --installable .#{service}"),
    ];
    output::answer(&Drafted { service, path, next })
}

fn is_new(files: &Files, service: &ServiceName) -> Result<(), Failure> {
    let path = path_of(service);
    let profile = format!("manifests/profiles/{service}.toml");
    let json = "manifests/manifest.json";
    let there = [path, profile].into_iter().find(|path| files.contains_key(path));
    let there = there.or_else(|| {
        files.get(json).is_some_and(|text| json_has(text, service)).then(|| json.to_owned())
    });
    match there {
        None => Ok(()),
        Some(path) => {
            let hint = format!("nothing was changed; writ push {service} gives it another closure");
            Err(refused(format!("{service} is there already, in {path}"), Some(hint)))
        }
    }
}

/// Where it runs.
fn hosts(args: &Args, files: &Files) -> Result<Vec<String>, Failure> {
    if !args.hosts.is_empty() {
        return Ok(args.hosts.iter().map(ToString::to_string).collect());
    }
    let known = Manifest::draft(files).map(|manifest| manifest.hosts()).unwrap_or_default();
    let known: Vec<&str> = known.iter().map(HostName::as_str).collect();
    match &known[..] {
        [only] => Ok(vec![(*only).to_owned()]),
        known => Err(Failure {
            message: format!("it is not known where {} is to run", args.service),
            hint: Some(match known.is_empty() {
                true => "name a host with --host, once there is one: writ host add HOST".to_owned(),
                false => format!("name it with --host; there are: {}", known.join(", ")),
            }),
            blame: Blame::Usage,
        }),
    }
}

impl Args {
    fn text(&self, hosts: &[String]) -> String {
        let hosts: Vec<String> = hosts.iter().map(|host| quoted(host)).collect();
        let service = &self.service;
        let command = self.command.as_ref().map_or(service.as_str(), Literal::as_str);
        let listens = match self.port {
            Some(port) => format!("args    = [\"--listen\", \"127.0.0.1:{port}\"]"),
            None => "# args  = [\"--listen\", \"127.0.0.1:8000\"]".to_owned(),
        };
        let http = match (&self.domain, self.port) {
            (Some(domain), Some(port)) => format!(
                "[http]                                  # a route in Caddy, with a certificate\ndomain       = {}\ninternalPort = {port}\n\n[health]\npath       = \"/\"                        # below 400 is healthy …\nhealthyFor = \"10s\"                      # … for this long without a break\n",
                quoted(domain.as_str())
            ),
            _ => HTTP.to_owned(),
        };
        format!(
            "hosts = [{}]\n# envFile   = \"/var/lib/secrets/{service}.env\"   # on the host, out of band\n# dependsOn = [\"migrate\"]                # started and healthy before this one\n\n[artifact]                              # writ push puts the closure in\nstorePath = \"/nix/store/{}-{service}\"\n\n[exec]\ncommand = {:<30}# a program in the closure's bin/\n{listens}\n\n# [env]\n# AREA = \"live\"\n\n{http}",
            hosts.join(", "),
            "0".repeat(32),
            quoted(command),
        )
    }
}

/// For a service that is told no domain.
const HTTP: &str = "# [http]                                # a route in Caddy, with a certificate\n# domain       = \"example.org\"\n# internalPort = 8000\n\n# [health]\n# path       = \"/\"                       # below 400 is healthy …\n# healthyFor = \"10s\"                     # … for this long without a break\n";

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

impl fmt::Display for Drafted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "wrote {}", self.path)?;
        self.next.iter().try_for_each(|next| writeln!(f, "next: {next}"))
    }
}
