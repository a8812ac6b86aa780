//! The server's binary: configuration, telemetry, bind, say where, serve until told to stop, flush.

use std::{io::Write as _, process::ExitCode};

use loadcast_server::{app::App, clock::Clock, config::Config, shutdown, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let config = match Config::read(std::env::args_os()) {
        Ok(config) => config,
        Err(error) => return failed(&error),
    };
    let telemetry = telemetry::init(config.log_format);
    let outcome = serve(config).await;
    telemetry.flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("loadcast-server: {error:#}");
    ExitCode::FAILURE
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let app = App::bind(config, Clock::system()).await?;
    println!(
        "loadcast-server listening grpc={} http={}",
        app.grpc_addr(),
        app.http_addr()
    );
    std::io::stdout().flush()?;
    app.serve(shutdown::signal()).await?;
    Ok(())
}
