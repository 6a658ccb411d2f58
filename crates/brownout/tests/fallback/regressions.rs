//! What the model has found.

use brownout::{
    Dependency, Registry,
    fallback::{Exhausted, FallbackLayer, Tier},
    registry::{Order, Status},
};
use tower::{Layer, ServiceExt};

use crate::common::{SECOND, hanging, ms, probe};

fn dependency(name: &str) -> Dependency {
    Registry::new().dependency(name).register().unwrap()
}

fn make_unhealthy(dependency: &Dependency) {
    let order = Order::new("kim", "drill", SECOND * 60);
    let ordered = dependency.override_status(Status::Unhealthy, order);
    ordered.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_those_who_were_asked_have_taken_time() {
    let search = dependency("search");
    make_unhealthy(&search);
    let layer = FallbackLayer::for_results()
        .safe()
        .within(ms(100))
        .skip_when_unhealthy(&search)
        .tier(Tier::new("off", probe().0))
        .tier(Tier::new("slow", hanging().0))
        .tier(Tier::new("late", probe().0))
        .exhausted_fails()
        .build()
        .unwrap();
    layer.chain().switch_off("off").unwrap();
    let error = layer.layer(probe().0).oneshot(1).await.unwrap_err();
    let exhausted = error.downcast_ref::<Exhausted>().unwrap();
    let times: Vec<_> = exhausted
        .failures()
        .map(|it| (it.tier(), it.elapsed()))
        .collect();
    let expected = [
        ("primary", None),
        ("off", None),
        ("slow", Some(ms(100))),
        ("late", None),
    ];
    assert_eq!(times, expected);
}
