//! `.writ/allowed_signers` and `.writ/policy.toml`, with an empty line between them.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (signers, rules) = text.split_once("\n\n").unwrap_or(("", text));
    writ::trust::fuzzing::policy(signers, rules);
});
