use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use tower::ServiceExt;

use super::*;
use crate::drive::runtime;

fn asked(name: &str, path: &str) -> (StatusCode, String) {
    let routes = routes(name).expect("is a name");
    runtime().block_on(async {
        let request = Request::get(path).body(Body::empty()).expect("is a path");
        let answer = routes.oneshot(request).await.expect("cannot fail");
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1_024).await.expect("arrives");
        (status, String::from_utf8_lossy(&body).into_owned())
    })
}

fn reading(rate: f64) -> Reading {
    Reading {
        rate,
        processor: Ok(1e6 / rate),
    }
}

#[test]
fn all_routes_answer_alike_and_one_has_the_stack() {
    for (name, ..) in VARIANTS {
        assert_eq!(asked(name, "/"), (StatusCode::OK, "hello".to_owned()));
        let health = if name == "whole" {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        assert_eq!(asked(name, "/livez").0, health);
    }
    assert!(routes("half").is_none());
}

#[test]
fn no_route_has_a_turn_of_its_own() {
    let mut turns = [[0; VARIANTS.len()]; VARIANTS.len()];
    for number in 0..ROUNDS {
        for (turn, which) in order(number).enumerate() {
            turns[turn][which] += 1;
        }
    }
    for which in turns.as_flattened() {
        assert_eq!(which * VARIANTS.len(), ROUNDS, "{turns:?}");
    }
}

#[test]
fn a_share_is_taken_of_each_round_and_not_of_the_medians() {
    // A machine that grows slower by a tenth each time, under stacks that cost a hundredth and a fiftieth.
    let rounds: Vec<_> = (0..10)
        .map(|n| 1_000.0 * 0.9_f64.powi(n))
        .map(|bare| [bare, bare * 0.99, bare * 0.98].map(reading))
        .collect();
    let served = summary(&rounds).expect("ten rounds are enough");
    assert_eq!(served.rounds, 10);
    for (route, kept) in served.routes.iter().zip([1.0, 0.99, 0.98]) {
        let processor = route.processor.known().expect("all runs told it");
        for Interval { low, median, high } in [route.rate.share, processor.share] {
            for share in [low, median, high] {
                assert!((share - kept).abs() < 1e-9, "{}: {share}", route.name);
            }
        }
    }
    let [bare, _, whole] = &served.routes[..] else {
        unreachable!("three are compared")
    };
    assert!(whole.rate.median < bare.rate.median);
    assert!(
        whole.processor.known().map(|cost| cost.median)
            > bare.processor.known().map(|cost| cost.median)
    );
}

#[test]
fn too_few_rounds_are_no_figure() {
    let rounds = vec![[1.0, 1.0, 1.0].map(reading); 5];
    let why = summary(&rounds).expect_err("five are too few");
    assert!(why.contains("5 rounds"), "{why}");
    assert!(summary(&[]).is_err());
}

#[test]
fn a_system_that_does_not_tell_processor_times_still_has_rates() {
    let silent = [1.0, 1.0, 1.0].map(|rate| Reading {
        processor: Err("no such file".to_owned()),
        ..reading(rate)
    });
    let served = summary(&vec![silent; 6]).expect("six rounds are enough");
    for route in &served.routes {
        assert_eq!(route.processor.unknown(), Some("no such file"));
        assert!((route.rate.share.median - 1.0).abs() < f64::EPSILON);
    }
}
