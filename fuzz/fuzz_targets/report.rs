//! A host's report, with and without its signature.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| writ::report::fuzz(bytes));
