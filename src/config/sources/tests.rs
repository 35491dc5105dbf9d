use super::*;

fn text(repository: &str, sources: &str) -> String {
    let (commit, key) = ("a".repeat(40), "b".repeat(43));
    format!(
        "host = \"biz\"\n[repository]\nid = \"acme\"\nbranch = \"main\"\nintroduction = \"{commit}\"\nintroducer = \"SHA256:{key}\"\n{repository}\n{sources}"
    )
}

fn read(sources: &str) -> Result<Config, String> {
    Config::parse(&text("", sources))
}

#[test]
fn a_folder_is_one_that_kits_come_to_and_may_do_without_receipts() {
    let config = read(
        "[[source]]\nurl = \"dir:///media/stick/kit\"\n\n[[source]]\nurl = \"dir:///srv/kit\"\nreceipt = false\n\n[[source]]\nurl = \"s3://acme/main\"\n",
    )
    .unwrap();
    assert_eq!(config.kits(), ["/media/stick/kit", "/srv/kit"].map(PathBuf::from));
    assert_eq!(config.receipts().len(), 1);
    let stray = read("[[source]]\nurl = \"s3://acme/main\"\nreceipt = true\n").unwrap_err();
    assert!(stray.contains("receipt means something for dir:/// only"), "{stray}");
}

#[test]
fn every_kind_of_source_is_read() {
    let config = read(
        r#"
[[source]]
name = "forge"
url = "https://git.example.org/acme/deploy.git"
tokenFile = "credential:forge-token"
clientCertificate = "/etc/writ/client.pem"
clientKey = "/etc/writ/client.key"
ca = "/etc/writ/ca.pem"
proxy = "http://proxy.example.org:3128"
deadline = "30s"

[[source]]
name = "office"
url = "ssh://git@git.office.example:2222/deploy.git"
keyFile = "/etc/writ/id_ed25519"
knownHosts = "/etc/writ/known_hosts"

[[source]]
url = "s3://acme-deploy/main?region=eu-west-1"
credentialsFile = "credential:bucket"

[[source]]
url = "dir:///media/stick/kit"

[[source]]
url = "file:///srv/git/deploy.git"

[[source]]
url = "https://mirror.example.org/deploy.git"
netrc = "/etc/writ/netrc"
"#,
    )
    .unwrap();
    let names: Vec<String> = config.sources().into_iter().map(|road| road.name).collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    forge
    office
    s3://acme-deploy/main
    dir:///media/stick/kit
    file:///srv/git/deploy.git
    https://mirror.example.org/deploy.git
    ");
    assert_eq!(config.git_url().unwrap().as_str(), "https://git.example.org/acme/deploy.git");
}

#[test]
fn the_short_form_is_the_first_source() {
    let short = "url = \"https://git.example.org/deploy.git\"";
    let both = text(short, "[[source]]\nname = \"stick\"\nurl = \"dir:///media/stick\"\n");
    let names: Vec<_> =
        Config::parse(&both).unwrap().sources().into_iter().map(|road| road.name).collect();
    assert_eq!(names, ["https://git.example.org/deploy.git", "stick"]);
    let one = Config::parse(&both).unwrap().with_source("stick").unwrap();
    assert_eq!(one.sources().len(), 1);
    let other = one.with_source("file:///srv/deploy.git").unwrap();
    assert_eq!(other.sources()[0].name, "file:///srv/deploy.git");
    assert!(other.with_source("ssh://git@h/x").unwrap_err().to_string().contains("keyFile"));
}

#[test]
fn each_mistake_is_told_with_its_line() {
    let cases = [
        "",
        "[[source]]\nname = \"forge\"\n",
        "[[source]]\nurl = \"git://h/x\"\n",
        "[[source]]\nurl = \"ext::sh -c id\"\n",
        "[[source]]\nurl = \"https://bob:s3cret@h/x\"\n",
        "[[source]]\nurl = \"ssh://git@-oProxyCommand=id/x\"\nkeyFile = \"/k\"\nknownHosts = \"/h\"\n",
        "[[source]]\nurl = \"ssh://git@h/x\"\nkeyFile = \"/k\"\n",
        "[[source]]\nurl = \"ssh://git@h/x\"\nkeyFile = \"/k\"\nknownHosts = \"/h h\"\n",
        "[[source]]\nurl = \"http://h/x\"\ntokenFile = \"/t\"\n",
        "[[source]]\nurl = \"https://h/x\"\nkeyFile = \"/k\"\n",
        "[[source]]\nurl = \"https://h/x\"\nclientKey = \"/k\"\n",
        "[[source]]\nurl = \"https://h/x\"\ntokenFile = \"/t\"\nnetrc = \"/n\"\n",
        "[[source]]\nurl = \"https://h/x\"\ntokenFile = \"token\"\n",
        "[[source]]\nurl = \"https://h/x\"\nproxy = \"http://u:p@proxy\"\n",
        "[[source]]\nurl = \"https://h/x\"\nproxy = \"socks5://proxy\"\n",
        "[[source]]\nurl = \"https://h/x\"\ninsecure = true\n",
        "[[source]]\nurl = \"https://h/x\"\nname = \"a b\"\n",
        "[[source]]\nurl = \"https://h/x\"\ndeadline = \"0s\"\n",
        "[[source]]\nurl = \"dir://media\"\n",
        "[[source]]\nurl = \"file:///x\"\n[[source]]\nurl = \"file:///x\"\n",
    ];
    let told: Vec<String> = cases.iter().map(|case| read(case).unwrap_err()).collect();
    insta::assert_snapshot!(told.join("\n"));
}
