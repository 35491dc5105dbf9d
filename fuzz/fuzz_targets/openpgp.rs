//! An armored OpenPGP certificate, a NUL byte, and an armored signature.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let (certificate, armor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if let Ok(certificate) = str::from_utf8(certificate) {
        writ::trust::fuzzing::openpgp(certificate, armor, b"payload");
    }
});
