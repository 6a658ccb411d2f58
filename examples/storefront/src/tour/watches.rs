//! Who is told by gRPC, without asking again.

use std::time::Duration;

use super::{
    machine::{Machine, Watching},
    promises::Promises,
};
use crate::grpc::PAYMENTS;

/// Who watches the payments, which are judged by probes alone, and the shop as a whole.
#[derive(Debug)]
pub(super) struct Watches {
    payments: Watching,
    whole: Watching,
}

impl Watches {
    pub(super) async fn of(machine: &Machine) -> Self {
        Self {
            payments: machine.watch(PAYMENTS).await,
            whole: machine.watch("").await,
        }
    }

    /// They are told this, within that time.
    pub(super) async fn hear(
        &mut self,
        news: &str,
        of: &str,
        within: Duration,
        promises: &mut Promises,
    ) {
        for (name, watch) in [
            (PAYMENTS, &mut self.payments),
            ("the whole", &mut self.whole),
        ] {
            let heard = watch.hears(news, within).await;
            promises.check(
                format!("who watches {name} by gRPC hears {of}: {news}"),
                heard == news,
                format!("they heard {heard}"),
            );
        }
    }
}
