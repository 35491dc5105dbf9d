//! Where keys are found, and what is said where they are not.

use super::*;

const KEYS: &str = "\
# made by hand
[default]
aws_access_key_id = AKDEFAULT
aws_secret_access_key = s/default=

[ci]
aws_access_key_id=AKCI
aws_secret_access_key=s-ci # rotated in May
aws_session_token = t-ci
[half]
aws_access_key_id = AKHALF
";
const CONFIG: &str = "\
[default]
region = us-west-2
[profile ci]
region = eu-central-1
aws_access_key_id = AKOTHER
s3 =
    addressing_style = path
    region = nowhere
[profile sso]
sso_session = acme
[profile inline]
aws_access_key_id = AKINLINE
aws_secret_access_key = s-inline
";

fn with(environment: &[(&str, &str)]) -> Surroundings {
    let mut all = BTreeMap::from([("HOME".to_owned(), "/home/alice".to_owned())]);
    all.extend(environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let read = |path: &Path| match path.to_str() {
        Some("/home/alice/.aws/credentials" | "/else/keys") => Ok(KEYS.to_owned()),
        Some("/home/alice/.aws/config") => Ok(CONFIG.to_owned()),
        Some("/closed") => Err(std::io::ErrorKind::PermissionDenied.into()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    Surroundings { environment: all, read }
}

fn found(profile: Option<&str>, environment: &[(&str, &str)]) -> String {
    match with(environment).find(profile) {
        Ok(Found { credentials: c, region }) => format!(
            "{} {} {} {} from {}",
            c.id,
            c.secret,
            c.token.as_deref().unwrap_or("-"),
            region.as_deref().unwrap_or("-"),
            c.origin
        ),
        Err(error) => format!("{error}\n  hint: {}", error.remedy()),
    }
}

const ENV: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKENV"), ("AWS_SECRET_ACCESS_KEY", "s-env")];

#[test]
fn keys_are_found_where_aws_has_them() {
    let told = [
        ("nothing is named", found(None, &[])),
        ("a profile is named", found(Some("ci"), &[])),
        ("the environment has keys", found(None, &ENV)),
        ("the environment has keys, a profile is named", found(Some("ci"), &ENV)),
        ("AWS_PROFILE", found(None, &[("AWS_PROFILE", "inline"), ("AWS_REGION", "eu-north-1")])),
        ("other files", found(None, &[("AWS_SHARED_CREDENTIALS_FILE", "/else/keys")])),
        ("half of the environment", found(None, &ENV[..1])),
        ("no such profile", found(Some("ops"), &[])),
        ("no secret", found(Some("half"), &[])),
        ("single sign-on", found(Some("sso"), &[])),
        ("no files", found(None, &[("HOME", "/nowhere")])),
        ("a closed file", found(None, &[("AWS_CONFIG_FILE", "/closed")])),
    ];
    insta::assert_snapshot!(told.map(|(what, told)| format!("{what}: {told}")).join("\n"));
}

#[test]
fn a_file_that_is_named_is_the_only_one() {
    let read = with(&[]).read;
    let found = |file: &str, profile| {
        Surroundings { read, ..Surroundings::of_file(Path::new(file)) }.find(profile)
    };
    let keys = found("/else/keys", None).unwrap().credentials;
    assert_eq!((&*keys.id, &*keys.origin), ("AKDEFAULT", "profile `default` of /else/keys"));
    assert_eq!(found("/else/keys", Some("ci")).unwrap().credentials.id, "AKCI");
    assert!(found("/else/keys", Some("inline")).is_err());
    assert!(found("/nowhere", None).is_err());
}

#[test]
fn a_secret_is_not_shown() {
    let found = with(&ENV).find(None).unwrap();
    let shown = format!("{found:?}");
    assert!(!shown.contains("s-env") && !shown.contains("AKENV"), "{shown}");
}
