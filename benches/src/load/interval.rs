//! The median of a few readings, and how far it can be trusted.
//!
//! The interval runs between two of the sorted readings: that a median lies below the k-th smallest of n is as likely as
//! fewer than k heads in n throws of a coin (H. A. David and H. N. Nagaraja, *Order Statistics*, 3rd ed., section 7.1).
//! Nothing is assumed of how the readings are spread, so a neighbour that spoils a few of them moves neither the median
//! nor the interval, where a mean with its t-interval would be moved by one. And the same readings always give the same
//! interval, as a bootstrap's would not.

use serde::Serialize;

/// How sure an interval is to hold the true median, at least.
pub const CONFIDENCE: f64 = 0.95;

/// A median within its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The median is hardly below this.
    pub low: f64,
    /// The middle of the readings.
    pub median: f64,
    /// The median is hardly above this.
    pub high: f64,
}

impl Interval {
    /// Of all `readings`; `None` where one is no finite number, or where there are fewer than six (all of five lie on
    /// one side of the true median once in sixteen times) or more than a thousand.
    pub fn of(readings: &[f64]) -> Option<Self> {
        if readings.iter().any(|reading| !reading.is_finite()) {
            return None;
        }
        let sorted = sorted(readings);
        let left_out = left_out(sorted.len())?;
        Some(Self {
            low: sorted[left_out],
            median: median(readings)?,
            high: sorted[sorted.len() - 1 - left_out],
        })
    }
}

/// The middle one of `readings`, or the mean of the two in the middle.
pub(crate) fn median(readings: &[f64]) -> Option<f64> {
    let sorted = sorted(readings);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len().is_multiple_of(2) {
        Some(f64::midpoint(sorted[sorted.len() / 2 - 1], upper))
    } else {
        Some(upper)
    }
}

fn sorted(readings: &[f64]) -> Vec<f64> {
    let mut sorted = readings.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// How many of `count` sorted readings may be left out at each end: as many as leave the chance of at most so many heads
/// in `count` throws within one half of what an interval may be wrong.
fn left_out(count: usize) -> Option<usize> {
    let throws = u32::try_from(count).ok()?;
    let mut exactly = 0.5_f64.powi(i32::try_from(throws).ok()?);
    // Of more than a thousand the chance is too small a number to be told from none.
    if !exactly.is_normal() {
        return None;
    }
    let mut at_most = exactly;
    let mut left_out = None;
    for heads in 0..throws / 2 {
        if at_most > (1.0 - CONFIDENCE) / 2.0 {
            break;
        }
        left_out = usize::try_from(heads).ok();
        exactly *= f64::from(throws - heads) / f64::from(heads + 1);
        at_most += exactly;
    }
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_readings_are_too_few_and_six_give_their_extremes() {
        assert_eq!(Interval::of(&[]), None);
        assert_eq!(Interval::of(&[1.0, 2.0, 3.0, 4.0, 5.0]), None);
        let six = Interval::of(&[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
        assert_eq!(
            six,
            Some(Interval {
                low: 1.0,
                median: 3.5,
                high: 6.0
            })
        );
    }

    // From the tables of the sign test at 5 %, two-sided: the greatest number of the rarer sign that still counts.
    #[test]
    fn as_many_readings_are_left_out_as_the_sign_test_allows() {
        let table = [
            (6, 0),
            (8, 0),
            (9, 1),
            (11, 1),
            (12, 2),
            (15, 3),
            (17, 4),
            (20, 5),
            (23, 6),
            (25, 7),
            (30, 9),
            (40, 13),
        ];
        for (count, most) in table {
            assert_eq!(left_out(count), Some(most), "of {count}");
        }
        assert_eq!(left_out(5), None);
    }

    #[test]
    fn spoilt_readings_move_nothing() {
        let quiet: Vec<f64> = (0..24).map(|n| 0.99 + f64::from(n) / 10_000.0).collect();
        let mut spoilt = quiet.clone();
        spoilt[0] = 0.1;
        spoilt[23] = 9.0;
        assert_eq!(Interval::of(&spoilt), Interval::of(&quiet));
    }

    #[test]
    fn what_is_no_number_has_no_interval() {
        assert_eq!(Interval::of(&[1.0, 1.0, 1.0, 1.0, 1.0, f64::NAN]), None);
        assert_eq!(
            Interval::of(&[1.0, 1.0, 1.0, 1.0, 1.0, f64::INFINITY]),
            None
        );
    }

    #[test]
    fn so_many_readings_that_chances_underflow_have_no_interval() {
        assert!(Interval::of(&vec![1.0; 1_000]).is_some());
        assert_eq!(Interval::of(&vec![1.0; 2_000]), None);
    }
}
