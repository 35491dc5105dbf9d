//! The lines in front of the pack in a git bundle.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| writ::source::bundles::header::fuzz(bytes));
