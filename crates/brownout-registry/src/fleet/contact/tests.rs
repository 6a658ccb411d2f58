//! What the health report says of the store, in every order of what may happen to it.

use super::super::values::ReplicaId;
use super::*;
use crate::registry::Registry;
use crate::report::ReporterKind;
use crate::vocab::Status;

/// What happens, and what is wrong after it.
fn happens(event: usize, contact: &Contact, wrong: &mut [bool; 4]) {
    let error = StoreError::new(StoreErrorKind::Full, "on purpose");
    let [away, damaged, counts, reports] = wrong;
    match event {
        0 => {
            contact.lost(&error);
            // What it refuses is found out anew.
            (*away, *counts, *reports) = (true, false, false);
        }
        1 => {
            contact.heard();
            *away = false;
        }
        2 => {
            contact.damaged(Some(&error));
            *damaged = true;
        }
        3 => {
            contact.damaged(None);
            *damaged = false;
        }
        4 => {
            contact.refuses(StoreOp::Count, &error);
            *counts = !*away;
        }
        5 => {
            contact.does(StoreOp::Count);
            *counts = false;
        }
        6 => {
            contact.refuses(StoreOp::Report, &error);
            *reports = !*away;
        }
        _ => {
            contact.does(StoreOp::Report);
            *reports = false;
        }
    }
}

/// In every order of five events.
#[tokio::test(start_paused = true)]
async fn the_report_is_healthy_exactly_while_nothing_is_wrong() {
    let registry = Registry::new();
    let store = registry.dependency("store").register().unwrap();
    let name = ReplicaId::new("one").unwrap();
    // What goes well once is mended.
    let settings = FleetSettings::new(name).report(Duration::ZERO);
    for order in 0..8_usize.pow(5) {
        let reporter = store.reporter(ReporterKind::Code, "fleet");
        let contact = Contact::new(&settings, reporter);
        contact.heard();
        let mut wrong = [false; 4];
        for place in 0..5 {
            happens(order / 8_usize.pow(place) % 8, &contact, &mut wrong);
            let healthy = store.status() == Status::Healthy;
            assert_eq!(healthy, wrong == [false; 4], "{wrong:?} in {order:o}");
            assert_eq!(
                contact.trouble().is_none(),
                healthy,
                "{wrong:?} in {order:o}"
            );
            let named = match wrong {
                [true, ..] => "not synchronised for",
                [_, true, ..] => "takes no writes; the rest is in use",
                [_, _, true, _] => "count fails; the rest is in use",
                [_, _, _, true] => "report fails; the rest is in use",
                _ => continue,
            };
            let picture = registry.snapshot();
            let said = picture.dependencies[0].reports.last();
            let said = said.and_then(|report| report.message.as_deref());
            let said = said.unwrap_or_default();
            assert!(said.contains(named), "{said:?}, {wrong:?} in {order:o}");
        }
    }
}
