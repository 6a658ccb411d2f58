//! The head of a request, kept for whoever may be asked later.

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

/// All that a request says but its body.
///
/// One is made for every call and most are thrown away unread, so its headers are a list: a map has a second allocation,
/// its index, which only a request that is made again needs.
#[derive(Clone, Debug)]
pub(super) struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    headers: Vec<(HeaderName, HeaderValue)>,
    extensions: Extensions,
}

impl Head {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: list(request.headers()),
            extensions: request.extensions().clone(),
        }
    }

    pub(super) const fn method(&self) -> &Method {
        &self.method
    }

    /// The first header of that name.
    pub(super) fn header(&self, name: &str) -> Option<&HeaderValue> {
        let mut headers = self.headers.iter();
        headers.find_map(|(known, value)| (known == name).then_some(value))
    }

    /// A request with this head, as the one that it was taken from.
    pub(super) fn request<B>(self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = map(self.headers);
        *request.extensions_mut() = self.extensions;
        request
    }
}

fn list(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let mut list = Vec::with_capacity(headers.len());
    list.extend(
        headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    list
}

fn map(list: Vec<(HeaderName, HeaderValue)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        // There is room for as many names as there were in the map before.
        let fits = headers.try_append(name, value);
        debug_assert!(fits.is_ok(), "the same headers were in a map before");
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_made_again_is_the_same() {
        let mut secret = HeaderValue::from_static("secret");
        secret.set_sensitive(true);
        let mut request = Request::builder()
            .method("BREW")
            .uri("https://pots.example/1?milk=no")
            .version(Version::HTTP_2)
            .header("cookie", "a=1")
            .header("accept", "text/plain")
            .header("cookie", "b=2")
            .header("x-trace", "7")
            .header("cookie", "c=3")
            .extension("an extension")
            .body(())
            .unwrap_or_default();
        request.headers_mut().insert("authorization", secret);

        let again = Head::of(&request).request("body");

        assert_eq!(again.method(), request.method());
        assert_eq!(again.uri(), request.uri());
        assert_eq!(again.version(), request.version());
        assert_eq!(again.headers(), request.headers());
        let order = |headers: &HeaderMap| {
            headers
                .iter()
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(order(again.headers()), order(request.headers()));
        assert_eq!(order(again.headers()).len(), 6);
        assert!(again.headers()["authorization"].is_sensitive());
        assert_eq!(again.extensions().get(), Some(&"an extension"));
        assert_eq!(again.body(), &"body");
    }

    #[test]
    fn the_first_of_several_headers_is_found() {
        let request = Request::builder()
            .header("x-other", "0")
            .header("idempotency-key", "1")
            .header("Idempotency-Key", "2")
            .body(())
            .unwrap_or_default();
        let head = Head::of(&request);
        assert_eq!(
            head.header("idempotency-key").map(HeaderValue::as_bytes),
            Some(&b"1"[..])
        );
        assert_eq!(head.header("x-none"), None);
    }

    #[test]
    fn as_many_headers_as_a_map_takes_are_kept() {
        let mut request = Request::new(());
        let mut made = 0_u32;
        while let Ok(name) = HeaderName::try_from(format!("x-{made}")) {
            if request
                .headers_mut()
                .try_insert(name, HeaderValue::from(made))
                .is_err()
            {
                break;
            }
            made += 1;
        }
        assert!(made > 20_000, "{made}");
        let again = Head::of(&request).request(());
        assert_eq!(again.headers(), request.headers());
    }
}
