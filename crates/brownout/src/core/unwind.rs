//! What has to happen when somebody else's code panics under ours.

/// Does something if the code between its making and its disarming panics.
pub(crate) struct OnUnwind<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> OnUnwind<F> {
    #[inline]
    pub(crate) fn disarm(self) {
        std::mem::forget(self);
    }
}

impl<F: FnMut()> Drop for OnUnwind<F> {
    // Inlined into the landing pad: a call with a reference to what the closure borrows would force that into memory,
    // on the way without a panic too.
    #[allow(clippy::inline_always, reason = "see above")]
    #[inline(always)]
    fn drop(&mut self) {
        (self.0)();
    }
}
