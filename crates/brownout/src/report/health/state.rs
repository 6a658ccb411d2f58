use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use brownout_registry::{Dependency, Registry, Status};
use http::request::Parts;

use crate::{
    core::caught,
    report::{Lifecycle, Phase},
};

use super::{
    answer::Answer,
    details::{Check, Document, lines},
    endpoint::{Endpoint, Paths, is_verbose},
    verdict::Verdict,
};

/// All that answers are made of. Shared by every service that the layer makes.
#[derive(Clone)]
pub(super) struct State {
    pub(super) registry: Registry,
    pub(super) process: Lifecycle,
    pub(super) needed: Vec<Arc<Needed>>,
    pub(super) paths: Paths,
    pub(super) authorise: Option<Arc<Authorise>>,
    pub(super) service_id: Option<Box<str>>,
    pub(super) release_id: Option<Box<str>>,
}

pub(super) type Authorise = dyn Fn(&Parts) -> bool + Send + Sync;

/// A dependency without which the process should get no requests.
pub(super) struct Needed {
    dependency: Dependency,
    /// Whether anybody has ever said how it is.
    observed: AtomicBool,
}

impl Needed {
    pub(super) fn new(dependency: Dependency) -> Self {
        Self {
            dependency,
            observed: AtomicBool::new(false),
        }
    }

    /// Readiness switches this process's traffic to the dependency, which is why that traffic has no say.
    fn status(&self) -> Status {
        let status = self.dependency.status_without_traffic();
        if status != Status::Unknown && !self.observed.load(Relaxed) {
            self.observed.store(true, Relaxed);
        }
        status
    }

    fn is_observed(&self) -> bool {
        self.status() != Status::Unknown || self.observed.load(Relaxed)
    }

    fn verdict(&self) -> Verdict {
        let verdict = Verdict::from(self.status());
        verdict.max(Verdict::failed_if(!self.is_observed()))
    }

    fn readiness(&self) -> Check {
        let status = self.status();
        if self.is_observed() {
            status.into()
        } else {
            Check::Failed
        }
    }

    fn observation(&self) -> Check {
        Check::ok_if(self.is_observed())
    }
}

impl State {
    pub(super) fn answer(&self, endpoint: Endpoint, request: &Parts) -> Answer {
        if !Answer::takes(&request.method) {
            return Answer::method_not_allowed();
        }
        let verdict = self.verdict(endpoint);
        let verbose = is_verbose(request.uri.query());
        let has_details = verbose || endpoint == Endpoint::Health;
        let answer = if !has_details || !self.trusts(request) {
            Answer::word(verdict)
        } else if verbose {
            Answer::text(verdict, self.lines(endpoint, verdict))
        } else {
            Answer::json(verdict, self.document(verdict))
        };
        answer.to(&request.method)
    }

    fn verdict(&self, endpoint: Endpoint) -> Verdict {
        match endpoint {
            Endpoint::Live => Verdict::Pass,
            Endpoint::Ready => {
                let needed = self.needed.iter().map(|needed| needed.verdict());
                needed.fold(Verdict::failed_if(!self.serves()), Ord::max)
            }
            Endpoint::Startup => {
                let observed = self.needed.iter().all(|needed| needed.is_observed());
                Verdict::failed_if(!self.has_started() || !observed)
            }
            Endpoint::Health => self.registry.health().into(),
        }
    }

    fn lines(&self, endpoint: Endpoint, verdict: Verdict) -> String {
        let name = endpoint.name();
        let process = |passes| std::iter::once(("process", Check::ok_if(passes)));
        let needed = |check: fn(&Needed) -> Check| {
            let name = |needed: &'_ Arc<Needed>| needed.dependency.shared_name();
            let checks = self.needed.iter().map(move |n| (name(n), check(n)));
            checks.collect::<Vec<_>>()
        };
        match endpoint {
            Endpoint::Live => lines(name, verdict, process(true)),
            Endpoint::Ready => {
                let needed = needed(Needed::readiness);
                let needed = needed.iter().map(|(name, check)| (&**name, *check));
                lines(name, verdict, process(self.serves()).chain(needed))
            }
            Endpoint::Startup => {
                let needed = needed(Needed::observation);
                let needed = needed.iter().map(|(name, check)| (&**name, *check));
                lines(name, verdict, process(self.has_started()).chain(needed))
            }
            Endpoint::Health => {
                let picture = self.registry.snapshot();
                let all = picture.dependencies.iter();
                let checks = all.map(|view| (&*view.name, Check::from(view.status)));
                lines(name, verdict, checks)
            }
        }
    }

    fn document(&self, verdict: Verdict) -> String {
        let document = Document {
            verdict,
            service_id: self.service_id.as_deref(),
            release_id: self.release_id.as_deref(),
            snapshot: &self.registry.snapshot(),
        };
        document.to_string()
    }

    fn serves(&self) -> bool {
        self.process.phase() == Phase::Serving
    }

    fn has_started(&self) -> bool {
        self.process.phase() != Phase::Starting
    }

    /// An authoriser that panics has authorised nobody.
    fn trusts(&self, request: &Parts) -> bool {
        let authorise = self.authorise.as_deref();
        authorise.is_some_and(|authorise| caught(|| authorise(request)).unwrap_or(false))
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.needed.iter().map(|needed| needed.dependency.name());
        f.debug_struct("State")
            .field("process", &self.process)
            .field("ready_when", &names.collect::<Vec<_>>())
            .field("paths", &self.paths)
            .field("shows_details", &self.authorise.is_some())
            .finish_non_exhaustive()
    }
}
