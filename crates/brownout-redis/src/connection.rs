//! One connection to the server that is in charge of a namespace: found, checked, and with its clock read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, PushInfo, PushKind, Value};
use tokio::time::{Instant, timeout};

use crate::error::RedisStoreError;
use crate::keys::Namespace;
use crate::peer::Peer;
use crate::places::{moved, sentinel};
use crate::reply::Reply;
use crate::scripts::Script;
use crate::server::{Server, clock};
use crate::settings::Settings;

/// A connection, clones of which are the same.
#[derive(Clone)]
pub(crate) struct Connection {
    inner: MultiplexedConnection,
    pub(crate) peer: Arc<Peer>,
    pub(crate) server: Arc<Server>,
    closed: Arc<AtomicBool>,
    pub(crate) begun: Instant,
}

/// So often we are sent on, by Sentinels or by the nodes of a cluster.
const HOPS: u32 = 4;

impl Connection {
    /// Connects to the server in charge. What it pushes goes to `pushes`.
    ///
    /// Sentinels share the time that one operation may take, so that one that is silent does not use up all of it.
    pub(crate) async fn open(
        settings: &Settings,
        pushes: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<Self, RedisStoreError> {
        let mut last = None;
        let places = u32::try_from(settings.places.len()).unwrap_or(u32::MAX);
        for client in &settings.places {
            match Self::follow(settings, client.clone(), places, pushes.clone()).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| RedisStoreError::InvalidUrl {
            fault: "there is no Sentinel to ask".to_owned(),
        }))
    }

    /// Goes where it is sent on to.
    async fn follow(
        settings: &Settings,
        mut client: Client,
        places: u32,
        pushes: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<Self, RedisStoreError> {
        let mut asks_sentinel = settings.primary.as_deref().is_some();
        for _hop in 0..HOPS {
            let peer = Arc::new(Peer::of(client.get_connection_info()));
            let within = settings.timeout / places;
            let step = Self::step(settings, &client, &peer, asks_sentinel, pushes.clone());
            let step = timeout(within, step)
                .await
                .unwrap_or_else(|_| Err(peer.is_silent("connect", within)))?;
            client = match step {
                Step::There(connection) => return Ok(connection),
                Step::At(host, port) => settings.server_at(&client, &host, port, &peer)?,
            };
            asks_sentinel = false;
        }
        let peer = Peer::of(client.get_connection_info());
        Err(peer.is_unsupported("it sends us on and on; ask those who run the cluster"))
    }

    async fn step(
        settings: &Settings,
        client: &Client,
        peer: &Arc<Peer>,
        asks_sentinel: bool,
        pushes: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<Step, RedisStoreError> {
        let closed = Arc::new(AtomicBool::new(false));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(watcher(&closed, pushes));
        let begun = Instant::now();
        let mut inner = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| peer.says_on_connecting(&error))?;
        let asked = Instant::now();
        let hello = ask(&mut inner, peer, &redis::cmd("HELLO")).await?;
        let server = Server::of(&hello, asked);
        if asks_sentinel {
            let Some(name) = settings
                .primary
                .as_deref()
                .filter(|_| server.mode == "sentinel")
            else {
                return Err(peer.is_unsupported("it is no Sentinel"));
            };
            return sentinel(&mut inner, peer, name).await;
        }
        server.check(peer)?;
        if server.mode == "cluster"
            && let Some((host, port)) = moved(&mut inner, peer, &settings.namespace).await?
        {
            return Ok(Step::At(host, port));
        }
        let asked = Instant::now();
        let time = ask(&mut inner, peer, &redis::cmd("TIME")).await?;
        server.clock.heard(clock(time, peer)?, asked);
        Ok(Step::There(Self {
            inner,
            peer: Arc::clone(peer),
            server: Arc::new(server),
            closed,
            begun,
        }))
    }

    /// Whether it is known to be of no use any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.closed, &other.closed)
    }

    /// Sends one command.
    pub(crate) async fn send(&self, command: &Cmd) -> Result<Value, RedisStoreError> {
        ask(&mut self.inner.clone(), &self.peer, command).await
    }

    /// Follows channels. What they say goes to whom [`open`](Self::open) was told.
    pub(crate) async fn subscribe(&self, channels: &[String]) -> Result<(), RedisStoreError> {
        let subscribed = self.inner.clone().subscribe(channels).await;
        subscribed.map_err(|error| self.peer.says(&error))
    }

    /// Runs a script, which the server must begin within that time from now.
    pub(crate) async fn run(
        &self,
        script: &Script,
        namespace: &Namespace,
        within: Duration,
        arguments: &[String],
    ) -> Result<Reply, RedisStoreError> {
        match self.run_once(script, namespace, within, arguments).await {
            // It was not run, and somebody still waits for it: the server's clock has been set, and is known anew.
            Err(RedisStoreError::Late { .. }) => {
                self.run_once(script, namespace, within, arguments).await
            }
            result => result,
        }
    }

    async fn run_once(
        &self,
        script: &Script,
        namespace: &Namespace,
        within: Duration,
        arguments: &[String],
    ) -> Result<Reply, RedisStoreError> {
        let asked = Instant::now();
        let latest = self.server.clock.at(asked + within);
        let command = |name: &str, what: &str| {
            let mut command = redis::cmd(name);
            command.arg(what).arg(1).arg(namespace.meta()).arg(latest);
            command.arg(arguments);
            command
        };
        let mut inner = self.inner.clone();
        let known = command("EVALSHA", &script.digest);
        let answer = inner.send_packed_command(&known).await;
        let answer = match answer.and_then(Value::extract_error) {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                ask(&mut inner, &self.peer, &command("EVAL", script.code)).await
            }
            answer => answer.map_err(|error| self.peer.says(&error)),
        };
        let (now, reply) = Reply::new(answer?, &self.peer);
        if let Some(now) = now {
            self.server.clock.heard(now, asked);
        }
        reply
    }
}

/// Where a connection has led.
pub(crate) enum Step {
    There(Connection),
    At(String, u16),
}

/// Notes that the connection has ended, and passes on what else is pushed.
fn watcher(
    closed: &Arc<AtomicBool>,
    pushes: Option<Arc<dyn AsyncPushSender>>,
) -> impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync + 'static {
    let closed = Arc::clone(closed);
    move |info| {
        if info.kind == PushKind::Disconnection {
            closed.store(true, Ordering::Release);
        }
        match &pushes {
            Some(pushes) => pushes.send(info),
            None => Ok(()),
        }
    }
}

pub(crate) async fn ask(
    inner: &mut MultiplexedConnection,
    peer: &Peer,
    command: &Cmd,
) -> Result<Value, RedisStoreError> {
    let answer = inner.send_packed_command(command).await;
    answer
        .and_then(Value::extract_error)
        .map_err(|error| peer.says(&error))
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("server", &self.server)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
