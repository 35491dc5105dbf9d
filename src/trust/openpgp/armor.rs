//! ASCII armor in one strict spelling (RFC 9580, section 6).

use super::Bad;
use crate::trust::base64;

/// Takes the armor of a block of `kind` (`SIGNATURE`) off: its two marking lines, headers,
/// a blank line, base 64, a checksum or none. Nothing stands before, between or after.
pub(super) fn remove(text: &[u8], kind: &str) -> Result<Vec<u8>, Bad> {
    let text = str::from_utf8(text).map_err(|_| Bad("its armor is not text"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Bad("its armor has a control character (a carriage return perhaps)"));
    }
    let mut lines = text.split('\n');
    let marks =
        |line: Option<&str>, end: &str| line == Some(&*format!("-----{end} PGP {kind}-----"));
    if !marks(lines.next(), "BEGIN") {
        return Err(Bad("its armor does not begin with its marking line"));
    }
    if !marks(lines.next_back(), "END") {
        return Err(Bad("its armor does not end with its marking line, or something follows it"));
    }
    headers(&mut lines)?;
    let (body, checksum) = body(lines)?;
    let bytes = base64::decode(body.as_bytes()).ok_or(Bad("its base 64 is not canonical"))?;
    match checksum {
        Some(checksum) if checksum != crc24(&bytes) => Err(Bad("its checksum is wrong")),
        Some(_) | None => Ok(bytes),
    }
}

/// Reads over the headers that programs write, and the blank line.
fn headers<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Result<(), Bad> {
    for line in lines {
        if line.is_empty() {
            return Ok(());
        }
        if !["Comment: ", "Version: "].iter().any(|known| line.starts_with(known)) {
            return Err(Bad("its armor has an unknown header, or no blank line"));
        }
    }
    Err(Bad("its armor has no blank line"))
}

fn body<'a>(lines: impl Iterator<Item = &'a str>) -> Result<(String, Option<u32>), Bad> {
    let mut body = String::new();
    let mut checksum = None;
    for line in lines {
        if line.is_empty() || checksum.is_some() {
            return Err(Bad("its armor has an empty line, or a line after its checksum"));
        }
        match line.strip_prefix('=') {
            Some(sum) => checksum = Some(three_bytes(sum).ok_or(Bad("its checksum is not one"))?),
            None => body.push_str(line),
        }
    }
    Ok((body, checksum))
}

fn three_bytes(text: &str) -> Option<u32> {
    let bytes: [u8; 3] = base64::decode(text.as_bytes())?.try_into().ok()?;
    Some(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]))
}

/// RFC 9580, section 6.1.1.
fn crc24(bytes: &[u8]) -> u32 {
    let mut crc = 0x00b7_04ce_u32;
    for &byte in bytes {
        crc ^= u32::from(byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    crc & 0x00ff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "-----BEGIN PGP SIGNATURE-----\n\nAQID\n=QydU\n-----END PGP SIGNATURE-----\n";

    #[test]
    fn a_block_has_one_spelling() {
        let remove = |text: &str| remove(text.as_bytes(), "SIGNATURE");
        let sum = crc24(&[1, 2, 3]).to_be_bytes();
        let good = GOOD.replace("QydU", &base64::encode_unpadded(&sum[1..]));
        for fine in [
            good.clone(),
            good.trim_end().to_owned(),
            GOOD.replace("=QydU\n", ""),
            good.replace("AQID", "AQ\nID"),
            good.replacen("\n\n", "\nVersion: GnuPG v2\nComment: a — b\n\n", 1),
        ] {
            assert_eq!(remove(&fine), Ok(vec![1, 2, 3]), "{fine}");
        }
        for bad in [
            String::new(),
            format!("x\n{good}"),
            format!("{good}x"),
            format!("{good}\n\n"),
            format!("{good}{good}"),
            GOOD.replace("QydU", "AAAA"),
            good.replacen("\n\n", "\n", 1),
            good.replacen("\n\n", "\nCharset: UTF-8\n\n", 1),
            good.replace("AQID", "AQID\n"),
            good.replace("AQID", "AQI"),
            good.replace("-----END", "AQID\n-----END"),
            good.replace('\n', "\r\n"),
            good.replace("SIGNATURE", "MESSAGE"),
        ] {
            assert!(remove(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_checksum_is_that_of_gpg() {
        // An empty string leaves the initial value; "123456789" is the catalogue's check.
        assert_eq!((crc24(b""), crc24(b"123456789")), (0x00b7_04ce, 0x0021_cf02));
    }
}
