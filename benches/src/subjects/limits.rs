//! What no layer can beat: the bare service, and the operations that layers are made of.

use std::cell::RefCell;
use std::future::ready;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Cache};

use super::backend::{Answering, Request};
use super::{Column, Subject};
use crate::drive::{Drive, OpDrive, ServiceDrive, finish};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("bare", Column::Floor, bare),
    Subject::operation("fetch-add", Column::Floor, fetch_add),
    Subject::operation("mutex", Column::Floor, mutex),
    Subject::operation("arc-clone", Column::Floor, arc_clone),
    Subject::operation("arc-swap-cache", Column::Floor, arc_swap_cache),
    Subject::operation("coarse-clock", Column::Floor, coarse_clock),
    Subject::operation("instant-now", Column::Floor, instant_now),
    Subject::operation("box-future", Column::Floor, box_future),
    Subject::operation("string-clone", Column::Floor, string_clone),
];

fn bare() -> Box<dyn Drive> {
    ServiceDrive::boxed(Answering)
}

fn fetch_add() -> Box<dyn Drive> {
    let count = Arc::new(AtomicU64::new(0));
    OpDrive::boxed(move || count.fetch_add(1, Ordering::Relaxed))
}

fn mutex() -> Box<dyn Drive> {
    let count = Arc::new(Mutex::new(0_u64));
    OpDrive::boxed(move || *count.lock().unwrap_or_else(PoisonError::into_inner) += 1)
}

fn arc_clone() -> Box<dyn Drive> {
    let shared = Arc::new(0_u64);
    OpDrive::boxed(move || Arc::clone(&shared))
}

fn arc_swap_cache() -> Box<dyn Drive> {
    let swap = Arc::new(ArcSwap::from_pointee(7_u64));
    let cache = RefCell::new(Cache::new(swap));
    OpDrive::boxed(move || **cache.borrow_mut().load())
}

fn coarse_clock() -> Box<dyn Drive> {
    OpDrive::boxed(coarsetime::Instant::now)
}

fn instant_now() -> Box<dyn Drive> {
    OpDrive::boxed(tokio::time::Instant::now)
}

fn box_future() -> Box<dyn Drive> {
    type Boxed = Pin<Box<dyn Future<Output = Request> + Send>>;
    OpDrive::boxed(|| {
        let future: Boxed = Box::pin(ready(black_box(7)));
        finish(black_box(future))
    })
}

fn string_clone() -> Box<dyn Drive> {
    let name = "inventory".to_owned();
    OpDrive::boxed(move || name.clone())
}
