//! Certificates as PEM text and back.

use base64::{Engine, engine::general_purpose::STANDARD};

/// How long the lines of PEM text are.
const LINE: usize = 64;

/// DER as PEM text under a label such as `CERTIFICATE`.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = &*text;
    while !rest.is_empty() {
        // Base64 is ASCII, so every index is a boundary.
        let (line, more) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem + &format!("-----END {label}-----\n")
}

/// The DER of the first block with this label in PEM text, if there is one that can be read.
pub(crate) fn decode(label: &str, pem: &str) -> Option<Vec<u8>> {
    let (_, after) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (text, _) = after.split_once(&format!("-----END {label}-----"))?;
    STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_64_characters_and_the_last_one_is_the_rest() {
        let pem = encode("THING", &[7; 50]);
        let lines: Vec<&str> = pem.lines().collect();
        assert_eq!((lines[0], lines[3]), ("-----BEGIN THING-----", "-----END THING-----"));
        assert_eq!((lines[1].len(), lines[2].len()), (64, 4));
        assert_eq!(decode("THING", &pem).unwrap(), [7; 50]);
        assert_eq!(decode("OTHER", &pem), None);
        assert_eq!(decode("THING", &pem.replace("BwcH", "B?cH")), None);
    }
}
