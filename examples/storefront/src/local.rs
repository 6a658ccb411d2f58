//! Requests that were meant for this machine.

use axum::{
    extract::Request,
    http::{StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::problem::Problem;

/// Turns away what was addressed to any other host. A page of another site can have its own name resolve to 127.0.0.1,
/// and its requests then come here, as if they were that site's own (DNS rebinding); the name is still in them.
pub(crate) async fn only(request: Request, next: Next) -> Response {
    if is_for_here(&request) {
        return next.run(request).await;
    }
    let detail = "this port answers only by the names 127.0.0.1, localhost and [::1], which are this machine's own";
    Problem::new(StatusCode::FORBIDDEN, detail).into_response()
}

/// A request that says nothing, or two things, is not for here either.
fn is_for_here(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    // A URI with a host of its own counts before the header (RFC 9112, section 3.2.2).
    request.uri().authority().is_none_or(is_local)
        && Authority::try_from(host.as_bytes()).is_ok_and(|host| is_local(&host))
}

fn is_local(host: &Authority) -> bool {
    let names = ["127.0.0.1", "localhost", "[::1]"];
    !host.as_str().contains('@')
        && names
            .iter()
            .any(|name| host.host().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn passes(uri: &str, hosts: &[&str]) -> bool {
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        is_for_here(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn this_machine_has_three_names_and_any_port() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:3001",
            "localhost:3001",
            "LocalHost",
            "[::1]",
            "[::1]:3001",
        ] {
            assert!(passes("/", &[host]), "{host}");
        }
    }

    #[test]
    fn other_names_are_other_sites() {
        for host in [
            "evil.example",
            "evil.example:3001",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "evil.example@localhost",
            "127.0.0.2",
            "0.0.0.0",
            "",
        ] {
            assert!(!passes("/", &[host]), "{host}");
        }
    }

    #[test]
    fn who_says_nothing_or_two_things_is_turned_away() {
        assert!(!passes("/", &[]));
        assert!(!passes("/", &["localhost", "evil.example"]));
        assert!(!passes("http://evil.example/", &["localhost"]));
        assert!(passes("http://localhost/", &["localhost"]));
    }
}
