use std::{pin::pin, sync::Arc};

use brownout::{registry::Watch, report::Phase};
use futures_util::{Stream, future::select, stream};
use tonic::Status;

use crate::{
    messages::{CheckResponse, Condition},
    serving::State,
};

/// One who watches a name, in the task that reads the stream.
struct Watcher {
    state: Arc<State>,
    name: String,
    registry: Watch,
    /// What was sent last, and the phase before it was found.
    sent: Option<(Condition, Phase)>,
}

/// What is so, and then whatever differs from what was sent last. It does not end.
pub(crate) fn watch(
    state: Arc<State>,
    name: String,
) -> impl Stream<Item = Result<CheckResponse, Status>> + Send + 'static {
    let watcher = Watcher {
        registry: state.registry.watch(),
        state,
        name,
        sent: None,
    };
    stream::unfold(watcher, |mut watcher| async {
        let serving = watcher.next().await;
        Some((Ok(serving.into()), watcher))
    })
}

impl Watcher {
    async fn next(&mut self) -> Condition {
        loop {
            // Read before what follows from it, so that a change in between is a change to come.
            let phase = self.state.process.phase();
            let serving = self.state.serving(&self.name);
            let serving = serving.unwrap_or(Condition::ServiceUnknown);
            let sent = self.sent.replace((serving, phase));
            if sent.is_none_or(|(before, _)| before != serving) {
                return serving;
            }
            self.changed(phase).await;
        }
    }

    async fn changed(&mut self, seen: Phase) {
        let process = pin!(self.state.process.other_than(seen));
        let registry = pin!(self.registry.changed());
        select(process, registry).await;
    }
}
