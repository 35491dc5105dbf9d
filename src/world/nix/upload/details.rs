//! What nix knows about paths and does not tell in its registrations: who built and who
//! signed them.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::{Map, Value};

use super::super::fetch;
use super::super::local::LocalNix;
use crate::fault::Fault;
use crate::names::StorePath;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Details {
    pub(super) deriver: Option<StorePath>,
    pub(super) signatures: Vec<String>,
    /// How the path is named after its content, where it is.
    pub(super) ca: Option<String>,
}

impl LocalNix {
    /// Those of the closure of `roots`.
    pub(super) async fn details(
        &self,
        roots: &[StorePath],
    ) -> Result<BTreeMap<StorePath, Details>, Fault> {
        let doing = "ask nix who signed the closure";
        let mut nix = self.nix();
        nix.args(["path-info", "--json", "--recursive"]).stderr(Stdio::piped());
        nix.args(roots.iter().map(StorePath::as_str));
        let output = nix.output().await.map_err(|error| Fault::wait(doing, error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = fetch::last_lines(&said).join("; ");
            return Err(Fault::wait(doing, format!("nix path-info failed: {said}")));
        }
        parse(&output.stdout)
            .ok_or_else(|| Fault::wait(doing, "what nix path-info says is not understood"))
    }
}

/// `nix path-info --json` in its forms: an object by path, since nix 2.33 on demand
/// within another one and without `/nix/store/`; a list before nix 2.19.
fn parse(json: &[u8]) -> Option<BTreeMap<StorePath, Details>> {
    match serde_json::from_slice(json).ok()? {
        Value::Array(list) => {
            list.iter().map(|info| of(info.get("path")?.as_str()?, info)).collect()
        }
        Value::Object(mut all) => {
            let all = match all.remove("info") {
                Some(Value::Object(all)) => all,
                Some(_) => return None,
                None => all,
            };
            all.iter().map(|(path, info)| of(path, info)).collect()
        }
        _ => None,
    }
}

fn of(path: &str, info: &Value) -> Option<(StorePath, Details)> {
    let info: &Map<String, Value> = info.as_object()?;
    let text = |name: &str| info.get(name).and_then(Value::as_str);
    let signatures = info.get("signatures").and_then(Value::as_array);
    let details = Details {
        deriver: text("deriver").and_then(full),
        signatures: signatures.into_iter().flatten().filter_map(signature).collect(),
        ca: text("ca").filter(|ca| one_line(ca)).map(str::to_owned),
    };
    Some((full(path)?, details))
}

fn signature(value: &Value) -> Option<String> {
    value.as_str().filter(|text| one_line(text)).map(str::to_owned)
}

fn one_line(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

fn full(path: &str) -> Option<StorePath> {
    if path.starts_with('/') {
        path.parse().ok()
    } else {
        format!("/nix/store/{path}").parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "62m821rs1a2fjqkhimwqw94kqdz429q6-a";

    #[test]
    fn every_form_says_the_same() {
        let path: StorePath = full(A).unwrap();
        let details = Details {
            deriver: full(&A.replace("-a", "-a.drv")),
            signatures: vec!["k:AAAA".to_owned()],
            ca: None,
        };
        let expected = Some(BTreeMap::from([(path, details)]));
        let body = format!(r#""ca":null,"deriver":"/nix/store/{A}.drv","signatures":["k:AAAA"]"#);
        let base = body.replace("/nix/store/", "");
        assert_eq!(parse(format!(r#"[{{"path":"/nix/store/{A}",{body}}}]"#).as_bytes()), expected);
        assert_eq!(parse(format!(r#"{{"/nix/store/{A}":{{{body}}}}}"#).as_bytes()), expected);
        let wrapped = format!(r#"{{"version":2,"info":{{"{A}":{{{base}}}}}}}"#);
        assert_eq!(parse(wrapped.as_bytes()), expected);
        for bad in ["", "null", r#"{"x":{}}"#, r#"{"info":[]}"#, r#"[{}]"#] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
