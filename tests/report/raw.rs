//! HTTP/1.1 over a bare socket: what `curl -i` shows.

use std::{collections::BTreeMap, time::Duration};

use brownout_tests::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// An answer as it came, but for its date.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Raw {
    pub(crate) status: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// An answer with these headers, besides the two of an answer after which the server closes the connection.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> Raw {
    let close = [("connection", "close")];
    let headers = headers.iter().chain(&close);
    Raw {
        status: format!("HTTP/1.1 {status}"),
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}

/// Sends a request of this first line, without the version, and these headers, and reads the answer to its end.
pub(crate) async fn send(server: &Server, line: &str, headers: &str) -> Raw {
    let rest = format!("host: shop\r\nconnection: close\r\n{headers}");
    exchange(server, &format!("{line} HTTP/1.1\r\n{rest}\r\n")).await
}

/// Sends these bytes, and reads the answer to its end.
pub(crate) async fn exchange(server: &Server, head: &str) -> Raw {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    let read = stream.read_to_string(&mut text);
    timeout(Duration::from_secs(10), read)
        .await
        .unwrap()
        .unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().to_owned();
    let mut headers = BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let twice = headers.insert(name.to_owned(), value.to_owned());
        assert_eq!(twice, None, "{name} comes twice");
    }
    assert!(headers.remove("date").is_some(), "{head}");
    Raw {
        status,
        headers,
        body: body.to_owned(),
    }
}
