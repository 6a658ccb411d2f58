//! How a store is described, before it is made.

use std::fmt;
use std::time::Duration;

use brownout_registry::Random;
#[cfg(feature = "tls")]
use redis::ConnectionAddr;
use redis::{Client, ConnectionInfo};
#[cfg(feature = "tls")]
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::error::RedisStoreError;
use crate::keys::Namespace;
use crate::settings::{Settings, host, invalid, parsed};
use crate::store::RedisStore;

/// Describes a [`RedisStore`]; made by [`RedisStore::builder`].
#[derive(Clone)]
#[must_use = "nothing is made until `build` is called"]
pub struct RedisStoreBuilder {
    url: String,
    namespace: Option<String>,
    sentinels: Option<Vec<String>>,
    timeout: Duration,
    silence: Duration,
    seed: Option<u64>,
    #[cfg(feature = "tls")]
    root_certificate: Option<Vec<u8>>,
}

/// What times may be.
const TIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_hours(1);

const TIMES_RULE: &str = "10 ms to an hour";

impl RedisStoreBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            namespace: None,
            sentinels: None,
            timeout: Duration::from_millis(1_500),
            silence: Duration::from_secs(5),
            seed: None,
            #[cfg(feature = "tls")]
            root_certificate: None,
        }
    }

    /// The part of the server that all replicas of this service share, and no other service has. Needed: 1 to 64 ASCII
    /// letters, digits, `-`, `_` or `.`.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = Some(name.into());
        self
    }

    /// The URLs of Sentinels, any of which knows where the server is. The host of the store's own URL is then the name by
    /// which they know it, as in `redis://shop:secret@main`; user, password, database and TLS of that URL are the
    /// server's, while those of each Sentinel are in its own.
    pub fn sentinels<U: Into<String>>(mut self, urls: impl IntoIterator<Item = U>) -> Self {
        self.sentinels = Some(urls.into_iter().map(Into::into).collect());
        self
    }

    /// How long one operation may take, connecting included where that is needed: 10 ms to an hour. Default 1.5 s, less
    /// than the 2 s after which a fleet gives an operation up, so that the error says what was not answered.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// After how long without a message a subscription makes sure that it still hears: 10 ms to an hour. Default 5 s.
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Seeds what is random: how far waits stray, and the numbers of messages to itself. By default no two stores have the
    /// same.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The certificate, in PEM, of the authority that has signed the server's, in place of those that the system trusts.
    #[cfg(feature = "tls")]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificate = Some(pem.into());
        self
    }

    /// The store. Connects to nothing yet: a server that is away is no reason not to start.
    ///
    /// Fails if the URL, the namespace or a setting is not valid. [`RedisStore::check`] tells what the server says.
    pub fn build(self) -> Result<RedisStore, RedisStoreError> {
        Ok(RedisStore::new(self.settings()?))
    }

    fn settings(self) -> Result<Settings, RedisStoreError> {
        let name = self.namespace.as_ref();
        let namespace = Namespace::new(name.ok_or(RedisStoreError::NoNamespace)?)?;
        for (field, time) in [("timeout", self.timeout), ("silence", self.silence)] {
            if !TIMES.contains(&time) {
                let allowed = TIMES_RULE;
                return Err(RedisStoreError::Invalid { field, allowed });
            }
        }
        let client = self.client(parsed(&self.url)?)?;
        let server = client.get_connection_info().clone();
        let (places, primary) = match &self.sentinels {
            None => (vec![client], None),
            Some(urls) => {
                let asked = urls.iter().map(|url| self.client(parsed(url)?));
                let primary = host(server.addr()).ok_or_else(|| RedisStoreError::InvalidUrl {
                    fault: "its host must be the name by which the Sentinels know the server"
                        .to_owned(),
                })?;
                (asked.collect::<Result<_, _>>()?, Some(primary.to_owned()))
            }
        };
        if places.is_empty() {
            let (field, allowed) = ("sentinels", "at least one URL");
            return Err(RedisStoreError::Invalid { field, allowed });
        }
        Ok(Settings {
            places,
            server,
            primary,
            namespace,
            timeout: self.timeout,
            silence: self.silence,
            random: self
                .seed
                .map_or_else(Random::from_entropy, Random::from_seed),
        })
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "with TLS there is a certificate in it")]
    fn client(&self, info: ConnectionInfo) -> Result<Client, RedisStoreError> {
        Client::open(info).map_err(|error| invalid(&error))
    }

    #[cfg(feature = "tls")]
    fn client(&self, info: ConnectionInfo) -> Result<Client, RedisStoreError> {
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            return Client::open(info).map_err(|error| invalid(&error));
        }
        if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            let fault = "`#insecure` would trust anybody; give the authority as `root_certificate`";
            return Err(RedisStoreError::InvalidUrl {
                fault: fault.to_owned(),
            });
        }
        if let Some(pem) = &self.root_certificate
            && !matches!(CertificateDer::pem_slice_iter(pem).next(), Some(Ok(_)))
        {
            // The client would take it for an authority that has signed nothing.
            let (field, allowed) = ("root_certificate", "a certificate in PEM");
            return Err(RedisStoreError::Invalid { field, allowed });
        }
        // The client would panic without a provider, or with two to choose from.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Fails only if somebody else has just installed one, which does as well.
            let _somebody_elses = rustls::crypto::ring::default_provider().install_default();
        }
        let certificates = redis::TlsCertificates {
            client_tls: None,
            root_cert: self.root_certificate.clone(),
        };
        Client::build_with_tls(info, certificates).map_err(|error| invalid(&error))
    }
}

/// Without URLs, in which passwords are.
impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("namespace", &self.namespace)
            .field("timeout", &self.timeout)
            .field("silence", &self.silence)
            .finish_non_exhaustive()
    }
}
