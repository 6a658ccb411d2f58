//! tower-resilience's health check: three resources, all well.

use std::sync::Arc;
use std::time::Duration;

use tower_resilience_healthcheck::{HealthCheckWrapper, HealthChecker, HealthStatus};

use super::{Column, Subject};
use crate::drive::{Drive, OpDrive, finish, runtime};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::operation("health-status", Column::TowerResilience, status_by_name),
    Subject::operation("health-pick", Column::TowerResilience, healthy_of_three),
    Subject::operation("health-details", Column::TowerResilience, details),
];

fn status_by_name() -> Box<dyn Drive> {
    let health = checked();
    OpDrive::boxed(move || finish(health.get_status("inventory")) == Some(HealthStatus::Healthy))
}

fn healthy_of_three() -> Box<dyn Drive> {
    let health = checked();
    OpDrive::boxed(move || finish(health.get_healthy()))
}

// A list: it has no answer over HTTP.
fn details() -> Box<dyn Drive> {
    let health = checked();
    OpDrive::boxed(move || finish(health.get_health_details()))
}

/// Looked at once, so that every resource is known to be healthy, and not disturbed by a check while it is measured.
fn checked() -> Arc<HealthCheckWrapper<u64, AlwaysHealthy>> {
    let health = HealthCheckWrapper::builder()
        .with_context(1, "payments")
        .with_context(2, "recommendations")
        .with_context(3, "inventory")
        .with_checker(AlwaysHealthy)
        .with_interval(Duration::from_millis(1))
        .with_initial_delay(Duration::ZERO)
        .with_success_threshold(1)
        .build();
    let health = Arc::new(health);
    runtime().block_on(async {
        health.start().await;
        while health
            .get_all_statuses()
            .await
            .iter()
            .any(|(_, status)| *status != HealthStatus::Healthy)
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        health.stop().await;
    });
    health
}

#[derive(Debug)]
struct AlwaysHealthy;

impl HealthChecker<u64> for AlwaysHealthy {
    async fn check(&self, _: &u64) -> HealthStatus {
        HealthStatus::Healthy
    }
}
