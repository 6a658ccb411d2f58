//! Servers that speak TLS, with a certificate of an authority of the test's own.

use std::fs;

use brownout_registry::fleet::{FleetStore, StoreErrorKind};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::support::{Server, builder, change, flag, kind, replica, said, soon, stack, written};

/// A server with a certificate for 127.0.0.1.
struct Encrypted {
    _server: Server,
    port: u16,
    authority: String,
    _folder: TempDir,
}

impl Encrypted {
    fn start() -> Self {
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
            "no",
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
        assert!(said.contains("certificate"), "{said}");
    }
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
    assert!(error.to_string().contains("root_certificate"), "{error}");
}
