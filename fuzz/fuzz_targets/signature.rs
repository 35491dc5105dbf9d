//! Armored SSH signatures.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| writ::trust::fuzzing::signature(bytes));
