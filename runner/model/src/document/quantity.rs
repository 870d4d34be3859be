//! Quantities in files: durations, byte sizes, processor shares.

use std::fmt::Write as _;

use crate::stack::Millis;

/// Units of durations in milliseconds.
const IN_MILLIS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Units of durations in microseconds.
const IN_MICROS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1000),
    ("us", 1),
];

/// Parses a duration: numbers with units `d`, `h`, `m`, `s`, `ms`, largest first, such as `1h30m` or `1.5s`.
///
/// A number without a unit is refused, because tools disagree on what it means. Finer than a millisecond is refused too.
pub fn parse_duration(text: &str) -> Option<Millis> {
    parse_in(&IN_MILLIS, text)
}

/// Parses a duration as [`parse_duration`] does, with the unit `us` besides, into microseconds.
pub fn parse_micros(text: &str) -> Option<u64> {
    parse_in(&IN_MICROS, text)
}

fn parse_in(units: &[(&str, u64)], text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let (number, tail) = split_number(rest);
        let unit_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, scale) = *units.iter().find(|(name, _)| *name == unit)?;
        if scale >= last {
            return None;
        }
        last = scale;
        total = total.checked_add(scaled(number, scale)?)?;
        rest = tail;
    }
    (last != u64::MAX).then_some(total)
}

/// Parses a size in bytes: a number with `b`, `k`, `m`, `g`, `t`, or `kb`, `KiB` and so on; every unit is a power of 1024,
/// as the Compose Specification has it. A number without a unit is bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text);
    let unit = unit.trim_start_matches(' ').to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return None,
    };
    scaled(number, 1024_u64.pow(power))
}

/// Parses a number of processor cores, such as `2` or `0.5`, into billionths of a core.
pub fn parse_cores(text: &str) -> Option<u64> {
    scaled(text, 1_000_000_000)
}

/// A duration in the form that [`parse_duration`] reads: `90s` is `1m30s`.
pub fn duration_text(millis: Millis) -> String {
    let mut out = String::new();
    let mut rest = millis;
    for (unit, scale) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if rest >= scale {
            let _ = write!(out, "{}{unit}", rest / scale);
            rest %= scale;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// A size in the largest unit that divides it: `1073741824` is `1GiB`.
pub fn bytes_text(bytes: u64) -> String {
    for (unit, power) in [("TiB", 4), ("GiB", 3), ("MiB", 2), ("KiB", 1)] {
        let scale = 1024_u64.pow(power);
        if bytes >= scale && bytes.is_multiple_of(scale) {
            return format!("{}{unit}", bytes / scale);
        }
    }
    format!("{bytes}B")
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

/// `number` times `scale`, exactly, or nothing where the result is not a whole number or too large.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 18 {
        return None;
    }
    let denominator = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let numerator =
        whole.parse::<u64>().ok().map(u128::from)? * denominator + fraction.parse::<u128>().ok()?;
    let product = numerator.checked_mul(u128::from(scale))?;
    if !product.is_multiple_of(denominator) {
        return None;
    }
    u64::try_from(product / denominator).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{bytes_text, duration_text, parse_bytes, parse_cores, parse_duration, parse_micros};

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, millis) in [
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1500),
            ("20ms", 20),
            ("0s", 0),
            ("2d", 172_800_000),
        ] {
            assert_eq!(parse_duration(text), Some(millis), "{text}");
        }
        for text in [
            "",
            "30",
            "s",
            "30 s",
            "1s1h",
            "1s1s",
            "5us",
            "0.0001s",
            "-1s",
            "99999999999999999999s",
            "1.s",
            ".5s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn fine_durations_go_down_to_microseconds() {
        for (text, micros) in [("10ms", 10_000), ("500us", 500), ("1s500us", 1_000_500), ("0.5ms", 500)] {
            assert_eq!(parse_micros(text), Some(micros), "{text}");
        }
        for text in ["5", "5ns", "0.5us", "1us1ms", ""] {
            assert_eq!(parse_micros(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("1g", 1 << 30),
            ("512MiB", 512 << 20),
            ("1.5k", 1536),
            ("10", 10),
            ("64b", 64),
            ("2 GB", 2 << 30),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "g", "1x", "-1m", "1.0001k", "99999999999t", "1e3"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn cores_may_be_fractions() {
        assert_eq!(parse_cores("0.5"), Some(500_000_000));
        assert_eq!(parse_cores("2"), Some(2_000_000_000));
        assert_eq!(parse_cores("two"), None);
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back(millis in 0_u64..1_000_000_000_000) {
            prop_assert_eq!(parse_duration(&duration_text(millis)), Some(millis));
        }

        #[test]
        fn both_readings_of_a_duration_agree(text in "([0-9.]{1,4}(d|h|m|s|ms|us)){1,3}") {
            if let Some(millis) = parse_duration(&text) {
                prop_assert_eq!(parse_micros(&text), Some(millis * 1000));
            }
        }

        #[test]
        fn a_written_size_reads_back(bytes: u64) {
            prop_assert_eq!(parse_bytes(&bytes_text(bytes)), Some(bytes));
        }

        #[test]
        fn no_text_makes_a_quantity_panic(text in ".{0,40}") {
            let _ = (parse_duration(&text), parse_micros(&text), parse_bytes(&text), parse_cores(&text));
        }
    }
}
