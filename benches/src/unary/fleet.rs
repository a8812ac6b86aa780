//! The release server with many series, and the models they were made of.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use jiff::Timestamp;
use loadcast_client::Client;
use loadcast_model::{
    artifact::encode_model_pr,
    fit::fit,
    forecaster::{Forecaster, Question},
    history::History,
    prophet::ProphetModel,
    spec::Spec,
};
use loadcast_proto::v1 as pb;
use prost::Message as _;
use tempfile::TempDir;

use crate::{fanout::server::Server, pushed::pushed, unary::question::name};

/// A server that serves `namespace-0.workload-0.cpu` and so on.
#[derive(Debug)]
pub(super) struct Fleet {
    server: Server,
    forecasters: Vec<Forecaster>,
    model_pr: std::path::PathBuf,
    _folder: TempDir,
}

impl Fleet {
    /// Four weeks of five-minute rows with weekly and daily seasonality and 25 changepoints; all have the parameters of one
    /// fit, but for the level.
    pub(super) async fn start(series: usize) -> Result<Self> {
        let server = Server::start().await?;
        let end = Timestamp::now().as_second();
        let ds: Vec<i64> = (0..8_064).map(|i| end - (8_064 - i) * 300).collect();
        let y = ds.iter().map(|second| {
            let day = *second as f64 / 86_400.0 * std::f64::consts::TAU;
            let noise = (*second as f64 * 12.9898).sin();
            2.0 + day.sin() + 0.3 * (day / 7.0).cos() + 0.05 * noise
        });
        let history = History::new(ds.clone(), y.collect())?;
        let model = fit(&Spec::default(), &history)?.model;
        let client = Client::new(&format!("http://{}", server.addr()))?;
        let cutoff = Timestamp::from_second(end)?;
        let mut forecasters = Vec::with_capacity(series);
        for i in 0..series {
            let model = ProphetModel {
                m: model.m + i as f64 * 1e-6,
                ..model.clone()
            };
            client.push(pushed(&name(i), &model, cutoff, i)?).await?;
            forecasters.push(Forecaster::new(model)?);
        }
        let folder = tempfile::tempdir()?;
        let model_pr = folder.path().join("model.pr");
        std::fs::write(&model_pr, encode_model_pr(&model)?)?;
        Ok(Self {
            server,
            forecasters,
            model_pr,
            _folder: folder,
        })
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// One of its models as Python's Prophet reads it.
    pub(super) fn model_pr(&self) -> &Path {
        &self.model_pr
    }

    /// Computes an answer again, from the model itself, and compares bit by bit.
    ///
    /// # Errors
    /// When a value differs.
    pub(super) fn recheck(
        &self,
        series: usize,
        times: &[i64],
        levels: &[f64],
        answer: &Bytes,
    ) -> Result<()> {
        let answer = pb::GetForecastResponse::decode(answer.clone())?;
        let answer = answer.forecast.context("no forecast")?.into_message()?;
        let forecaster = self.forecasters.get(series).context("no such series")?;
        let expected = forecaster.forecast(&Question::at(times).with_levels(levels))?;
        let provenance = answer.provenance.context("no provenance")?;
        ensure!(provenance.series == name(series), "{}", provenance.series);
        ensure!(answer.yhat == expected.yhat, "yhat differs");
        ensure!(
            answer.quantiles.len() == levels.len(),
            "quantiles are missing"
        );
        for (said, expected) in answer.quantiles.iter().zip(&expected.quantiles) {
            ensure!(said.level == expected.level, "level {}", said.level);
            ensure!(said.values == expected.values, "quantile {}", said.level);
        }
        Ok(())
    }
}
