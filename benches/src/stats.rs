//! Medians, ratios, and how numbers are written. In whole numbers: none of this is exact to more than three digits.

use std::time::Duration;

/// The value that `percent` of all values do not exceed; 0 if there is none.
pub(crate) fn percentile(mut values: Vec<u64>, percent: usize) -> u64 {
    values.sort_unstable();
    let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(place).copied().unwrap_or_default()
}

/// The value in the middle.
pub(crate) fn median(values: Vec<u64>) -> u64 {
    percentile(values, 50)
}

/// A length of time in microseconds.
pub(crate) fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

/// How many of `count` things a second had.
pub(crate) fn per_second(count: u64, length: Duration) -> u64 {
    count.saturating_mul(1_000_000) / micros(length).max(1)
}

/// The quotient with two decimals.
pub(crate) fn ratio(of: u64, to: u64) -> String {
    let hundredths = of.saturating_mul(100) / to.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// The quotient as one part in so many, for what is much less.
pub(crate) fn part(of: u64, to: u64) -> String {
    let tenths = to.saturating_mul(10) / of.max(1);
    format!("1/{}.{}", tenths / 10, tenths % 10)
}

/// How many hundredths of another number one is, rounded.
pub(crate) fn percent(of: u64, to: u64) -> u64 {
    (of.saturating_mul(100) + to / 2) / to.max(1)
}

/// Nanoseconds, as microseconds where they are many.
pub(crate) fn nanos(length: u64) -> String {
    if length < 10_000 { format!("{} ns", thousands(length)) } else { format!("{} µs", thousands(length / 1_000)) }
}

/// Microseconds as milliseconds.
pub(crate) fn milliseconds(micros: u64) -> String {
    let hundredths = micros.div_ceil(10);
    format!("{}.{:02} ms", hundredths / 100, hundredths % 100)
}

/// A number with its thousands apart.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<String> = digits
        .bytes()
        .rev()
        .collect::<Vec<_>>()
        .chunks(3)
        .rev()
        .map(|group| group.iter().rev().copied().map(char::from).collect())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        assert_eq!((median(vec![]), median(vec![3, 1, 2]), median(vec![4, 1, 3, 2])), (0, 2, 2));
        assert_eq!(percentile((1..=1000).collect(), 99), 990);
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            (thousands(0), thousands(999), thousands(1_000_000)),
            ("0".into(), "999".into(), "1,000,000".into())
        );
        assert_eq!((part(4, 50), percent(2, 3)), ("1/12.5".into(), 67));
        assert_eq!((nanos(9_999), nanos(12_345_678)), ("9,999 ns".into(), "12,345 µs".into()));
        assert_eq!((ratio(2, 3), ratio(7, 0), milliseconds(1_234)), ("0.66".into(), "7.00".into(), "1.24 ms".into()));
    }
}
