//! Standard base64 (RFC 4648, section 4) in its one canonical spelling.

/// Decodes `text`: padded, no white space, no stray bits in the last character,
/// so that no two texts decode to the same bytes.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|&&b| b == b'=').count();
    if padding > 2 {
        return None;
    }
    let digits = &text[..text.len() - padding];
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in digits.chunks(4) {
        let mut word = 0u32;
        for &digit in group {
            word = word << 6 | u32::from(value(digit)?);
        }
        let missing = 4 - group.len();
        word <<= 6 * missing;
        let bytes = word.to_be_bytes();
        let (kept, dropped) = bytes[1..].split_at(3 - missing);
        if dropped.iter().any(|&b| b != 0) {
            return None;
        }
        out.extend_from_slice(kept);
    }
    Some(out)
}

/// Encodes without padding, as fingerprints are written.
pub(crate) fn encode_unpadded(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let mut word = [0u8; 4];
        word[1..=group.len()].copy_from_slice(group);
        let word = u32::from_be_bytes(word);
        for place in 0..=group.len() {
            let digit = word >> (18 - 6 * place) & 0x3f;
            out.push(char::from(DIGITS[digit as usize]));
        }
    }
    out
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_vectors_of_rfc_4648_decode() {
        for (text, bytes) in [
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode(text.as_bytes()).unwrap(), bytes.as_bytes());
            assert_eq!(encode_unpadded(bytes.as_bytes()), text.trim_end_matches('='));
        }
    }

    #[test]
    fn a_second_spelling_of_the_same_bytes_is_refused() {
        for bad in ["", "Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "Z===", "====", "Zg= =", "Zm9v\n"]
        {
            assert_eq!(decode(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_itself(text in "[A-Za-z0-9+/]{0,12}={0,2}") {
            if let Some(bytes) = decode(text.as_bytes()) {
                prop_assert_eq!(encode_unpadded(&bytes), text.trim_end_matches('='));
            }
        }
    }
}
