//! Shops that are visited at the same time.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Barrier, time::sleep};
use tower::BoxError;

use super::{ears::Ears, stage::Stage};
use crate::settings::{Safeguards, Settings};

/// Opening a shop makes a busy machine slow, and a shop that is being visited would be blamed.
#[derive(Clone, Debug)]
pub(super) struct Opening(Arc<Barrier>);

/// From one shop's first visitors to the next one's, so that not all of them come at one moment.
const APART: Duration = Duration::from_millis(100);

impl Opening {
    /// So many shops open.
    pub(super) fn of(shops: usize) -> Self {
        Self(Arc::new(Barrier::new(shops)))
    }

    /// Opens one, and waits for the others.
    pub(super) async fn set(
        &self,
        nth: u32,
        settings: &Settings,
        safeguards: &Safeguards,
        ears: &Ears,
    ) -> Result<Stage, BoxError> {
        let stage = Stage::set(settings, safeguards, ears).await;
        // Who could not open keeps nobody waiting.
        self.0.wait().await;
        sleep(APART * nth).await;
        stage
    }
}
