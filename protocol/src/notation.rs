//! The notation of numbers in settings, the same in the server's configuration and in php.ini: counts, sizes, times, and the
//! range of values that a setting allows.
//!
//! Spaces around a number are ignored. The text of an error follows the value and says what to write instead.

use std::time::Duration;

/// The longest time that a setting may have: one year. Longer times are mistakes, and would overflow some clocks.
const MAX_SECONDS: f64 = 366.0 * 86_400.0;

/// The units of sizes, largest first, with their powers of two.
const SIZE_UNITS: [(char, u32); 3] = [('G', 30), ('M', 20), ('K', 10)];

/// The units of times in seconds. `ms` precedes `s`, with which it ends.
const TIME_UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// Parses a whole number: `1000` or `1_000`.
pub fn count(text: &str) -> Result<u64, NotationError> {
    digits(text.trim()).ok_or(NotationError::NotACount)
}

/// Parses a number of bytes, with an optional unit in either case: `65536`, `64K`, `1M`, `1g`.
pub fn size(text: &str) -> Result<u64, NotationError> {
    let text = text.trim();
    let unit = SIZE_UNITS.into_iter().find(|(unit, _)| text.ends_with([*unit, unit.to_ascii_lowercase()]));
    let (number, shift) = unit.map_or((text, 0), |(_, shift)| (&text[..text.len() - 1], shift));
    digits(number).and_then(|number| number.checked_mul(1 << shift)).ok_or(NotationError::NotASize)
}

/// Parses a time: seconds (`5`, `0.5`), or a number with a unit (`500ms`, `30s`, `5m`, `1h`).
pub fn time(text: &str) -> Result<Duration, NotationError> {
    let text = text.trim();
    let unit = TIME_UNITS.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, unit) = unit.unwrap_or((text, 1.0));
    // `parse` also accepts a sign, an exponent, `inf` and `nan`.
    let is_decimal = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = number.parse::<f64>().ok().filter(|_| is_decimal).ok_or(NotationError::NotATime)?;
    seconds(number * unit)
}

/// A time of this many seconds, from 0 to one year.
pub fn seconds(seconds: f64) -> Result<Duration, NotationError> {
    if (0.0..=MAX_SECONDS).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(NotationError::TooLong)
    }
}

/// Writes a number of bytes in the largest unit that needs no fraction: `64K`.
pub fn write_size(bytes: u64) -> String {
    let unit = SIZE_UNITS.into_iter().find(|(_, shift)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    unit.map_or_else(|| bytes.to_string(), |(unit, shift)| format!("{}{unit}", bytes >> shift))
}

/// Writes a time in seconds: `30`, `0.001`.
pub fn write_time(time: Duration) -> String {
    time.as_secs_f64().to_string()
}

fn digits(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    text.replace('_', "").parse().ok().filter(|_| is_number)
}

/// The values that a setting allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<T> {
    min: T,
    max: Option<T>,
    /// A value below `min` that is allowed too.
    or: Option<T>,
}

impl<T: Copy + PartialOrd> Range<T> {
    /// Values from `min` on.
    pub const fn at_least(min: T) -> Self {
        Self { min, max: None, or: None }
    }

    /// Values from `min` to `max`, both included.
    pub const fn between(min: T, max: T) -> Self {
        Self { min, max: Some(max), or: None }
    }

    /// The same values, and one below them: a zero that switches something off.
    #[must_use]
    pub const fn or(self, value: T) -> Self {
        Self { or: Some(value), ..self }
    }

    /// Returns the value if the range contains it. `write` is the notation of values in the error.
    pub fn check(self, value: T, write: impl Fn(T) -> String) -> Result<T, NotationError> {
        let is_inside = value >= self.min && self.max.is_none_or(|max| value <= max);
        if is_inside || self.or == Some(value) {
            Ok(value)
        } else {
            Err(NotationError::OutOfBounds { range: self.describe(write) })
        }
    }

    /// The range in words: `1 or more`, `1K to 1M`, `0, or 1M or more`. `write` is the notation of values.
    pub fn describe(self, write: impl Fn(T) -> String) -> String {
        let or = self.or.map_or_else(String::new, |value| format!("{}, or ", write(value)));
        match self.max {
            Some(max) => format!("{or}{} to {}", write(self.min), write(max)),
            None => format!("{or}{} or more", write(self.min)),
        }
    }
}

/// Why a value is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotationError {
    /// It is not a whole number from 0 to 2^64 - 1.
    #[error("not a whole number. Write digits, for example 1000")]
    NotACount,
    /// It is not a number of bytes below 2^64.
    #[error("not a size. Write 64K, 1M or a number of bytes")]
    NotASize,
    /// It is not a number of seconds, or one with a unit.
    #[error("not a time. Write seconds (5 or 0.5), 30s, 500ms, 5m or 1h")]
    NotATime,
    /// The time is negative, or longer than a year.
    #[error("not between 0 and a year. Write seconds, for example 30")]
    TooLong,
    /// The setting does not allow this value.
    #[error("out of bounds. Write {range}")]
    OutOfBounds {
        /// The allowed values, as [`Range::describe`] returns them.
        range: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_whole_numbers() {
        for (written, number) in [("0", 0), ("1000", 1000), ("1_000", 1000), (" 5 ", 5)] {
            assert_eq!(count(written), Ok(number), "{written}");
        }
        for written in ["", "_", "-1", "+1", "1.0", "1 000", "many", "1K", "18446744073709551616"] {
            assert_eq!(count(written), Err(NotationError::NotACount), "{written}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (written, bytes) in [
            ("65536", 65536),
            ("64K", 65536),
            ("64k", 65536),
            ("1M", 1 << 20),
            (" 1m ", 1 << 20),
            ("2G", 2 << 30),
            ("1_024K", 1 << 20),
        ] {
            assert_eq!(size(written), Ok(bytes), "{written}");
        }
        for written in
            ["", "K", "64 K", "64 kb", "-1", "+1K", "1.5M", "64KB", "99999999999999999G", "ü", "1T"]
        {
            assert_eq!(size(written), Err(NotationError::NotASize), "{written}");
        }
    }

    #[test]
    fn times_are_seconds_or_have_units() {
        for (written, milliseconds) in [
            ("5", 5000),
            ("0.5", 500),
            ("30s", 30_000),
            ("500ms", 500),
            (" 5m ", 300_000),
            ("1h", 3_600_000),
            ("0", 0),
        ] {
            assert_eq!(time(written), Ok(Duration::from_millis(milliseconds)), "{written}");
        }
        for written in ["", "s", ".", "-1", "5 minutes", "5 s", "nan", "inf", "1e3", "1d"] {
            assert_eq!(time(written), Err(NotationError::NotATime), "{written}");
        }
        assert_eq!(time("400000h"), Err(NotationError::TooLong));
        for number in [-0.5, f64::NAN, f64::INFINITY] {
            assert_eq!(seconds(number), Err(NotationError::TooLong), "{number}");
        }
    }

    #[test]
    fn numbers_are_written_as_they_are_parsed() {
        for written in ["0", "1", "1000", "1K", "1025", "64K", "1M", "1500M", "2G"] {
            assert_eq!(write_size(size(written).unwrap()), written);
        }
        for written in ["0", "0.001", "0.5", "1", "60"] {
            assert_eq!(write_time(time(written).unwrap()), written);
        }
    }

    #[test]
    fn a_range_contains_both_of_its_ends() {
        let (min, max) = (Range::at_least(2), Range::between(2, 4));
        let contains = |range: Range<u32>, value| range.check(value, |value| value.to_string()).is_ok();
        assert_eq!([1, 2, 3, 4, 5].map(|value| contains(min, value)), [false, true, true, true, true]);
        assert_eq!([1, 2, 3, 4, 5].map(|value| contains(max, value)), [false, true, true, true, false]);
        assert_eq!([0, 1, 2].map(|value| contains(min.or(0), value)), [true, false, true]);
    }

    #[test]
    fn the_error_for_a_value_out_of_bounds_names_the_bounds() {
        for (range, expected) in [
            (Range::at_least(1 << 20), "out of bounds. Write 1M or more"),
            (Range::between(1 << 10, 1 << 20), "out of bounds. Write 1K to 1M"),
            (Range::at_least(1 << 20).or(0), "out of bounds. Write 0, or 1M or more"),
        ] {
            assert_eq!(range.check(1, write_size).unwrap_err().to_string(), expected);
        }
    }
}
