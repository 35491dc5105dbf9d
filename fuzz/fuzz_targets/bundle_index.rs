//! The index of a place where a branch is published.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| writ::source::bundles::index::fuzz(bytes));
