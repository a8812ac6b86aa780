"""A stranger to Loadcast: logs and registers models as MLflow's users do, or loads what somebody else registered.
usage: stranger.py log | stranger.py load NAME ..."""

import logging
import os
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"

import mlflow
import numpy as np
import pandas as pd

client = mlflow.MlflowClient()
future = pd.DataFrame({"ds": pd.date_range("2026-02-01", periods=24, freq="h")})


def log():
    from prophet import Prophet

    hours = np.arange(400)
    ds = pd.Timestamp("2026-01-05") + pd.to_timedelta(hours, unit="h")
    history = pd.DataFrame({"ds": ds, "y": 20 + 5 * np.sin(2 * np.pi * hours / 24)})
    # A gap and a row out of step: the step is what is most frequent.
    history = history.drop(index=range(100, 110)).reset_index(drop=True)
    model = Prophet(weekly_seasonality=False).fit(history)

    with mlflow.start_run() as run:
        mlflow.prophet.log_model(model, name="model", registered_model_name="py.prophet")
    client.set_registered_model_alias("py.prophet", "champion", "1")

    # By a run's address, as MLflow 2 and many scripts name it, and by stage.
    with mlflow.start_run() as run:
        mlflow.prophet.log_model(model, name="model")
    client.create_registered_model("py.runs")
    client.create_model_version("py.runs", f"runs:/{run.info.run_id}/model", run.info.run_id)
    client.set_model_version_tag("py.runs", "1", "loadcast.step_seconds", "1800")
    client.set_registered_model_tag("py.runs", "loadcast.unit", "cores")
    client.set_registered_model_tag("py.runs", "loadcast.label.namespace", "shop")
    client.transition_model_version_stage("py.runs", "1", "Staging")

    # As ML-predictive-scaling logged it.
    with mlflow.start_run():
        mlflow.sklearn.log_model(model, name="model", registered_model_name="py.pickle", serialization_format="cloudpickle")
    client.set_registered_model_alias("py.pickle", "champion", "1")


def load():
    for name in sys.argv[2:]:
        model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
        print(*(repr(float(value)) for value in model.predict(future)["yhat"]))


{"log": log, "load": load}[sys.argv[1]]()
