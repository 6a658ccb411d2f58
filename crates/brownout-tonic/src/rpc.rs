//! The three calls.

use std::{
    future::{Ready, ready},
    pin::Pin,
    sync::Arc,
};

use futures_util::Stream;
use tonic::{
    Request, Response, Status,
    server::{ServerStreamingService, UnaryService},
};

use crate::{
    messages::{CheckRequest, CheckResponse, ListRequest, ListResponse},
    serving::State,
    watching::watch,
};

pub(crate) struct Check(pub(crate) Arc<State>);
pub(crate) struct List(pub(crate) Arc<State>);
pub(crate) struct Watch(pub(crate) Arc<State>);

/// As in grpc-go, whose clients expect no more.
const MOST: usize = 100;

impl UnaryService<CheckRequest> for Check {
    type Response = CheckResponse;
    type Future = Ready<Result<Response<CheckResponse>, Status>>;

    fn call(&mut self, request: Request<CheckRequest>) -> Self::Future {
        let serving = self.0.serving(&request.get_ref().service);
        ready(match serving {
            Some(serving) => Ok(Response::new(serving.into())),
            None => Err(Status::not_found("unknown service")),
        })
    }
}

impl UnaryService<ListRequest> for List {
    type Response = ListResponse;
    type Future = Ready<Result<Response<ListResponse>, Status>>;

    fn call(&mut self, _: Request<ListRequest>) -> Self::Future {
        let names = self.0.names();
        let statuses =
            names.filter_map(|name| Some((name.to_owned(), self.0.serving(name)?.into())));
        let response = ListResponse {
            statuses: statuses.take(MOST + 1).collect(),
        };
        ready(if response.statuses.len() > MOST {
            Err(Status::resource_exhausted("more than 100 services"))
        } else {
            Ok(Response::new(response))
        })
    }
}

impl ServerStreamingService<CheckRequest> for Watch {
    type Response = CheckResponse;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<CheckResponse, Status>> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<CheckRequest>) -> Self::Future {
        let name = request.into_inner().service;
        let stream: Self::ResponseStream = Box::pin(watch(Arc::clone(&self.0), name));
        ready(Ok(Response::new(stream)))
    }
}
