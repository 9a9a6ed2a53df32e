//! About when usage is asked, and in which parts: hours, days and months in UTC.

use crate::account::words;
use crate::refusal::{Code, Refusal};
use crate::time::{Span, Timestamp};

const HOUR: Span = Span::hours(1);
const DAY: Span = Span::days(1);

words! {
    /// How long the parts are that usage is told by.
    Granularity {
        /// By the hour.
        Hour = "hour",
        /// By the day.
        Day = "day",
        /// By the month.
        Month = "month",
    }
}

words! {
    /// What usage is told apart by.
    Grouping {
        /// The account that was called for.
        Account = "account",
        /// The person whose key was used.
        User = "user",
        /// The key.
        Key = "key",
        /// The API.
        Api = "api",
        /// The endpoint.
        Endpoint = "endpoint",
    }
}

impl Granularity {
    /// The beginning of the part that this instant is in.
    #[must_use]
    pub const fn start(self, at: Timestamp) -> Timestamp {
        match self {
            Self::Hour => floor(at, HOUR),
            Self::Day => floor(at, DAY),
            Self::Month => first_of(month_of(at)),
        }
    }

    /// The beginning of the part that follows the one that begins at `start`.
    #[must_use]
    pub const fn next(self, start: Timestamp) -> Timestamp {
        match self {
            Self::Hour => start.plus(HOUR),
            Self::Day => start.plus(DAY),
            Self::Month => first_of(month_of(start) + 1),
        }
    }

    /// How many parts of this length can be asked about, and how that is said.
    const fn most(self) -> (i64, &'static str) {
        match self {
            Self::Hour => (31 * 24, "31 days"),
            Self::Day => (366, "366 days"),
            Self::Month => (36, "36 months"),
        }
    }

    /// How many parts there are between the beginnings of two.
    const fn between(self, from: Timestamp, to: Timestamp) -> i64 {
        match self {
            Self::Hour => to.since(from).0.div_euclid(HOUR.0),
            Self::Day => to.since(from).0.div_euclid(DAY.0),
            Self::Month => month_of(to) - month_of(from),
        }
    }
}

/// From an instant up to, but without, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first instant.
    pub from: Timestamp,
    /// The first instant behind.
    pub to: Timestamp,
}

impl Period {
    /// The month that this instant is in.
    #[must_use]
    pub const fn month_of(now: Timestamp) -> Self {
        let from = Granularity::Month.start(now);
        Self { from, to: Granularity::Month.next(from) }
    }

    /// What somebody asks about, widened to whole parts. Without an end it ends with the part that is running, without a
    /// beginning it begins with the month that it ends in.
    ///
    /// # Errors
    /// `invalid_parameter`, if it ends before it begins, or has too many parts.
    pub fn asked(
        granularity: Granularity,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let end = to.unwrap_or_else(|| granularity.next(granularity.start(now)));
        let begin = from.unwrap_or_else(|| Granularity::Month.start(end.minus(Span(1))));
        if begin >= end {
            let (field, message) =
                if to.is_some() { ("to", "takes a time after `from`") } else { ("from", "takes a time that is past") };
            return Err(Refusal::at(Code::InvalidParameter, field, message));
        }
        let from = granularity.start(begin);
        let last = granularity.start(end);
        let to = if last == end { end } else { granularity.next(last) };
        let (most, text) = granularity.most();
        // Whoever asks about exactly that long may begin in the middle of a part.
        if granularity.between(from, to) > most + i64::from(from != begin) {
            let message = format!("with `granularity={granularity}`, takes a time no more than {text} before `to`");
            return Err(Refusal::at(Code::InvalidParameter, "from", message));
        }
        Ok(Self { from, to })
    }

    /// The same in pieces whose parts are all equally long, with that length.
    pub fn pieces(self, granularity: Granularity) -> impl Iterator<Item = (Self, Span)> {
        let mut from = self.from;
        std::iter::from_fn(move || {
            if from >= self.to {
                return None;
            }
            let piece = match granularity {
                Granularity::Hour => (Self { from, to: self.to }, HOUR),
                Granularity::Day => (Self { from, to: self.to }, DAY),
                Granularity::Month => {
                    let to = granularity.next(from);
                    (Self { from, to }, to.since(from))
                }
            };
            from = piece.0.to;
            Some(piece)
        })
    }
}

const fn floor(at: Timestamp, span: Span) -> Timestamp {
    Timestamp(at.0.div_euclid(span.0).saturating_mul(span.0))
}

// The Gregorian calendar, with years that begin in March, so that a leap day is the last of its year; in eras of 400 years.
const DAYS_OF_ERA: i64 = 146_097;
/// From the first of March of the year 0 to the first of January 1970.
const DAYS_TO_1970: i64 = 719_468;

/// The month that an instant is in, counted from January of the year 0.
const fn month_of(at: Timestamp) -> i64 {
    let days = at.0.div_euclid(DAY.0) + DAYS_TO_1970;
    let (era, day) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    (era * 400 + year) * 12 + month + 2
}

/// The first instant of such a month.
const fn first_of(month: i64) -> Timestamp {
    let (year, month) = ((month - 2).div_euclid(12), (month - 2).rem_euclid(12));
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5;
    Timestamp((era * DAYS_OF_ERA + day - DAYS_TO_1970).saturating_mul(DAY.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-01-31T12:30:00Z.
    const NOW: Timestamp = Timestamp(1_769_862_600_000_000);
    /// 2026-01-01, 2026-02-01 and 2026-03-01.
    const JANUARY: Timestamp = Timestamp(1_767_225_600_000_000);
    const FEBRUARY: Timestamp = Timestamp(1_769_904_000_000_000);
    const MARCH: Timestamp = Timestamp(1_772_323_200_000_000);

    fn asked(granularity: Granularity, from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Period, String> {
        Period::asked(granularity, from, to, NOW).map_err(|refusal| refusal.fields[0].field.clone())
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let mut day = 0;
        for year in 1970..2_500 {
            for (place, length) in [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter().enumerate() {
                let month = year * 12 + i64::try_from(place).expect("few");
                let length = if place == 1 && leap(year) { 29 } else { length };
                assert_eq!(first_of(month), Timestamp(0).plus(Span::days(day)), "{year}, {place}");
                assert_eq!(month_of(Timestamp(0).plus(Span::days(day))), month);
                day += length;
                assert_eq!(month_of(Timestamp(0).plus(Span::days(day)).minus(Span(1))), month);
            }
        }
    }

    #[test]
    fn the_running_month_is_what_is_asked_about_unless_something_is_said() {
        assert_eq!(asked(Granularity::Day, None, None), Ok(Period { from: JANUARY, to: FEBRUARY }));
        let hours = asked(Granularity::Hour, None, None).expect("a month by the hour");
        assert_eq!((hours.from, FEBRUARY.since(hours.to)), (JANUARY, Span::hours(11)));
        assert_eq!(asked(Granularity::Month, None, None), Ok(Period { from: JANUARY, to: FEBRUARY }));
        assert_eq!(Period::month_of(NOW), Period { from: JANUARY, to: FEBRUARY });
        // A month that is over, by its end alone.
        assert_eq!(asked(Granularity::Day, None, Some(MARCH)), Ok(Period { from: FEBRUARY, to: MARCH }));
        // The first instant of a month belongs to that month.
        let at = Period::asked(Granularity::Day, None, None, FEBRUARY);
        assert_eq!(at, Ok(Period { from: FEBRUARY, to: FEBRUARY.plus(DAY) }));
    }

    #[test]
    fn periods_are_widened_to_whole_parts_and_bounded() {
        let hour = Granularity::Hour;
        let some = asked(hour, Some(NOW), Some(NOW.plus(Span(1)))).expect("an hour");
        assert_eq!((some.from, some.to.since(some.from)), (hour.start(NOW), HOUR));
        for (granularity, longest) in [(hour, Span::days(31)), (Granularity::Day, Span::days(366))] {
            for end in [NOW, FEBRUARY] {
                assert!(asked(granularity, Some(end.minus(longest)), Some(end)).is_ok(), "{granularity}");
                let longer = asked(granularity, Some(end.minus(longest).minus(DAY)), Some(end));
                assert_eq!(longer, Err("from".to_owned()), "{granularity}");
            }
        }
        let years = |n: i64| Some(first_of(month_of(JANUARY) - 12 * n));
        assert!(asked(Granularity::Month, years(3), Some(JANUARY)).is_ok());
        assert_eq!(asked(Granularity::Month, years(3), Some(JANUARY.plus(DAY))), Err("from".to_owned()));
        assert_eq!(asked(hour, Some(NOW), Some(NOW)), Err("to".to_owned()));
        assert_eq!(asked(hour, Some(MARCH), None), Err("from".to_owned()));
    }

    proptest! {
        #[test]
        fn parts_follow_each_other_without_a_gap(at in any::<i64>(), granularity in prop::sample::select(Granularity::ALL)) {
            // The last parts of time itself are not whole.
            let at = Timestamp(at / 2);
            let start = granularity.start(at);
            let next = granularity.next(start);
            prop_assert!(start <= at && at < next);
            prop_assert_eq!(granularity.start(next), next);
            prop_assert_eq!(granularity.start(next.minus(Span(1))), start);
            prop_assert_eq!(granularity.between(start, next), 1);
        }

        #[test]
        fn pieces_are_the_whole(at in 0..4_000_000_000_000_000_i64, months in 1..40_i64, granularity in prop::sample::select(Granularity::ALL)) {
            let from = Granularity::Month.start(Timestamp(at));
            let whole = Period { from, to: first_of(month_of(from) + months) };
            let mut end = whole.from;
            for (piece, length) in whole.pieces(granularity) {
                prop_assert_eq!(piece.from, end);
                prop_assert_eq!(granularity.next(piece.from), piece.from.plus(length));
                end = piece.to;
            }
            prop_assert_eq!(end, whole.to);
        }
    }
}
