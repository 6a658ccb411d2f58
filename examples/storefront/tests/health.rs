//! How a shop as people run it says how it is: to strangers, to operators, and to machines.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

mod shop;

use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use self::shop::{LONG, Shop, ask, get, send, until};

const PATHS: [&str; 4] = ["/livez", "/readyz", "/startupz", "/health"];

#[test]
fn strangers_are_told_one_word_at_each_path() {
    let shop = Shop::start();
    until("pass", || get(&shop.address, "/health"));
    for path in PATHS {
        for path in [path.to_owned(), format!("{path}?verbose")] {
            let answer = get(&shop.address, &path);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {head}");
            assert!(
                head.contains("content-type: application/health+json"),
                "{path}: {head}"
            );
            assert!(head.contains("cache-control: no-store"), "{path}: {head}");
            assert_eq!(body, r#"{"status":"pass"}"#, "{path}");
        }
        let head = ask(&shop.address, "HEAD", path, "");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        assert!(
            head.contains("content-length: 17") && head.ends_with("\r\n\r\n"),
            "{path}: {head}"
        );
        let posted = ask(&shop.address, "POST", path, "");
        assert!(posted.starts_with("HTTP/1.1 405"), "{path}: {posted}");
        assert!(posted.contains("allow: GET, HEAD"), "{path}: {posted}");
    }
}

#[test]
fn operators_are_told_of_each_dependency() {
    let shop = Shop::start();
    until("pass", || get(&shop.address, "/health"));
    let details = get(&shop.control, "/health");
    for said in [
        r#""serviceId":"storefront""#,
        r#""level":"full""#,
        r#""payments":[{"componentId":"payments""#,
        r#""database:responseTime":[{"observedValue":"#,
    ] {
        assert!(details.contains(said), "no {said} in {details}");
    }
    let lines = get(&shop.control, "/health?verbose");
    assert!(lines.contains("[+]payments ok\n"), "{lines}");
    assert!(lines.ends_with("health check passed\n"), "{lines}");
}

#[test]
fn metrics_are_for_operators() {
    let shop = Shop::start();
    get(&shop.address, "/api/v1/users/42/profile");
    let page = get(&shop.control, "/metrics");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(
        page.contains("content-type: text/plain; version=0.0.4"),
        "{page}"
    );
    let call = r#"brownout_calls_total{dependency="users",layer="breaker",outcome="success"} 1"#;
    assert!(page.contains(call), "{page}");
    assert!(get(&shop.address, "/metrics").starts_with("HTTP/1.1 404"));
}

/// A page of another site whose name resolves to this machine sends that name.
#[test]
fn the_control_port_turns_away_requests_by_other_hosts_names() {
    let shop = Shop::start();
    let by = |name: &str, request: &str| {
        let head = format!("{request} HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n");
        send(
            &shop.control,
            &format!("{head}content-length: 4\r\n\r\nhang"),
        )
    };
    for request in ["GET /", "GET /health", "GET /metrics", "PUT /users"] {
        let refused = by("evil.example:3001", request);
        assert!(refused.starts_with("HTTP/1.1 403"), "{request}: {refused}");
        assert!(refused.contains("localhost"), "{request}: {refused}");
    }
    assert!(!get(&shop.control, "/").contains("hang"));
    let port = shop.control.split_once(':').unwrap().1;
    for name in [
        format!("localhost:{port}"),
        "127.0.0.1".to_owned(),
        format!("[::1]:{port}"),
    ] {
        assert!(by(&name, "GET /").starts_with("HTTP/1.1 200"), "{name}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn machines_ask_by_grpc() {
    let shop = Shop::start();
    let door = Endpoint::from_shared(format!("http://{}", shop.grpc)).unwrap();
    let client = HealthClient::new(door.timeout(LONG).connect().await.unwrap());
    let request = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    let mut watching = client
        .clone()
        .watch(request(""))
        .await
        .unwrap()
        .into_inner();
    let next = watching.message().await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::Serving);
    for name in ["", "liveness", "readiness"] {
        let answer = client.clone().check(request(name)).await.unwrap();
        assert_eq!(
            answer.into_inner().status(),
            ServingStatus::Serving,
            "{name:?}"
        );
    }
    let unknown = client.clone().check(request("storefront.Payroll")).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);

    ask(&shop.control, "PUT", "/payments", "closed-port");
    for n in 0..5 {
        assert!(shop.pay(&format!("order-{n}")).starts_with("HTTP/1.1 202"));
    }
    let next = watching.message().await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::NotServing);
    let health = get(&shop.address, "/health");
    assert!(health.starts_with("HTTP/1.1 503"), "{health}");
    assert!(get(&shop.address, "/readyz").starts_with("HTTP/1.1 200"));

    // The payments that wait keep the shop a while longer.
    let watching = client.clone().watch(request("readiness")).await;
    let mut watching = watching.unwrap().into_inner();
    let next = watching.message().await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::Serving);
    shop.terminate();
    let next = watching.message().await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::NotServing);
    assert!(
        !matches!(watching.message().await, Ok(Some(_))),
        "that was the last news"
    );
    assert_eq!(shop.end().0, Some(0));
}

#[cfg(unix)]
#[test]
fn sigterm_is_told_while_a_request_in_flight_finishes_and_ends_with_code_0() {
    let shop = Shop::start();
    assert!(ask(&shop.control, "PUT", "/payments", "latency 3s").starts_with("HTTP/1.1 200"));
    let (answer, ended) = std::thread::scope(|scope| {
        let answer = scope.spawn(|| shop.pay("order-1"));
        // The service has the call, so the shop has it too.
        until("\"name\":\"payments\",\"fault\":\"latency 3s\"", || {
            get(&shop.control, "/")
        });
        until("\"calls\":1", || get(&shop.control, "/"));
        shop.terminate();
        for address in [&shop.address, &shop.control] {
            let ready = until("fail", || get(address, "/readyz"));
            assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
            assert!(get(address, "/livez").starts_with("HTTP/1.1 200"));
        }
        let was_in_flight = !answer.is_finished();
        (answer.join().unwrap(), was_in_flight)
    });
    assert!(
        ended,
        "what was asked after SIGTERM was asked while the payment was made"
    );
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(shop.end().0, Some(0));
}

#[cfg(unix)]
#[test]
fn payments_that_wait_are_made_before_the_shop_ends_if_they_can_be() {
    for mended in [true, false] {
        let shop = Shop::start();
        ask(&shop.control, "PUT", "/payments", "closed-port");
        assert!(shop.pay("order-1").starts_with("HTTP/1.1 202"));
        shop.terminate();
        until("fail", || get(&shop.control, "/readyz"));
        if mended {
            ask(&shop.control, "PUT", "/payments", "none");
        }
        let (code, log) = shop.end();
        assert_eq!(code, Some(0), "{log}");
        assert_eq!(log.contains("are lost"), !mended, "{log}");
    }
}
