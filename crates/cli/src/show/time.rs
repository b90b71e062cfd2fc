//! Times, as people say them.

use std::time::{SystemTime, UNIX_EPOCH};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Milliseconds since the epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How long ago something was.
pub(crate) fn ago(then: u64, now: u64) -> String {
    match now.saturating_sub(then) {
        past if past < 5 * SECOND => "just now".to_owned(),
        past if past < 60 * DAY => format!("{} ago", span(past)),
        _ => moment(then).chars().take(10).collect(),
    }
}

/// How long something will last.
pub(crate) fn until(then: u64, now: u64) -> String {
    match then.saturating_sub(now) {
        0 => "over".to_owned(),
        left => format!("{} left", span(left)),
    }
}

fn span(millis: u64) -> String {
    match millis {
        span if span < MINUTE => format!("{} s", span / SECOND),
        span if span < HOUR => format!("{} min", span / MINUTE),
        span if span < DAY => format!("{} h", span / HOUR),
        span if span < 2 * DAY => "1 day".to_owned(),
        span => format!("{} days", span / DAY),
    }
}

/// A moment as `2026-01-31 12:00:05`, in UTC.
fn moment(millis: u64) -> String {
    let (year, month, day) = date(millis / DAY);
    let of_day = millis % DAY;
    let (hour, minute, second) = (of_day / HOUR, of_day % HOUR / MINUTE, of_day % MINUTE / SECOND);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// A beginning, as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So many milliseconds ago.
    Ago(u64),
    /// Milliseconds since the epoch.
    At(u64),
}

impl Since {
    /// Milliseconds since the epoch.
    pub(crate) const fn at(self, now: u64) -> u64 {
        match self {
            Self::Ago(span) => now.saturating_sub(span),
            Self::At(at) => at,
        }
    }
}

/// Reads `30m`, `2026-01-31`, `2026-01-31T12:00:00Z` or milliseconds.
pub(crate) fn parse_since(typed: &str) -> Result<Since, String> {
    let wrong =
        || format!("{typed:?} is neither a span (30m, 12h, 7d), a date (2026-01-31), nor milliseconds");
    if let Ok(at) = typed.parse() {
        return Ok(Since::At(at));
    }
    let unit = match typed.chars().last() {
        Some('s') => Some(SECOND),
        Some('m') => Some(MINUTE),
        Some('h') => Some(HOUR),
        Some('d') => Some(DAY),
        _ => None,
    };
    if let Some(unit) = unit {
        let count: u64 =
            typed.get(..typed.len() - 1).and_then(|count| count.parse().ok()).ok_or_else(wrong)?;
        return count.checked_mul(unit).map(Since::Ago).ok_or_else(wrong);
    }
    absolute(typed).map(Since::At).ok_or_else(wrong)
}

/// Reads a date, with a time of day (UTC) or without.
fn absolute(typed: &str) -> Option<u64> {
    let typed = typed.strip_suffix('Z').unwrap_or(typed);
    let (date, time) = typed.split_once(['T', ' ']).unwrap_or((typed, "00:00"));
    let numbers = |text: &str, between: char| -> Option<Vec<u64>> {
        text.split(between).map(|number| number.parse().ok()).collect()
    };
    let date = numbers(date, '-')?;
    let &[year, month, day] = date.as_slice() else { return None };
    let time = numbers(time, ':')?;
    let (hour, minute, second) = match *time.as_slice() {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let sound = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    sound.then(|| days(year, month, day) * DAY + hour * HOUR + minute * MINUTE + second * SECOND)
}

/// Days since the epoch (Howard Hinnant, "chrono-compatible low-level date algorithms").
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day since the epoch (same source).
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(moment(0), "1970-01-01 00:00:00");
        assert_eq!(moment(951_827_696_000), "2000-02-29 12:34:56");
        assert_eq!(moment(1_798_761_599_000), "2026-12-31 23:59:59");
        assert_eq!(absolute("2000-02-29T12:34:56Z"), Some(951_827_696_000));
        for day in (0..40_000).step_by(13) {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
        }
    }

    #[test]
    fn a_beginning_can_be_typed_in_three_ways() {
        assert_eq!(parse_since("90m"), Ok(Since::Ago(90 * MINUTE)));
        assert_eq!(parse_since("7d").unwrap().at(8 * DAY), DAY);
        assert_eq!(parse_since("2026-12-31"), Ok(Since::At(1_798_675_200_000)));
        assert_eq!(parse_since("1798675200000"), Ok(Since::At(1_798_675_200_000)));
        for wrong in ["", "m", "yesterday", "2026-13-01", "2026-01", "-3h", "99999999999999999999d"] {
            assert!(parse_since(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn times_are_told_as_people_do() {
        assert_eq!(ago(1_000, 2_000), "just now");
        assert_eq!(ago(0, 30 * SECOND), "30 s ago");
        assert_eq!(ago(0, 26 * HOUR), "1 day ago");
        assert_eq!(ago(0, 100 * DAY), "1970-01-01");
        assert_eq!(until(90 * SECOND, 0), "1 min left");
        assert_eq!(until(0, 5), "over");
    }
}
