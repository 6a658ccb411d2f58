//! Good answers, remembered.

use std::sync::Arc;

use tokio::time::Instant;

use super::NotInStore;
use crate::{
    answer::Answer,
    customer::{Profile, UserId},
};

/// More customers than that are not remembered; those who have not been asked for lately are forgotten.
const CUSTOMERS: usize = 10_000;

/// The latest good answer about each customer. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Cache(Arc<quick_cache::sync::Cache<UserId, (Profile, Instant)>>);

impl Cache {
    pub(crate) fn new() -> Self {
        Self(Arc::new(quick_cache::sync::Cache::new(CUSTOMERS)))
    }

    /// Takes down what the users service said: only it is asked, so that no copy is ever copied.
    pub(crate) fn note(&self, id: UserId, profile: Option<&Profile>) {
        match profile {
            Some(profile) => self.0.insert(id, (profile.clone(), Instant::now())),
            None => {
                self.0.remove(&id);
            }
        }
    }

    /// What is remembered of a customer, with its age.
    pub(crate) fn get(&self, id: UserId) -> Result<Answer<Option<Profile>>, NotInStore> {
        let (profile, at) = self.0.get(&id).ok_or(NotInStore::Unknown)?;
        Ok(Answer::aged(Some(profile), at.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::customer::everybody;

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_comes_with_its_age() {
        let cache = Cache::new();
        let profile = Profile::minimal(UserId(7));
        cache.note(UserId(7), Some(&profile));
        advance(Duration::from_secs(42)).await;
        let answer = cache.get(UserId(7)).unwrap();
        assert_eq!(answer.value, Some(profile));
        assert_eq!(answer.age, Some(Duration::from_secs(42)));
    }

    #[test]
    fn who_is_no_longer_a_customer_is_forgotten() {
        let cache = Cache::new();
        cache.note(UserId(7), Some(&Profile::minimal(UserId(7))));
        cache.note(UserId(7), None);
        let missing = cache.get(UserId(7)).unwrap_err();
        assert_eq!(missing, NotInStore::Unknown);
    }

    #[test]
    fn it_is_bounded() {
        let cache = Cache::new();
        for round in 0..3 {
            for profile in everybody() {
                let id = UserId(round * 100_000 + profile.id.0);
                cache.note(id, Some(&profile));
            }
        }
        assert!(cache.0.len() <= CUSTOMERS, "{}", cache.0.len());
    }
}
