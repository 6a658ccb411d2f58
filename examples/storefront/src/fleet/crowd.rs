//! Customers who come all the time, and notice everything.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use super::{phone::Phone, replica::Replica};

/// Comes until it is sent home.
#[derive(Debug)]
pub(super) struct Crowd {
    noticed: Arc<Mutex<Noticed>>,
    coming: JoinSet<()>,
}

/// What became of all requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Noticed {
    pub(super) requests: usize,
    pub(super) failed: usize,
    pub(super) slowest: Duration,
    /// The first that failed, in short.
    pub(super) failure: Option<String>,
}

const PAGES: [&str; 3] = [
    "/api/v1/recommendations?user=42",
    "/api/v1/users/42/profile",
    "/api/v1/dashboard?user_id=42",
];
const PAUSE: Duration = Duration::from_millis(25);

impl Crowd {
    /// One customer at each replica, who asks for one page after the other.
    pub(super) fn at(replicas: &[Replica]) -> Self {
        let noticed = Arc::default();
        let mut coming = JoinSet::new();
        for replica in replicas {
            coming.spawn(come(replica.phone().clone(), Arc::clone(&noticed)));
        }
        Self { noticed, coming }
    }

    pub(super) fn send_home(self) -> Noticed {
        drop(self.coming);
        let noticed = self.noticed.lock().unwrap_or_else(PoisonError::into_inner);
        noticed.clone()
    }
}

async fn come(phone: Phone, noticed: Arc<Mutex<Noticed>>) {
    for page in PAGES.iter().cycle() {
        let heard = phone.page(page).await;
        {
            let mut noticed = noticed.lock().unwrap_or_else(PoisonError::into_inner);
            noticed.requests += 1;
            noticed.slowest = noticed.slowest.max(heard.took);
            if !heard.is_well() {
                noticed.failed += 1;
                let words = || format!("{page}: {}", heard.words());
                noticed.failure.get_or_insert_with(words);
            }
        }
        sleep(PAUSE).await;
    }
}
