//! Sizes in configs, read and refused as the servers do.

/// The units, with the number of bytes of each.
const UNITS: [(&str, i64); 15] = [
    ("", 1),
    ("B", 1),
    (" bytes", 1),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("EB", 1_000_000_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("EiB", 1 << 60),
];

/// A size in bytes; nothing is none.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    if number.is_empty() {
        return Err(format!("Invalid value: {text}"));
    }
    let number: i64 = number.parse().map_err(|_| format!("Invalid integer: {text}"))?;
    let unit = UNITS.iter().find(|(name, _)| *name == suffix);
    let (_, unit) = unit.ok_or_else(|| format!("Invalid value: {text}"))?;
    let bytes = number.checked_mul(*unit);
    let bytes = bytes.ok_or_else(|| format!("Overflow multiplying {number} with {unit}"))?;
    u64::try_from(bytes).map_err(|_| format!("Invalid value: {text}"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_are_read_and_refused_as_by_the_servers() {
        assert_eq!(parse("2GiB"), Ok(2 << 30));
        assert_eq!(parse("1kB"), Ok(1000));
        assert_eq!(parse(""), Ok(0));
        for (text, refusal) in [
            ("abc", "Invalid value: abc"),
            ("-1", "Invalid value: -1"),
            ("1.5GiB", "Invalid value: 1.5GiB"),
            ("99999999999999999999", "Invalid integer: 99999999999999999999"),
            ("9EiB", "Overflow multiplying 9 with 1152921504606846976"),
        ] {
            assert_eq!(parse(text).unwrap_err(), refusal);
        }
    }
}
