//! Nanoseconds a call with Criterion's confidence intervals, for every subject in both shapes.
//!
//! `cargo bench -p brownout-benches -- breaker-open` compares one row across the crates. Times are read, never asserted.

use std::time::{Duration, Instant};

use brownout_benches::budget::PATHS;
use brownout_benches::drive::{Shape, runtime};
use brownout_benches::figure::quotient;
use brownout_benches::subjects::{self, Subject};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn rows(criterion: &mut Criterion) {
    let _context = runtime().enter();
    for path in PATHS {
        let mut row = criterion.benchmark_group(path.id);
        for subject in subjects::all().filter(|subject| subject.path == path.id) {
            for shape in Shape::ALL.into_iter().filter(|shape| subject.has(*shape)) {
                let id = BenchmarkId::new(subject.column.name(), shape.name());
                if let Some(span) = subject.span {
                    // The fewest that Criterion takes, because each one pays for building the subject anew.
                    row.sample_size(10);
                    row.bench_function(id, |bencher| {
                        bencher.iter_custom(|calls| spanning(subject, shape, span, calls));
                    });
                } else {
                    let mut drive = subject.build();
                    row.bench_function(id, |bencher| {
                        bencher.iter_custom(|calls| {
                            let start = Instant::now();
                            drive.run(shape, calls);
                            start.elapsed()
                        });
                    });
                }
            }
        }
        row.finish();
    }
}

// One span stands for all the calls that Criterion asks for: to build the subject again for each few of them would take
// minutes.
fn spanning(subject: &Subject, shape: Shape, span: u64, calls: u64) -> Duration {
    let mut drive = subject.build();
    let start = Instant::now();
    drive.run(shape, span);
    start.elapsed().mul_f64(quotient(calls, span))
}

criterion_group! {
    name = times;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = rows
}
criterion_main!(times);
