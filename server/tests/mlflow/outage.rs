//! MLflow killed, and back: for seconds in `make test`, for ten minutes in `make soak`.

use std::time::{Duration, Instant};

use loadcast_client::{Model, ModelState};

use crate::{
    real::Mlflow,
    scene::{Load, make, serve, until, until_said},
};
use loadcast_components::{proxy::Proxy, soak};

#[tokio::test(flavor = "multi_thread")]
async fn soak_mlflow_is_killed_and_back_no_forecast_fails_and_it_is_followed_again() {
    let Some(mlflow) = tokio::task::spawn_blocking(Mlflow::start).await.unwrap() else {
        return;
    };
    let series = ["outage.a", "outage.b", "outage.c"];
    for name in series {
        make(&*mlflow.open(), name, 1).await;
    }
    let proxy = Proxy::start(&mlflow.url).await;
    let server = serve(&proxy, tempfile::tempdir().unwrap()).await;
    for name in series {
        until(&server, name, 1).await;
    }
    let load = Load::start(&server, &series);

    let again = mlflow.kill();
    let unreachable = |model: &Model| model.state == ModelState::RegistryUnreachable;
    until_said(&server, series[0], unreachable).await;
    let (gone, before) = (Instant::now(), proxy.requests());
    let length = Duration::from_secs(if soak::wanted() { 600 } else { 2 });
    while gone.elapsed() < length || proxy.requests() < before + 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let tried = proxy.requests() - before;
    println!("{tried} requests in {:?} without MLflow", gone.elapsed());

    let mlflow = tokio::task::spawn_blocking(again).await.unwrap();
    let (back, before) = (Instant::now(), proxy.requests());
    make(&*mlflow.open(), series[0], 2).await;
    until(&server, series[0], 2).await;
    let took = back.elapsed();
    println!(
        "followed again {took:?} after it answered, by {} requests",
        proxy.requests() - before
    );
    until_said(&server, series[1], |model| {
        model.state == ModelState::Serving
    })
    .await;
    let (second, before) = (Instant::now(), proxy.requests());
    make(&*mlflow.open(), series[1], 2).await;
    until(&server, series[1], 2).await;
    let rate = (proxy.requests() - before) as f64 / second.elapsed().as_secs_f64();
    println!("{rate:.1} requests per second once it is back, polling every 200 ms");
    println!("{} forecasts, none failed", load.end().await);
    server.stop().await;
}
