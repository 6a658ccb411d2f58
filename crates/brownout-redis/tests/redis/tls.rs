//! Servers that speak TLS, with a certificate of an authority of the test's own.

use std::fs;
use std::net::Ipv4Addr;

use brownout_registry::fleet::{FleetStore, StoreErrorKind};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::{
    Server, builder, change, flag, hasty, kind, replica, said, soon, stack, store, written,
};

/// A server with a certificate for 127.0.0.1.
struct Encrypted {
    _server: Server,
    port: u16,
    authority: String,
    _folder: TempDir,
}

impl Encrypted {
    fn start() -> Self {
        Self::asking_for_certificates("no")
    }

    fn asking_for_certificates(asking: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: String| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.to_str().expect("a path of ASCII").to_owned()
        };
        let authority = authority.pem();
        let port = Server::free_port();
        let server = Server::with(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &file("cert.pem", certificate.pem()),
            "--tls-key-file",
            &file("key.pem", key.serialize_pem()),
            "--tls-ca-cert-file",
            &file("authority.pem", authority.clone()),
            "--tls-auth-clients",
            asking,
        ]);
        Self {
            _server: server,
            port,
            authority,
            _folder: folder,
        }
    }
}

#[tokio::test]
async fn a_store_over_tls_trusts_the_authority_that_it_was_given() {
    let server = Encrypted::start();
    let url = format!("rediss://127.0.0.1:{}", server.port);
    let shop = builder(&url)
        .root_certificate(server.authority.clone())
        .build()
        .unwrap();
    let mut changes = soon(async || shop.subscribe(&replica("one")).await).await;
    let version = written(&shop, stack(flag("search"), None, &[1])).await;
    assert_eq!(change(&mut changes).await.0, version);
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_or_for_another_host_is_refused() {
    let server = Encrypted::start();
    let by_address = format!("rediss://127.0.0.1:{}", server.port);
    let stranger = builder(&by_address).build().unwrap();
    let by_name = format!("rediss://localhost:{}", server.port);
    let other_name = builder(&by_name)
        .root_certificate(server.authority.clone())
        .build()
        .unwrap();
    for shop in [stranger, other_name] {
        let picture = shop.picture().await;
        assert_eq!(kind(&picture), StoreErrorKind::Unreachable, "{picture:?}");
        let said = said(picture);
        assert!(said.contains("peer certificate"), "{said}");
        assert!(said.contains("`root_certificate`"), "{said}");
        assert!(!said.contains("that the server runs"), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_of_ours_is_not_supported() {
    let server = Encrypted::asking_for_certificates("yes");
    let shop = builder(&format!("rediss://127.0.0.1:{}", server.port))
        .root_certificate(server.authority.clone())
        .build()
        .unwrap();
    let picture = shop.picture().await;
    assert_eq!(kind(&picture), StoreErrorKind::Unsupported, "{picture:?}");
    let said = said(picture);
    assert!(said.contains("`tls-auth-clients no`"), "{said}");
}

#[tokio::test]
async fn a_server_that_waits_for_more_than_a_handshake_may_not_speak_tls() {
    let server = Server::start();
    let url = format!("rediss://127.0.0.1:{}", server.port());
    let picture = hasty(&url).picture().await;
    assert_eq!(kind(&picture), StoreErrorKind::TimedOut, "{picture:?}");
    let told = said(picture);
    assert!(told.contains("may not speak TLS"), "{told}");

    // Without TLS nobody speaks of it.
    server.pause();
    let told = said(hasty(&server.url()).picture().await);
    assert!(told.contains("hangs") && !told.contains("TLS"), "{told}");
}

#[tokio::test]
async fn a_server_that_answers_a_handshake_in_plain_may_not_speak_tls() {
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answering = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
        });
        let picture = store(&format!("rediss://127.0.0.1:{port}")).picture().await;
        answering.await.unwrap();
        assert_eq!(kind(&picture), StoreErrorKind::Unreachable, "{picture:?}");
        let said = said(picture);
        assert!(said.contains("may not speak TLS"), "{answer:?}: {said}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_tls_only_is_told_from_one_that_does_not_run() {
    let server = Encrypted::start();
    let url = format!("redis://127.0.0.1:{}", server.port);
    let picture = store(&url).picture().await;
    assert_eq!(kind(&picture), StoreErrorKind::Unreachable, "{picture:?}");
    let said = said(picture);
    assert!(said.contains("may speak TLS only"), "{said}");
    assert!(said.contains("`rediss://`"), "{said}");
}

#[test]
fn what_is_no_certificate_is_refused_when_the_store_is_made() {
    let made = builder("rediss://localhost")
        .root_certificate("hello")
        .build();
    let error = made.unwrap_err().to_string();
    assert!(error.contains("root_certificate"), "{error}");
}

#[test]
fn no_url_turns_the_checks_off() {
    let error = builder("rediss://localhost/#insecure").build().unwrap_err();
    assert!(error.to_string().ends_with("`root_certificate`"), "{error}");
}
