use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::manifest::{Manifest, WorkingTree};
use crate::plan::assume::assumed;
use crate::plan::observed::ObservedRoutes;

/// One service as a test asks for it.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    version: u8,
    value: u8,
    port: u16,
    header: u8,
    /// How long it is watched, which changes nothing.
    healthy_for: u8,
}

type All = BTreeMap<String, Asked>;

fn desired(all: &All) -> Desired<WorkingTree> {
    let file = |(name, asked): (&String, &Asked)| {
        let Asked { version, value, port, header, healthy_for } = asked;
        let text = format!(
            "hosts = [\"biz\"]\n[artifact]\nstorePath = \"/nix/store/1b9p0v3zk2c8s7d5h4w6x1y0n3m2q9rf-{name}-{version}\"\n[exec]\ncommand = \"run\"\n[env]\nVALUE = \"{value}\"\n[http]\ndomain = \"{name}.example.org\"\ninternalPort = {port}\nheaders = {{ X-Test = \"{header}\" }}\n[health]\nhealthyFor = \"{healthy_for}s\"\n"
        );
        (format!("manifests/services/{name}.toml"), text.into_bytes())
    };
    let host = ("manifests/hosts/biz.toml".to_owned(), Vec::new());
    let files = all.iter().map(file).chain([host]).collect();
    Manifest::draft(&files).unwrap().desired(&"biz".parse().unwrap())
}

fn asked() -> impl Strategy<Value = All> {
    let one = (0..3_u8, 0..2_u8, 0..2_u8, 0..2_u8);
    proptest::collection::vec(proptest::option::of(one), 3).prop_map(|services| {
        let named = services.into_iter().enumerate().filter_map(|(n, one)| {
            let (version, value, header, healthy_for) = one?;
            let port = 8000 + u16::try_from(n).unwrap();
            Some((format!("s{n}"), Asked { version, value, port, header, healthy_for }))
        });
        named.collect()
    })
}

/// What of a manifest changes a host.
fn that_matters(all: &All) -> All {
    let mut all = all.clone();
    all.values_mut().for_each(|one| one.healthy_for = 0);
    all
}

fn way(from: &All, to: &All) -> Outline {
    outline(&desired(to), &assumed(&desired(from)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same change has the same digest, on a host where nothing runs, where Caddy has
    /// routes of others, and where nothing has been fetched.
    #[test]
    fn a_digest_does_not_depend_on_the_moment(from in asked(), to in asked()) {
        let (old, new) = (desired(&from), desired(&to));
        let mut host = assumed(&old);
        host.store.rooted.clear();
        host.store.verified.clear();
        host.units.values_mut().for_each(|unit| unit.state = UnitState::Failed);
        let foreign = json!({ "apps": { "http": { "servers": { "theirs": {
            "listen": [":443"],
            "routes": [{ "match": [{ "host": ["x.example.com"] }], "handle": [{ "handler": "static_response" }] }],
        } } } } });
        // What Caddy can do is known to the host alone.
        let features = Features { stream_close_delay: true };
        let merged = routes::merge(&foreign, old.services.values(), features);
        let config = merged.config.unwrap_or(foreign);
        host.routes = ObservedRoutes::Up { etag: "x".to_owned(), config, features };
        prop_assert_eq!(outline(&new, &host).digest(), way(&from, &to).digest());
    }

    /// Another change from the same start has another digest.
    #[test]
    fn a_digest_tells_changes_apart(from in asked(), one in asked(), other in asked()) {
        let same = that_matters(&one) == that_matters(&other);
        prop_assert_eq!(way(&from, &one).digest() == way(&from, &other).digest(), same);
        let unchanged = that_matters(&from) == that_matters(&one);
        prop_assert_eq!(way(&from, &one).is_empty(), unchanged);
    }
}

fn only(asked: Asked) -> All {
    BTreeMap::from([("web".to_owned(), asked)])
}

const WEB: Asked = Asked { version: 1, value: 1, port: 8000, header: 1, healthy_for: 1 };

/// Signed commits have these: another form takes another name.
#[test]
fn the_form_stays_as_it_is() {
    let way = way(&only(WEB), &only(Asked { version: 2, header: 2, ..WEB }));
    let steps: Vec<String> = way.lines.iter().map(|line| line.step.to_string()).collect();
    insta::assert_snapshot!(format!("{}\n{}", steps.join("\n"), way.digest()));
}

#[test]
fn the_first_step_that_differs_is_told_in_words() {
    let from = only(WEB);
    let one = way(&from, &only(Asked { version: 2, ..WEB }));
    let other = way(&from, &only(Asked { value: 2, ..WEB }));
    let words = |here: &str, there: &str| Some((here.to_owned(), there.to_owned()));
    assert_eq!(one.differs(&other), words("switch web web-1 → web-2", "restart web"));
    assert_eq!(one.differs(&one), None);
    assert_eq!(Outline::default().differs(&other), words("nothing", "restart web"));
}
