//! What a second thread adds: two threads on clones of one instance, against one thread.
//!
//! The ratio falls when threads write the same cache line, which no count of instructions shows. A machine's second core
//! may be half asleep, or busy with something else, so the subject is judged by its share of what two threads reach that
//! share nothing: two *private* counters are run before and after each round of the subject. The round counts only if both
//! showed the two cores to be free; of five that count, the best is taken, for the subject as for the control.
//!
//! Without that condition a busy machine would also flatter what scales badly: where threads fight over a line, taking
//! turns is faster than running at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::drive::{Drive, OpDrive, Shape, runtime};
use crate::figure::{Figure, Scaling, quotient};
use crate::subjects::Subject;

/// How many rounds must have counted.
const ROUNDS: u32 = 5;

/// How many are tried on a busy machine.
const MOST_ROUNDS: u32 = 40;

/// Long beside the microseconds it takes to start a thread, short beside what a busy machine leaves undisturbed.
const ROUND: Duration = Duration::from_millis(5);

/// Below this the machine itself does not run two threads at once, and nothing can be said about a subject.
const LEAST_CONTROL: f64 = 1.8;

/// Two threads ÷ one for `subject`, with the control of the same rounds.
pub fn measure(subject: &Subject, shape: Shape) -> Figure<Scaling> {
    if !subject.has(shape) || !subject.scales {
        return Figure::Skipped;
    }
    match thread::available_parallelism() {
        Ok(cores) if cores.get() >= 2 => {}
        Ok(_) => return Figure::Unknown("one core".to_owned()),
        Err(error) => return Figure::Unknown(format!("the number of cores is unknown: {error}")),
    }

    let _context = runtime().enter();
    let mut subject = Contest::new(subject.build(), shape);
    let mut control = Contest::new(private_counter(), Shape::Reused);
    let mut tally = Tally::default();
    let mut before = control.round();
    while tally.counted < ROUNDS && tally.tried < MOST_ROUNDS {
        let ratio = subject.round();
        let after = control.round();
        tally.add(ratio, before.min(after));
        before = after;
    }
    tally.judge()
}

/// The best of the rounds that count.
#[derive(Debug, Default)]
struct Tally {
    tried: u32,
    counted: u32,
    ratio: f64,
    control: f64,
}

impl Tally {
    fn add(&mut self, ratio: f64, control: f64) {
        self.tried += 1;
        if control >= LEAST_CONTROL {
            self.counted += 1;
            self.ratio = self.ratio.max(ratio);
            self.control = self.control.max(control);
        }
    }

    fn judge(&self) -> Figure<Scaling> {
        if self.counted < ROUNDS {
            return Figure::Unknown(format!(
                "two private counters reached {LEAST_CONTROL} in fewer than {ROUNDS} of {} rounds",
                self.tried
            ));
        }
        Figure::Known(Scaling {
            ratio: self.ratio,
            control: self.control,
        })
    }
}

/// One and two threads on the same instance.
struct Contest {
    first: Box<dyn Drive>,
    second: Box<dyn Drive>,
    shape: Shape,
    calls: u64,
    alone: Duration,
}

impl Contest {
    fn new(mut first: Box<dyn Drive>, shape: Shape) -> Self {
        let second = first.fork();
        let calls = calls_in(ROUND, first.as_mut(), shape);
        Self {
            first,
            second,
            shape,
            calls,
            alone: Duration::MAX,
        }
    }

    // One thread's best time is taken over all rounds: it needs no second core, and is disturbed all the same.
    fn round(&mut self) -> f64 {
        let start = Instant::now();
        self.first.run(self.shape, self.calls);
        self.alone = self.alone.min(start.elapsed());
        2.0 * self.alone.as_secs_f64() / self.both().as_secs_f64()
    }

    // From the moment both threads run until the later one is done.
    fn both(&mut self) -> Duration {
        let arrived = AtomicUsize::new(0);
        let (shape, calls) = (self.shape, self.calls);
        let lap = |drive: &mut Box<dyn Drive>| {
            let _context = runtime().enter();
            arrived.fetch_add(1, Ordering::AcqRel);
            while arrived.load(Ordering::Acquire) < 2 {
                thread::yield_now();
            }
            let start = Instant::now();
            drive.run(shape, calls);
            (start, Instant::now())
        };
        let (one, two) = thread::scope(|scope| {
            let second = &mut self.second;
            let other = scope.spawn(move || lap(second));
            let one = lap(&mut self.first);
            // A panic in the other thread is this thread's own.
            (
                one,
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            )
        });
        one.1.max(two.1) - one.0.min(two.0)
    }
}

/// How many calls fill `span`, found by doubling.
pub(crate) fn calls_in(span: Duration, drive: &mut dyn Drive, shape: Shape) -> u64 {
    let mut calls = 16;
    loop {
        let start = Instant::now();
        drive.run(shape, calls);
        let taken = start.elapsed();
        if taken >= span / 4 {
            let more = span.as_secs_f64() / taken.as_secs_f64();
            return scaled(calls, more).max(1);
        }
        calls *= 2;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive count of calls"
)]
fn scaled(calls: u64, by: f64) -> u64 {
    (quotient(calls, 1) * by) as u64
}

fn private_counter() -> Box<dyn Drive> {
    let mut count = 0_u64;
    OpDrive::boxed(move || {
        count = std::hint::black_box(count) + 1;
        count
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(rounds: &[(f64, f64)]) -> Figure<Scaling> {
        let mut tally = Tally::default();
        for (ratio, control) in rounds {
            tally.add(*ratio, *control);
        }
        tally.judge()
    }

    #[test]
    fn nothing_is_said_where_the_control_itself_does_not_scale() {
        let said = tally(&[(1.0, 1.79); 40]);
        assert!(
            said.unknown()
                .is_some_and(|reason| reason.contains("40 rounds"))
        );
    }

    #[test]
    fn a_round_on_a_busy_machine_does_not_count_for_the_subject_either() {
        let said = tally(&[
            (0.3, 1.9),
            (1.0, 1.2),
            (0.4, 2.0),
            (0.3, 1.9),
            (0.3, 1.9),
            (0.3, 1.9),
        ]);
        assert_eq!(
            said,
            Figure::Known(Scaling {
                ratio: 0.4,
                control: 2.0
            })
        );
    }
}
