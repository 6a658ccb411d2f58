use std::{fmt, ops::Range, pin::Pin, sync::Arc, task::Context};

use super::{
    ask::StandIn,
    list::{Gather, Run},
    outcome::{Name, PartOutcome},
    part::PartRun,
    parts::IntoValues,
    round::Round,
    source::Fitted,
};

/// Parts known only at run time, all of one type.
#[derive(Clone)]
pub struct Many<P>(pub(super) Vec<(Arc<str>, P)>);

/// The same, in one call.
pub struct ManyRun<P> {
    parts: Vec<(Arc<str>, Pin<Box<P>>)>,
}

/// What parts known only at run time leave.
#[derive(Debug)]
pub struct ManySlots<T>(Vec<PartOutcome<T>>);

impl<Seen, S, A, E, O, Fut, V> Gather<Seen> for Many<Fitted<S, A, E, O, Fut, V, Seen>>
where
    O: StandIn<V>,
{
    type Slots = ManySlots<V>;
    type Run = ManyRun<PartRun<S, A, E, O, Fut, V, Seen>>;

    fn start(self) -> Self::Run {
        let parts = self.0.into_iter().enumerate();
        ManyRun {
            parts: parts
                .map(|(index, (name, part))| (name, Box::pin(PartRun::new(index, part))))
                .collect(),
        }
    }
}

impl<Seen, S, A, E, O, Fut, V> Run<Seen> for ManyRun<PartRun<S, A, E, O, Fut, V, Seen>>
where
    O: StandIn<V>,
{
    type Slots = ManySlots<V>;

    fn begin(self: Pin<&mut Self>, cx: &mut Context<'_>, seen: &Seen, round: &mut Round<'_>) {
        for (_, part) in &mut self.get_mut().parts {
            part.as_mut().begin(cx, seen, round);
        }
    }

    fn go_on(
        self: Pin<&mut Self>,
        parts: &Range<usize>,
        cx: &mut Context<'_>,
        seen: &Seen,
        round: &mut Round<'_>,
    ) {
        for (_, part) in &mut self.get_mut().parts {
            part.as_mut().go_on(parts, cx, seen, round);
        }
    }

    fn expire(self: Pin<&mut Self>, round: &mut Round<'_>) {
        for (_, part) in &mut self.get_mut().parts {
            part.as_mut().expire(round);
        }
    }

    fn take(self: Pin<&mut Self>) -> Option<Self::Slots> {
        let parts = self.get_mut().parts.iter_mut();
        let outcomes: Option<_> = parts
            .map(|(name, part)| {
                let ending = part.as_mut().take()?;
                Some(ending.of(Name::Shared(Arc::clone(name))))
            })
            .collect();
        outcomes.map(ManySlots)
    }
}

impl<T> IntoValues for ManySlots<T> {
    type Values = Vec<PartOutcome<T>>;

    fn into_values(self) -> Option<Self::Values> {
        Some(self.0)
    }
}

impl<P> fmt::Debug for Many<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parts", self.0.len())
    }
}

impl<P: fmt::Debug> fmt::Debug for ManyRun<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.parts).finish()
    }
}
