//! Amounts as people write them: sizes such as 64M, spans of time such as 10s.

use std::time::Duration;

/// Reads a size in bytes: a whole number with an optional unit, K, M, G or T (powers of 1024, also as KiB or KB).
///
/// # Errors
/// What a size looks like.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let unit = unit.to_ascii_uppercase();
    let shift = match unit.strip_suffix("IB").or_else(|| unit.strip_suffix('B')).unwrap_or(&unit) {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(format!("unknown unit in {text:?}; write a size such as 500K, 64M or 1G")),
    };
    let number: u64 = number.parse().map_err(|_| format!("no size in {text:?}; write one such as 64M"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text:?} is larger than this machine can address"))
}

/// Reads a span of time: a whole number with a unit, s, m, h, d or w.
///
/// # Errors
/// What a span looks like.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let unit_seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(format!("no unit of time in {text:?}; write a span such as 10s, 5m, 2h, 30d or 4w")),
    };
    let number: u64 =
        number.parse().map_err(|_| format!("no number in {text:?}; write a span such as 10s"))?;
    let seconds = number.checked_mul(unit_seconds).ok_or_else(|| format!("{text:?} is too long"))?;
    Ok(Duration::from_secs(seconds))
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every documented way to write a size means what it says. Method: table, with the overflow at the end.
    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17B", 17),
            ("4k", 4 << 10),
            ("64M", 64 << 20),
            ("64MB", 64 << 20),
            ("1GiB", 1 << 30),
            ("2T", 2 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "M", "-1", "1.5G", "1X", "1 M", "1MiBs", "18446744073709551616", "18446744073709551615K"]
        {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    /// Goal: every unit of time is right and a missing one is refused. Method: table.
    #[test]
    fn spans() {
        for (text, seconds) in
            [("0s", 0), ("10s", 10), ("5m", 300), ("2h", 7_200), ("1d", 86_400), ("1w", 604_800)]
        {
            assert_eq!(parse_span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "10", "s", "1.5h", "-1s", "10 s", "99999999999999999999s", "18446744073709551615w"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }
}
