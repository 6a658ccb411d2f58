//! What the command line says.

use std::{env, fmt, path::PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand, error::ErrorKind};
use tracing::level_filters::LevelFilter;

use crate::{membership::FleetArgs, settings::Safeguard};

const FAULTS: &str = "\
Faults: each service behind the shop fails as you tell it, while everything runs. Say it to the control server:

  curl -X PUT -d 'status 500'        http://127.0.0.1:3001/recommendations  answers with that status (400 to 599)
  curl -X PUT -d 'latency 3s'        http://127.0.0.1:3001/users            answers after that time
  curl -X PUT -d 'hang'              http://127.0.0.1:3001/users            never answers
  curl -X PUT -d 'closed-port'       http://127.0.0.1:3001/recommendations  nobody listens on its port
  curl -X PUT -d 'half-body'         http://127.0.0.1:3001/recommendations  breaks off in the middle of an answer
  curl -X PUT -d 'hang-after-charge' http://127.0.0.1:3001/payments         charges, and never says so
  curl -X PUT -d 'none'              http://127.0.0.1:3001/recommendations  works
  curl                               http://127.0.0.1:3001/                 what is broken now";

/// A shop that keeps selling while its dependencies fail.
///
/// Without a command it serves until it is told to stop.
#[derive(Parser)]
#[command(version, after_help = FAULTS, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) serve: ServeArgs,

    /// Runs without a safeguard, to see what it is good for; may be repeated
    #[arg(long, value_name = "SAFEGUARD", global = true)]
    pub(crate) without: Vec<Safeguard>,

    /// What goes to the log on stderr: off, error, warn, info, debug or trace [default: info; error on a tour]
    #[arg(long, value_name = "LEVEL", global = true)]
    log: Option<LevelFilter>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Breaks the services behind a running shop, one fault after the other, and checks what the shop promises
    ///
    /// Takes under a minute, on ports of its own. Ends with code 0 if every promise was kept, 1 if one was
    /// broken, and 3 if the tour could not be run.
    Tour,
    /// Runs three replicas of the shop over a Redis of their own, and checks what a fleet promises
    ///
    /// One replica's decisions are followed by all, errors are added up, and Redis and a replica are killed. Needs
    /// `redis-server` (7 or newer) on PATH. Takes about a minute at most, on ports of its own, and leaves nothing behind.
    /// Ends with the same codes as the tour.
    Fleet,
}

#[derive(Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) ports: Ports,

    /// Where the shop keeps its own copy of its customers; made on first use [default: storefront in the user's data
    /// directory, as in ~/.local/share/storefront]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) fleet: FleetArgs,

    /// Lets flags, the level and the fleet react within seconds, as on a tour of the fleet
    #[arg(long)]
    pub(crate) short_times: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ports {
    /// The port of the shop on 127.0.0.1; 0 takes any that is free
    #[arg(long, default_value_t = 3000)]
    pub(crate) port: u16,

    /// The operators' port on 127.0.0.1, on which faults are switched and details of the shop's health shown; 0 takes
    /// any that is free
    #[arg(long, default_value_t = 3001)]
    pub(crate) control_port: u16,

    /// The port on 127.0.0.1 on which the shop's health is asked for by gRPC; 0 takes any that is free
    #[arg(long, default_value_t = 50_051)]
    pub(crate) grpc_port: u16,
}

impl Ports {
    /// Any that are free.
    pub(crate) const ANY: Self = Self {
        port: 0,
        control_port: 0,
        grpc_port: 0,
    };
}

/// There is no place where data are usually kept.
#[derive(Debug)]
pub(crate) struct Homeless;

impl ServeArgs {
    pub(crate) fn data_dir(&self) -> Result<PathBuf, Homeless> {
        let given = self.data_dir.clone();
        given.or_else(usual_data_dir).ok_or(Homeless)
    }
}

/// Where programs keep their data on this system.
fn usual_data_dir() -> Option<PathBuf> {
    let named = |variable: &str| {
        env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let data = if cfg!(windows) {
        named("LOCALAPPDATA")?
    } else if cfg!(target_os = "macos") {
        env::home_dir()?.join("Library/Application Support")
    } else {
        named("XDG_DATA_HOME").or_else(|| Some(env::home_dir()?.join(".local/share")))?
    };
    Some(data.join("storefront"))
}

impl fmt::Display for Homeless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no home directory for the shop's database; say where with `--data-dir DIRECTORY`")
    }
}

impl std::error::Error for Homeless {}

impl Cli {
    /// What was said, or the end of the process with what is wrong with it.
    pub(crate) fn parsed() -> Self {
        let cli = Self::parse();
        cli.checked().unwrap_or_else(|error| error.exit())
    }

    fn checked(self) -> Result<Self, clap::Error> {
        if matches!(self.command, Some(Command::Tour)) && self.without.contains(&Safeguard::Sync) {
            let nothing = "the tour has one replica, which has nothing to share; `fleet --without sync` shows what it is for";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, nothing));
        }
        Ok(self)
    }

    /// Sends the log to stderr, so that stdout is for what was asked for.
    pub(crate) fn start_log(&self) {
        let usual = match self.command {
            None => LevelFilter::INFO,
            // Circuits that open are what a tour is about; its table says so.
            Some(Command::Tour | Command::Fleet) => LevelFilter::ERROR,
        };
        tracing_subscriber::fmt()
            .with_max_level(self.log.unwrap_or(usual))
            .with_writer(std::io::stderr)
            .init();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_safeguard_can_be_left_out_of_a_tour_and_of_plain_serving() {
        let tour = Cli::try_parse_from(["storefront", "tour", "--without", "breaker"]).unwrap();
        assert_eq!(tour.without, [Safeguard::Breaker]);
        let serving = Cli::try_parse_from(["storefront", "--without", "breaker"]).unwrap();
        assert_eq!(serving.without, [Safeguard::Breaker]);
    }

    #[test]
    fn a_tour_is_not_taken_without_what_it_does_not_have() {
        let tour = Cli::try_parse_from(["storefront", "tour", "--without", "sync"]).unwrap();
        assert!(tour.checked().is_err());
        let fleet = Cli::try_parse_from(["storefront", "fleet", "--without", "sync"]).unwrap();
        assert!(fleet.checked().is_ok());
    }

    #[test]
    fn a_port_is_refused_where_it_would_be_ignored() {
        assert!(Cli::try_parse_from(["storefront", "--port", "4000", "tour"]).is_err());
    }
}
