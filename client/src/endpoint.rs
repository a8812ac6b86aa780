//! From an address to an endpoint.

use tonic::transport::Endpoint;

use crate::error::Error;

/// Checks an address by hand: the transport's own errors name no remedy.
pub(crate) fn endpoint(addr: &str) -> Result<Endpoint, Error> {
    let invalid = |reason: String| Error::InvalidAddress {
        addr: addr.to_owned(),
        reason,
    };
    let uri: http::Uri = addr
        .parse()
        .map_err(|error: http::uri::InvalidUri| invalid(error.to_string()))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(invalid("TLS is not supported yet".to_owned())),
        Some(other) => return Err(invalid(format!("unknown scheme {other:?}"))),
        None => return Err(invalid("no scheme".to_owned())),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(invalid("no host".to_owned()));
    }
    if uri.path_and_query().is_some_and(|path| path != "/") {
        return Err(invalid("a path has no meaning here".to_owned()));
    }
    Ok(Endpoint::from(uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_http_host_and_port() {
        for good in [
            "http://127.0.0.1:50051",
            "http://[::1]:50051/",
            "http://web",
        ] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for (bad, expected) in [
            ("127.0.0.1:50051", "no scheme"),
            ("localhost", "no scheme"),
            ("https://web:1", "TLS"),
            ("ftp://web", "unknown scheme"),
            ("http://web:1/path", "path"),
            ("http://a b", "invalid"),
            ("", "empty"),
            ("http://", ""),
        ] {
            match endpoint(bad) {
                Err(error @ Error::InvalidAddress { .. }) => {
                    let text = error.to_string();
                    assert!(text.contains(expected), "{bad}: {text}");
                    assert!(text.contains("http://HOST:PORT"), "{text}");
                }
                other => panic!("{bad}: {other:?}"),
            }
        }
    }
}
