//! Durations, sizes and counts as a person reads them.

use jiff::Timestamp;
use testbed_model::stack::Millis;

/// A duration: `0.42 s`, `12.4 s`, `2 min 05 s`, `1 h 02 min`.
pub fn duration(millis: Millis) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..10 => format!("{seconds}.{:02} s", millis % 1000 / 10),
        10..60 => format!("{seconds}.{} s", millis % 1000 / 100),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A duration that is watched while it grows: coarser, so that it does not flicker.
pub fn running(millis: Millis) -> String {
    match millis / 1000 {
        seconds @ 0..60 => format!("{seconds}.{} s", millis % 1000 / 100),
        _ => duration(millis),
    }
}

/// How long something waited; what nobody notices is nothing: `waited for nothing`, `waited 0.31 s`.
pub fn waited(millis: Millis) -> String {
    if millis < 10 { "waited for nothing".to_owned() } else { format!("waited {}", duration(millis)) }
}

/// A size in binary units: `512 B`, `1.5 MiB`, `297 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // Tenths keep one decimal without floating point.
    let (mut tenths, mut unit) = (u128::from(count) * 10, "B");
    for name in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = name;
    }
    if tenths < 1000 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// A moment, to the minute.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A count with its noun: `1 case`, `2 cases`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, duration};

    #[test]
    fn durations_have_as_many_digits_as_help() {
        for (millis, expected) in [
            (0, "0.00 s"),
            (428, "0.42 s"),
            (9_990, "9.99 s"),
            (12_449, "12.4 s"),
            (125_000, "2 min 05 s"),
            (3_725_000, "1 h 02 min"),
        ] {
            assert_eq!(duration(millis), expected);
        }
    }

    #[test]
    fn sizes_are_binary_with_one_decimal_below_a_hundred() {
        for (size, expected) in [
            (512, "512 B"),
            (1536, "1.5 KiB"),
            (311_427_072, "297 MiB"),
            (5_300_000_000, "4.9 GiB"),
            (u64::MAX, "16383 PiB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(count(1, "case"), "1 case");
        assert_eq!(count(0, "case"), "0 cases");
    }
}
