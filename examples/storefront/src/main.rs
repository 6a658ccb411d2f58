//! A shop that keeps selling while its dependencies fail.
//!
//! Everything is real: the shop and the services behind it are HTTP servers on loopback, and each of the services has
//! a switch by which it fails. `README.md` beside this crate shows what to try.
//!
//! Start reading at [`client`] and at [`shop`], which are what a service of yours would copy: one calls other services
//! behind a breaker, the other falls back where a call fails.

mod account;
mod answer;
mod call;
mod catalogue;
mod charge;
mod cli;
mod client;
mod control;
mod customer;
mod fleet;
mod grpc;
mod health;
mod house;
mod local;
mod membership;
mod notice;
mod orders;
mod outbox;
mod payment;
mod probes;
mod problem;
mod scrape;
mod server;
mod settings;
mod shop;
mod store;
mod system;
mod tour;
mod upstream;
mod view;

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use tower::BoxError;

use self::{
    cli::{Cli, Command, ServeArgs},
    house::Doors,
    notice::Notice,
    settings::{Safeguards, Settings},
    system::System,
    tour::Verdict,
};

/// A tour that did not come to its verdict. 1 says that a promise was broken, 2 is a wrong argument.
const TOUR_NOT_RUN: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parsed();
    cli.start_log();
    let safeguards = Safeguards::all_but(&cli.without);
    match cli.command {
        None => match serve(&cli.serve, &safeguards).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&*error, 1),
        },
        Some(Command::Tour) => ended(tour::run(&safeguards, &mut io::stdout()).await),
        Some(Command::Fleet) => {
            let mut out = io::stdout();
            let tour = fleet::run(&safeguards, &mut out);
            // Ended by a signal as well it has to end what it has started.
            ended(tokio::select! {
                verdict = tour => verdict,
                () = server::told_to_stop() => Err("told to stop in the middle of the tour".into()),
            })
        }
    }
}

fn ended(tour: Result<Verdict, BoxError>) -> ExitCode {
    match tour {
        Ok(Verdict::AllKept) => ExitCode::SUCCESS,
        Ok(Verdict::Broken) => ExitCode::FAILURE,
        Err(error) => failed(&*error, TOUR_NOT_RUN),
    }
}

fn failed(error: &(dyn std::error::Error + 'static), code: u8) -> ExitCode {
    eprintln!("storefront: {error}");
    ExitCode::from(code)
}

/// Runs the shop until it is told to stop. What it is built on stops with it.
async fn serve(args: &ServeArgs, safeguards: &Safeguards) -> Result<(), BoxError> {
    let doors = Doors::listen(&args.ports).await?;
    let mut settings = Settings::serving(args.data_dir()?);
    if args.short_times {
        settings = settings.short();
    }
    settings.fleet = args.fleet.membership(args.short_times)?;
    let system = Arc::new(System::start(&settings, safeguards).await?);

    let control = doors.control.local_addr()?;
    writeln!(
        io::stdout(),
        "{}\n\
         Operators see http://{control}/health and http://{control}/metrics; gRPC health is at {grpc}.\n\
         Try: curl -X PUT -d 'status 500' http://{control}/recommendations\n\
         Its database is in {data_dir}. Ctrl-C closes the shop.",
        Notice {
            shop: doors.shop.local_addr()?,
            control
        },
        grpc = doors.grpc.local_addr()?,
        data_dir = settings.data_dir.display(),
    )?;
    house::keep_open(doors, system, server::told_to_stop()).await
}
