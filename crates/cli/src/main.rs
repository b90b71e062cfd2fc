//! The `halo` command: the wallet in a terminal.
//!
//! Words only. What may be done is decided in the wallet; a command is one call of it, through the control socket
//! of the app or daemon that runs for the profile. Two commands open the wallet themselves: `daemon`, and `init` (or
//! `recover`) where nothing runs yet.
//!
//! Secrets come from standard input or a prompt that shows nothing, never from arguments, which every process on the
//! machine can read.

mod args;
mod commands;
mod connect;
mod error;
mod secret;
mod show;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;
use crate::error::Failure;
use crate::show::Out;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refuse_arguments(&error),
    };
    let out = Out::new(args.json);
    match commands::carry_out(args, &out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            out.failure(&failure);
            failure.exit_code()
        }
    }
}

/// Help and version go to standard output; everything else is a mistake in the arguments.
fn refuse_arguments(error: &clap::Error) -> ExitCode {
    // Arguments could not be read, so whether JSON is wanted has to be looked up by hand.
    let json = std::env::args_os().skip(1).any(|argument| argument == "--json");
    if !error.use_stderr() || !json {
        let _ = error.print();
        return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
    }
    let failure = Failure::usage(error.render().to_string().trim().to_owned());
    Out::new(true).failure(&failure);
    failure.exit_code()
}
