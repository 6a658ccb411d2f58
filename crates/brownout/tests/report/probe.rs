//! Services as probes of a registry.

use std::time::Duration;

use brownout::{
    Dependency, Registry,
    core::{ErrIsFailure, Verdict},
    registry::{Driver, Probe, Status},
    report::probe,
};
use brownout_testing::{Behaviour, ProbeHandle, ProbeService, TestError};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

type Handle = ProbeHandle<u32, u32, TestError>;

fn probed() -> (Dependency, Handle, Driver) {
    let registry = Registry::builder().seed(1).build().unwrap();
    let search = registry.dependency("search").register().unwrap();
    let (service, handle) = ProbeService::<u32, u32, TestError>::new(Ok);
    let check = probe::service(service, || 7, ErrIsFailure);
    let probe = Probe::new(check).interval(10 * SECOND).fall(1).rise(1);
    search.probe(probe).unwrap();
    let driver = registry.drive();
    (search, handle, driver)
}

fn private_error(dependency: &Dependency) -> Option<String> {
    let snapshot = dependency.registry().snapshot();
    let probe = &snapshot.dependency("search").unwrap().probes[0];
    probe.private_error.as_deref().map(str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn a_service_that_answers_is_healthy_and_one_that_fails_is_not() {
    let (search, handle, _driver) = probed();
    sleep(2 * SECOND).await;
    assert_eq!(search.status(), Status::Healthy);
    handle.always(Behaviour::answer(|_| Err(TestError::new("no index"))));
    sleep(12 * SECOND).await;
    assert_eq!(search.status(), Status::Unhealthy);
    assert!(private_error(&search).unwrap().contains("no index"));
    handle.always(Behaviour::answer(Ok));
    sleep(12 * SECOND).await;
    assert_eq!(search.status(), Status::Healthy);
    handle.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_become_ready_fails_and_is_asked_again() {
    let (search, handle, _driver) = probed();
    handle.make_pending();
    sleep(8 * SECOND).await;
    assert_eq!(search.status(), Status::Unhealthy);
    handle.fail_readiness(|| TestError::new("connection gone"));
    sleep(12 * SECOND).await;
    assert!(private_error(&search).unwrap().contains("connection gone"));
    handle.make_ready();
    sleep(12 * SECOND).await;
    assert_eq!(search.status(), Status::Healthy);
    handle.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_or_panics_fails_and_loses_no_service() {
    let (search, handle, driver) = probed();
    for behaviour in [
        Behaviour::hang(),
        Behaviour::panic_in_call(),
        Behaviour::panic_in_poll(),
    ] {
        handle.always(behaviour);
        sleep(17 * SECOND).await;
        assert_eq!(search.status(), Status::Unhealthy);
        handle.always(Behaviour::answer(Ok));
        sleep(17 * SECOND).await;
        assert_eq!(search.status(), Status::Healthy);
    }
    assert_eq!(handle.counts().instances, 1);
    drop(driver);
    handle.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn only_a_success_passes() {
    for (verdict, said) in [
        (Verdict::Success, None),
        (Verdict::Neutral, Some("the answer says nothing")),
        (Verdict::Failure, Some("the answer is a failure")),
        (
            Verdict::Trip { open_for: SECOND },
            Some("the answer is a failure"),
        ),
    ] {
        let (service, _) = ProbeService::<u32, u32, TestError>::new(Ok);
        let check = probe::service(service, || 7, move |_: Result<&u32, &TestError>| verdict);
        let outcome = check().await.map_err(|failed| failed.to_string());
        assert_eq!(outcome.err().as_deref(), said);
    }
}

#[tokio::test(start_paused = true)]
async fn checks_do_not_overlap_on_one_instance() {
    let (service, handle) = ProbeService::<u32, u32, TestError>::new(Ok);
    handle.next(Behaviour::answer(Ok).after(SECOND));
    let check = probe::service(service, || 7, ErrIsFailure);
    let (first, second) = tokio::join!(check(), check());
    assert!(first.is_ok());
    assert_eq!(
        second.unwrap_err().to_string(),
        "another check is under way"
    );
    assert!(check().await.is_ok());
}

#[cfg(feature = "http")]
#[tokio::test(start_paused = true)]
async fn an_http_check_asks_for_its_uri_and_passes_on_2xx() {
    use http::{Method, Request, Response};
    for (status, said) in [
        (200, None),
        (204, None),
        (302, Some("answered 302 Found")),
        (404, Some("answered 404 Not Found")),
        (503, Some("answered 503 Service Unavailable")),
    ] {
        let client = tower::service_fn(move |request: Request<String>| async move {
            assert_eq!(request.method(), Method::GET);
            assert_eq!(request.uri(), "http://search/readyz");
            Response::builder().status(status).body(request.into_body())
        });
        let check = probe::http(client, http::Uri::from_static("http://search/readyz"));
        let outcome = check().await.map_err(|failed| failed.to_string());
        assert_eq!(outcome.err().as_deref(), said);
    }
}
