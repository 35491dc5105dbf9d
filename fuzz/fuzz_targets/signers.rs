//! `.writ/allowed_signers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| writ::trust::fuzzing::signers(text));
