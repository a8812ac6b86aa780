"""A stranger's process: fits Prophet models of several kinds, logs them with mlflow.prophet.log_model to a file store, and
writes what each predicts. For each model, OUT_DIR/NAME has future.csv, predict.csv and folder.txt, the path of what was logged.
usage: log_models.py OUT_DIR"""

import logging
import os
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

import mlflow
import numpy as np
import pandas as pd
from prophet import Prophet

OUT = pathlib.Path(sys.argv[1]).resolve()
mlflow.set_tracking_uri((OUT / "store").as_uri())


def rows(start, count):
    """Hourly load with a day, a week and a drift, and what may stand beside it."""
    hours = np.arange(start, start + count)
    ds = pd.Timestamp("2026-01-05") + pd.to_timedelta(hours, unit="h")
    frame = pd.DataFrame({"ds": ds})
    frame["temperature"] = 15 + 8 * np.sin(hours / 37) + np.cos(hours * 1.7)
    frame["release"] = (hours % 53 < 5).astype(int)
    frame["busy"] = (ds.hour >= 8) & (ds.hour < 20) & (ds.dayofweek < 5)
    frame["cap"] = 60 + hours * 0.01
    frame["floor"] = 1.5
    frame["y"] = (
        20
        + 0.004 * hours
        + 5 * np.sin(2 * np.pi * hours / 24)
        + 2 * np.cos(2 * np.pi * hours / 168)
        + 0.3 * frame.temperature
        + 3 * frame.release
        + np.sin(hours * hours * 0.618)
    )
    return frame


def regressors(**settings):
    model = Prophet(**settings)
    model.add_regressor("temperature")
    model.add_regressor("release", mode="multiplicative")
    return model


def conditional():
    model = Prophet(daily_seasonality=False)
    model.add_seasonality("busy day", 1, 4, condition_name="busy")
    return model


patch_days = pd.DataFrame(
    {
        "holiday": "patch day",
        "ds": pd.to_datetime(["2026-01-13", "2026-02-10", "2026-02-14"]),
        "lower_window": -1,
        "upper_window": 1,
    }
)
MODELS = {
    "additive_regressors": regressors(),
    "multiplicative": regressors(seasonality_mode="multiplicative", scaling="minmax"),
    "logistic": Prophet(growth="logistic"),
    "holidays": Prophet(holidays=patch_days, n_changepoints=5),
    "conditional": conditional(),
    "flat": Prophet(growth="flat", interval_width=0.95),
}

history, future = rows(0, 800), rows(770, 200).drop(columns="y")
for name, model in MODELS.items():
    model.fit(history, seed=20260101)
    info = mlflow.prophet.log_model(model, name=name)
    predicted = mlflow.prophet.load_model(info.model_uri).predict(future)
    folder = OUT / name
    folder.mkdir()
    future.to_csv(folder / "future.csv", index=False)
    kept = [c for c in predicted if not c.endswith(("_lower", "_upper")) and c not in ("cap", "floor")]
    predicted[kept].to_csv(folder / "predict.csv", index=False, float_format="%.17g")
    (folder / "folder.txt").write_text(mlflow.artifacts.download_artifacts(info.model_uri))
