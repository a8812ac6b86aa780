//! `loadcast completions`: what a shell completes by.

use std::io::Write;

use clap::Command;
use clap_complete::Shell;

use crate::cli::failure::Failure;

/// For which shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "bash:  source <(loadcast completions bash)\nzsh:   loadcast completions zsh > \"${fpath[1]}/_loadcast\"\nfish:  loadcast completions fish > ~/.config/fish/completions/loadcast.fish"
)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args, mut command: Command, out: &mut impl Write) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "loadcast", &mut script);
    out.write_all(&script)?;
    Ok(())
}
