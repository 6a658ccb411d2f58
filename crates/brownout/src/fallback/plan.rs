/// How a chain judges, keeps requests, marks answers, concludes, and is watched.
#[derive(Clone, Debug)]
pub struct Plan<J, Q, M, X, W> {
    pub(super) judge: J,
    pub(super) requests: Q,
    pub(super) mark: M,
    pub(super) conclude: X,
    pub(super) watch: W,
}

/// The same plan with another of its parts.
macro_rules! with {
    ($name:ident: $part:ident of $old:ident, same $($same:ident)+, gives $out:ty) => {
        pub(super) fn $name<N>(self, other: impl FnOnce($old) -> N) -> $out {
            Plan {
                $part: other(self.$part),
                $($same: self.$same,)+
            }
        }
    };
}

impl<J, Q, M, X, W> Plan<J, Q, M, X, W> {
    with!(with_judge: judge of J, same requests mark conclude watch, gives Plan<N, Q, M, X, W>);
    with!(with_requests: requests of Q, same judge mark conclude watch, gives Plan<J, N, M, X, W>);
    with!(with_mark: mark of M, same judge requests conclude watch, gives Plan<J, Q, N, X, W>);
    with!(with_conclude: conclude of X, same judge requests mark watch, gives Plan<J, Q, M, N, W>);
    with!(with_watch: watch of W, same judge requests mark conclude, gives Plan<J, Q, M, X, N>);
}
