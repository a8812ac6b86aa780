//! What every scene needs: the trainer as a process, a server in this one, free ports, tools.

use std::process::{Command, Output};

use loadcast_server::clock::Clock;

use crate::server::Server;

/// Rows that end now have another shape at each hour, and at some a model is a hair behind the naive one: that is told,
/// and nothing is held back for it where the test is about something else.
pub(crate) const SKILL_IS_TOLD: [&str; 2] = ["--gate", "skill=warning"];

/// A server on the wall clock.
pub(crate) async fn server() -> Server {
    Server::start(Clock::system(), &[]).await
}

/// The trainer with these arguments and variables beside those of this process.
pub(crate) fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadcast-trainer"));
    command.args(arguments).envs(variables.iter().copied());
    command
}

/// Runs it, off the threads that serve.
pub(crate) async fn trainer(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = command(arguments, variables);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// Runs it; it must end well. What it printed, shown with the command line.
pub(crate) async fn done(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = trainer(arguments, variables).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {told}");
    let printed = String::from_utf8(output.stdout).unwrap();
    println!(
        "$ loadcast-trainer {}\n{printed}{told}",
        arguments.join(" ")
    );
    printed
}

/// Runs it; it must be refused. What it said.
pub(crate) async fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = trainer(arguments, variables).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
    told
}
