//! Random bodies beside a slow, obvious model: what the inner service reads is what the body gives.

use brownout::http::ReplayLayer;
use brownout_testing::{
    MockBody, TestError,
    body::{Step, data, error, pending, trailers},
};
use http_body::{Body, SizeHint};
use proptest::prelude::*;

use crate::common::{Read, checksum, read, through};

#[derive(Clone, Copy, Debug)]
enum Part {
    Data(usize),
    Pending,
    Trailers,
    Error,
}

/// What a body says of its size, beside the truth.
#[derive(Clone, Copy, Debug)]
enum Says {
    Truth,
    Nothing,
    Exactly(u64),
    Between(u64, u64),
}

#[derive(Clone, Debug)]
struct Case {
    parts: Vec<Part>,
    says: Says,
    ends_openly: bool,
    limit: usize,
    of_unknown_size: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let part = prop_oneof![
        6 => (0..9_usize).prop_map(Part::Data),
        2 => Just(Part::Pending),
        1 => Just(Part::Trailers),
        1 => Just(Part::Error),
    ];
    let says = prop_oneof![
        4 => Just(Says::Truth),
        2 => Just(Says::Nothing),
        1 => (0..30_u64).prop_map(Says::Exactly),
        1 => (0..20_u64, 0..20_u64).prop_map(|(low, more)| Says::Between(low, low + more)),
    ];
    let parts = proptest::collection::vec(part, 0..7);
    (parts, says, any::<bool>(), 0..30_usize, any::<bool>()).prop_map(
        |(parts, says, ends_openly, limit, of_unknown_size)| Case {
            parts,
            says,
            ends_openly,
            limit,
            of_unknown_size,
        },
    )
}

impl Case {
    fn body(&self) -> MockBody {
        let mut next = 0_u8;
        let steps = self.parts.iter().map(|part| -> Step<TestError> {
            match part {
                Part::Data(length) => data(
                    (0..*length)
                        .map(|_| {
                            next = next.wrapping_add(1);
                            next
                        })
                        .collect::<Vec<_>>(),
                ),
                Part::Pending => pending(),
                Part::Trailers => trailers(checksum()),
                Part::Error => error(TestError::new("reset")),
            }
        });
        let body = MockBody::new(steps.collect::<Vec<_>>());
        let body = match self.says {
            Says::Truth => body,
            Says::Nothing => body.with_unknown_size(),
            Says::Exactly(size) => body.with_size_hint(SizeHint::with_exact(size)),
            Says::Between(low, high) => {
                let mut hint = SizeHint::new();
                hint.set_upper(high);
                hint.set_lower(low);
                body.with_size_hint(hint)
            }
        };
        if self.ends_openly {
            body
        } else {
            body.with_end_stream(false)
        }
    }

    fn layer(&self) -> ReplayLayer {
        let layer = ReplayLayer::new().limit(self.limit);
        if self.of_unknown_size {
            layer.of_unknown_size()
        } else {
            layer
        }
    }

    /// Whether the body should be kept, by the table of the module's documentation.
    fn kept(&self, whole: &Read) -> bool {
        let body = self.body();
        if body.is_end_stream() {
            return true;
        }
        let limit = self.limit as u64;
        let size = body.size_hint();
        let read_at_all = match size.exact() {
            Some(size) => size <= limit,
            None => self.of_unknown_size && size.lower() <= limit,
        };
        let length = whole.data.len() as u64;
        let honest = size.upper().is_none_or(|upper| length <= upper);
        read_at_all && honest && length <= limit && whole.error.is_none() && self.in_order()
    }

    /// Whether nothing comes after the first trailers, as in every body that HTTP can carry.
    fn in_order(&self) -> bool {
        let frames = self
            .parts
            .iter()
            .filter(|part| !matches!(part, Part::Pending));
        !frames
            .skip_while(|part| !matches!(part, Part::Trailers))
            .skip(1)
            .any(|part| !matches!(part, Part::Pending))
    }
}

/// How many frames there are is not what a body means.
fn meaning(read: Read) -> Read {
    Read { frames: 0, ..read }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_inner_service_reads_what_the_body_gives(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let whole = meaning(read(case.body()).await);
            let (sent, watch) = case.body().watched();
            let body = through(case.layer(), sent).await;
            // Beyond the limit, at most the frame that showed that it was exceeded.
            prop_assert!(watch.bytes() <= case.limit + 8);
            let again = body.again();
            prop_assert_eq!(again.is_some(), case.kept(&whole));
            prop_assert_eq!(again.is_some(), watch.dropped());
            if again.is_some() {
                prop_assert_eq!(body.size_hint().lower(), whole.data.len() as u64);
                let sized = whole.trailers.is_none() || case.body().size_hint().exact().is_some();
                prop_assert_eq!(body.size_hint().exact().is_some(), sized);
                prop_assert_eq!(body.is_end_stream(), whole.data.is_empty() && whole.trailers.is_none());
            }
            prop_assert_eq!(meaning(read(body).await), whole.clone());
            if let Some(again) = again {
                prop_assert_eq!(meaning(read(again).await), whole);
            }
            Ok(())
        })?;
    }
}
