//! Serving as people run it: starting, breaking things with plain HTTP, and stopping.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

mod shop;

use std::{net::TcpListener, process::Command};

use self::shop::{Shop, ask, until};

#[test]
fn every_port_can_be_chosen_and_is_named_when_it_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for option in ["--port", "--control-port", "--grpc-port"] {
        let others = ["--port", "--control-port", "--grpc-port"];
        let others = others.into_iter().filter(|other| *other != option);
        let output = Command::new(env!("CARGO_BIN_EXE_storefront"))
            .args([option, &port])
            .args(others.flat_map(|other| [other, "0"]))
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
        assert!(error.contains(&format!("{option} 0")), "{error}");
    }
}

#[test]
fn a_data_directory_that_cannot_be_used_is_a_clear_error_with_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("storefront.sqlite3");
    std::fs::write(&file, "no database ".repeat(100)).unwrap();
    for (data_dir, says) in [(directory.path(), "damaged"), (&file, "--data-dir")] {
        let output = Command::new(env!("CARGO_BIN_EXE_storefront"))
            .args([
                "--port",
                "0",
                "--control-port",
                "0",
                "--grpc-port",
                "0",
                "--data-dir",
            ])
            .arg(data_dir)
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_payment_is_taken_while_its_service_is_gone_and_made_when_it_is_back() {
    let shop = Shop::start();
    let pay = || shop.pay("order-1");
    let state = || ask(&shop.address, "GET", "/api/v1/payments/order-1", "");
    assert!(state().starts_with("HTTP/1.1 404"));
    ask(&shop.control, "PUT", "/payments", "closed-port");
    let taken = pay();
    assert!(taken.starts_with("HTTP/1.1 202"), "{taken}");
    assert!(taken.contains("accepted, not durable"), "{taken}");
    assert!(state().contains("\"state\":\"pending\""));

    ask(&shop.control, "PUT", "/payments", "none");
    until("\"state\":\"charged\"", state);
    assert!(
        pay().starts_with("HTTP/1.1 201"),
        "a repeat is no second charge"
    );
}

#[test]
fn a_person_can_break_a_service_and_mend_it_while_the_shop_runs() {
    let shop = Shop::start();
    let recommendations = || ask(&shop.address, "GET", "/api/v1/recommendations", "");
    let fault = |text: &str| ask(&shop.control, "PUT", "/recommendations", text);
    assert!(recommendations().starts_with("HTTP/1.1 200"));

    assert!(fault("closed-port").starts_with("HTTP/1.1 200"));
    let stand_in = recommendations();
    assert!(stand_in.starts_with("HTTP/1.1 200"), "{stand_in}");
    assert!(
        stand_in.contains("degraded: recommendations;tier=popular;reason="),
        "{stand_in}"
    );
    assert!(ask(&shop.control, "GET", "/", "").contains("closed-port"));
    assert!(ask(&shop.address, "GET", "/api/v1/users/1/profile", "").starts_with("HTTP/1.1 200"));
    let health = ask(&shop.address, "GET", "/health", "");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");

    assert!(fault("none").starts_with("HTTP/1.1 200"));
    // A probe may have seen the outage, and has to see its end.
    until("\"source\":\"recommendations\"", recommendations);
}

#[test]
fn a_dashboard_comes_while_everything_behind_it_is_gone() {
    let shop = Shop::start();
    let dashboard = || ask(&shop.address, "GET", "/api/v1/dashboard?user_id=42", "");
    assert!(dashboard().contains("\"partial_failure\":false"));
    let services = [
        "users",
        "orders",
        "recommendations",
        "notifications",
        "balance",
    ];
    for service in services {
        let fault = ask(&shop.control, "PUT", &format!("/{service}"), "closed-port");
        assert!(fault.starts_with("HTTP/1.1 200"), "{fault}");
    }
    let page = dashboard();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("\"partial_failure\":true"), "{page}");
    assert!(page.contains("\"balance\":null"), "{page}");
    assert!(page.contains("degraded: users;"), "{page}");

    for service in services {
        ask(&shop.control, "PUT", &format!("/{service}"), "none");
    }
    until("\"partial_failure\":false", dashboard);
}

#[test]
fn what_cannot_be_switched_is_told_so() {
    let shop = Shop::start();
    let wrong = ask(&shop.control, "PUT", "/users", "explode");
    assert!(wrong.starts_with("HTTP/1.1 400"), "{wrong}");
    assert!(wrong.contains("half-body"), "{wrong}");
    let unknown = ask(&shop.control, "PUT", "/payroll", "hang");
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
    assert!(
        unknown.contains("recommendations, users, payments"),
        "{unknown}"
    );
    let free_of_charge = ask(&shop.control, "PUT", "/users", "hang-after-charge");
    assert!(
        free_of_charge.starts_with("HTTP/1.1 400"),
        "{free_of_charge}"
    );
    let charges = ask(&shop.control, "PUT", "/payments", "hang-after-charge");
    assert!(charges.starts_with("HTTP/1.1 200"), "{charges}");
}
