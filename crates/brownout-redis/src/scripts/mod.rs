//! The scripts that the server runs: each is atomic there, and reads the server's own clock.
//!
//! Those that write declare it, so that a server without memory, or one that is a replica, refuses them before they have
//! done anything; those that only read are let through in both cases.

use std::sync::LazyLock;

/// A script, and the digest under which a server that knows it will run it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) code: &'static str,
    pub(crate) digest: LazyLock<String>,
}

/// What scripts answer in place of a result.
pub(crate) mod answer {
    /// It has run.
    pub(crate) const OK: &str = "ok";
    /// There is no epoch yet.
    pub(crate) const NONE: &str = "none";
    /// It came after the moment up to which it could have run.
    pub(crate) const LATE: &str = "late";
    /// There are as many values as there may be.
    pub(crate) const FULL: &str = "full";
    /// A key is not ours, or damaged.
    pub(crate) const BAD: &str = "bad";
    /// A key was written by a newer version.
    pub(crate) const NEWER: &str = "newer";
}

macro_rules! script {
    ($shebang:literal, $($part:literal),+) => {
        Script {
            code: concat!($shebang, "\n", include_str!("prelude.lua"), $(include_str!($part)),+),
            digest: LazyLock::new(|| {
                let code = concat!($shebang, "\n", include_str!("prelude.lua"), $(include_str!($part)),+);
                redis::Script::new(code).get_hash().to_owned()
            }),
        }
    };
}

pub(crate) static BEGIN: Script = script!("#!lua", "begin.lua");
pub(crate) static PICTURE: Script = script!("#!lua flags=no-writes", "values.lua", "picture.lua");
pub(crate) static WRITE: Script = script!("#!lua", "publish.lua", "write.lua");
pub(crate) static COUNT: Script = script!("#!lua", "publish.lua", "count.lua");
pub(crate) static REPORT: Script = script!("#!lua", "report.lua");
pub(crate) static REPLICAS: Script = script!("#!lua flags=no-writes", "values.lua", "replicas.lua");
