"""A stranger to Loadcast: fits, logs and registers models, moves aliases and stages, as MLflow's users do.
usage: stranger.py champion NAME LEVEL | stranger.py production NAME LEVEL | stranger.py webhook URL SECRET | stranger.py move NAME VERSION
       stranger.py poll NAME ... | stranger.py load NAME ..."""

import logging
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"

import mlflow

client = mlflow.MlflowClient()


def log(name, level):
    import pandas as pd
    from prophet import Prophet

    ds = pd.date_range("2026-11-01", periods=400, freq="h")
    model = Prophet(weekly_seasonality=False).fit(pd.DataFrame({"ds": ds, "y": float(level)}))
    with mlflow.start_run():
        logged = mlflow.prophet.log_model(model, name="model", registered_model_name=name)
    return logged.registered_model_version


def champion(name, level):
    version = log(name, level)
    client.set_registered_model_alias(name, "champion", version)
    print(version, time.time())


def production(name, level):
    version = log(name, level)
    client.transition_model_version_stage(name, version, "Production", archive_existing_versions=True)
    print(version, time.time())


def webhook(url, secret):
    from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent

    event = WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)
    client.create_webhook(name="loadcast", url=url, events=[event], secret=secret)


def move(name, version):
    client.set_registered_model_alias(name, "champion", version)
    print(version, time.time())


def poll(*names):
    begun = time.time()
    for name in names:
        client.get_model_version_by_alias(name, "champion")
    print(round(time.time() - begun, 3))


def load(*names):
    begun = time.time()
    for name in names:
        mlflow.prophet.load_model(f"models:/{name}@champion")
    print(round(time.time() - begun, 3))


{"champion": champion, "production": production, "webhook": webhook, "move": move, "poll": poll, "load": load}[sys.argv[1]](*sys.argv[2:])
