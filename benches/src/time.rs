//! Nanoseconds a call: many short batches, of which the tenth percentile counts.
//!
//! On a shared machine the mean measures the neighbours. A low percentile of batches that are long beside the clock and
//! short beside a time slice is what repeats best. It is still only a time: it is printed, and nothing is asserted on it.

use std::time::{Duration, Instant};

use crate::drive::{Shape, runtime};
use crate::figure::{Figure, Nanoseconds, quotient};
use crate::scaling::calls_in;
use crate::subjects::Subject;

/// A thousand times what reading the clock takes.
const BATCH: Duration = Duration::from_micros(30);

/// How long one subject in one shape is watched.
const WATCH: Duration = Duration::from_millis(120);

/// Below this a percentile means nothing, however long the batches take.
const LEAST_BATCHES: usize = 20;

/// Nanoseconds a call of `subject`.
pub fn measure(subject: &Subject, shape: Shape) -> Figure<Nanoseconds> {
    if !subject.has(shape) {
        return Figure::Skipped;
    }
    let _context = runtime().enter();
    let mut drive = subject.build();
    let calls = match subject.span {
        Some(span) => span,
        None => calls_in(BATCH, drive.as_mut(), shape),
    };

    let mut batches = Vec::with_capacity(8_192);
    let watch = Instant::now();
    while watch.elapsed() < WATCH || batches.len() < LEAST_BATCHES {
        if subject.span.is_some() {
            drive = subject.build();
        }
        let start = Instant::now();
        drive.run(shape, calls);
        batches.push(start.elapsed().as_secs_f64() * 1e9 / quotient(calls, 1));
    }
    batches.sort_by(f64::total_cmp);
    Figure::Known(Nanoseconds {
        p10: percentile(&batches, 10),
        p90: percentile(&batches, 90),
    })
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_the_sorted_batches() {
        let batches: Vec<f64> = (0..=100).map(f64::from).collect();
        assert!((percentile(&batches, 10) - 10.0).abs() < f64::EPSILON);
        assert!((percentile(&batches, 90) - 90.0).abs() < f64::EPSILON);
    }
}
