//! The server's binary: configuration, telemetry, bind, say where, serve until told to stop, flush.

use std::{io::Write as _, process::ExitCode, time::Duration};

use loadcast_server::{app::App, clock::Clock, config::Config, shutdown, telemetry};

/// How long the end waits for what still blocks a thread, after the drain deadline.
const BLOCKED_THREADS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let code = runtime.block_on(run());
    runtime.shutdown_timeout(BLOCKED_THREADS);
    code
}

async fn run() -> ExitCode {
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
