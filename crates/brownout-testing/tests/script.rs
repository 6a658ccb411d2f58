//! Scripted services.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop there"
)]

use std::time::Duration;

use brownout_testing::script::{after, err, hang, ok, panic};
use brownout_testing::{Script, TestError};
use tokio::time::{Instant, timeout};
use tower::{Service, ServiceExt};

#[tokio::test]
async fn steps_are_used_in_order_whichever_clone_is_called() {
    let mut service: Script<(), u32, TestError> =
        Script::new([ok(1), err(TestError::new("down")), ok(3)]);
    assert_eq!(service.clone().oneshot(()).await, Ok(1));
    assert_eq!(
        service.ready().await.unwrap().call(()).await,
        Err(TestError::new("down"))
    );
    assert_eq!(service.remaining(), 1);
    assert_eq!(service.oneshot(()).await, Ok(3));
}

#[tokio::test]
async fn an_exhausted_script_panics_and_says_so() {
    let service: Script<(), u32, TestError> = Script::new([ok(1)]);
    assert_eq!(service.clone().oneshot(()).await, Ok(1));
    let panic = tokio::spawn(service.oneshot(()))
        .await
        .unwrap_err()
        .into_panic();
    let message = panic.downcast::<String>().unwrap();
    assert!(
        message.starts_with("script exhausted: the script has 1 steps"),
        "{message}"
    );
}

#[tokio::test]
async fn a_default_answers_when_the_list_is_at_its_end() {
    let service = Script::new([ok::<_, TestError>(1)]).then(|request: u32| Ok(request * 2));
    assert_eq!(service.clone().oneshot(20).await, Ok(1));
    assert_eq!(service.clone().oneshot(20).await, Ok(40));
    assert_eq!(service.oneshot(30).await, Ok(60));
}

#[tokio::test(start_paused = true)]
async fn delays_add_up() {
    let second = Duration::from_secs(1);
    let service: Script<(), u32, TestError> = Script::new([after(second, after(second, ok(1)))]);
    let start = Instant::now();
    assert_eq!(service.oneshot(()).await, Ok(1));
    assert_eq!(start.elapsed(), 2 * second);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_step_hangs_and_a_panicking_step_panics() {
    let service: Script<(), u32, TestError> = Script::new([hang(), panic()]);
    assert!(
        timeout(Duration::from_secs(4000), service.clone().oneshot(()))
            .await
            .is_err()
    );
    assert_eq!(service.handle().counts().dropped, 1);
    assert!(
        tokio::spawn(service.clone().oneshot(()))
            .await
            .unwrap_err()
            .is_panic()
    );
    assert_eq!(service.handle().counts().panicked, 1);
}

#[tokio::test]
async fn a_script_checks_the_contract() {
    let mut service: Script<(), u32, TestError> = Script::new([ok(1)]);
    let handle = service.handle();
    let called = tokio::spawn(async move { service.call(()).await });
    assert!(called.await.unwrap_err().is_panic());
    assert_eq!(handle.violations().len(), 1);
}
