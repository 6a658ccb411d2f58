//! Servers that are found by asking others: Sentinels, and the nodes of a cluster.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use brownout_redis::RedisStore;
use brownout_registry::fleet::{FleetStore, StoreError, StoreErrorKind};
use tempfile::TempDir;

use crate::support::{
    Server, builder, change, flag, kind, program, replica, said, soon, stack, store, written,
};

/// A Sentinel that watches a server by the name `main`.
struct Sentinel {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Sentinel {
    fn of(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sentinel.conf");
        let port = Server::free_port();
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 1\n",
            server.port()
        );
        fs::write(&file, text).unwrap();
        let child = Command::new(program())
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server was started by the same name");
        Self {
            child,
            port,
            _folder: folder,
        }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test]
async fn sentinels_say_where_the_server_is() {
    let server = Server::with(&["--requirepass", "secret"]);
    let sentinel = Sentinel::of(&server);
    let nobody = format!("redis://127.0.0.1:{}", Server::free_port());
    let shop = RedisStore::builder("redis://:secret@main")
        .namespace("shop")
        .sentinels([nobody, sentinel.url()])
        .timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let mut changes = soon(async || shop.subscribe(&replica("one")).await).await;
    let version = soon(async || shop.write(vec![stack(flag("search"), None, &[1])]).await).await;
    assert_eq!(version.len(), 1);
    change(&mut changes).await;

    let unknown = RedisStore::builder("redis://:secret@other")
        .namespace("shop")
        .sentinels([sentinel.url()])
        .build()
        .unwrap();
    let picture = unknown.picture().await;
    assert_eq!(kind(&picture), StoreErrorKind::Unsupported);
    assert!(said(picture).contains("`other`"));

    // A Sentinel for a server, and a server for a Sentinel.
    let picture = store(&sentinel.url()).picture().await;
    assert!(said(picture).contains("is a Sentinel"));
    let wrong = RedisStore::builder("redis://:secret@main")
        .namespace("shop")
        .sentinels([format!("redis://:secret@127.0.0.1:{}", server.port())])
        .build()
        .unwrap();
    assert!(said(wrong.picture().await).contains("no Sentinel"));
}

#[tokio::test]
async fn a_cluster_sends_us_to_the_node_that_has_the_namespace() {
    let bus = Server::free_port().to_string();
    let other_bus = Server::free_port().to_string();
    let cluster = |bus| Server::with(&["--cluster-enabled", "yes", "--cluster-port", bus]);
    let (server, other) = (cluster(bus.as_str()), cluster(other_bus.as_str()));
    assert_eq!(
        server.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]),
        "+OK"
    );
    let port = other.port().to_string();
    assert_eq!(
        server.run(&["CLUSTER", "MEET", "127.0.0.1", &port, &other_bus]),
        "+OK"
    );
    let ready = async || {
        let info = other.run(&["CLUSTER", "INFO"]);
        let known = info.contains("cluster_state:ok");
        known
            .then_some(())
            .ok_or_else(|| StoreError::new(StoreErrorKind::Other, info))
    };
    soon(ready).await;

    // The other one has no slots at all, so it sends us on.
    let (near, far) = (store(&server.url()), store(&other.url()));
    let mut changes = far.subscribe(&replica("far")).await.unwrap();
    let version = written(&near, stack(flag("search"), None, &[1])).await;
    assert_eq!(change(&mut changes).await.0, version);
    assert_eq!(far.picture().await.unwrap().version, version);
    let timed = builder(&other.url()).namespace("another").build().unwrap();
    written(&timed, stack(flag("search"), None, &[1])).await;
}
