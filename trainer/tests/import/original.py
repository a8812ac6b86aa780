"""A stranger's process: an MLflow tracking server, and in it what the original logged: Prophets by mlflow.sklearn.log_model,
and one by mlflow.pyfunc. Beside them in OUT: pickles of every kind, and for sound ones what predict() says of future.csv.
Prints {"uri", "run"} when all is there; ends when its standard input does, so that it outlives no test.
usage: original.py OUT"""

import json
import logging
import os
import pathlib
import subprocess
import sys
import threading
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
OUT = pathlib.Path(sys.argv[1]).resolve()
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"


def serve():
    """The server, in a process of its own: MLflow's keeps its store where a client keeps the server's address."""
    store = (OUT / "store").as_uri()
    # What `mlflow server` sets for the application it starts; one process is simpler to end than its workers.
    os.environ |= {
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "_MLFLOW_SERVER_FILE_STORE": store,
        "_MLFLOW_SERVER_REGISTRY_STORE": store,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": (OUT / "artifacts").as_uri(),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }
    from mlflow.server import app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


if sys.argv[2:] == ["serve"]:
    serve()
    sys.exit()
serving = subprocess.Popen([sys.executable, __file__, str(OUT), "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
printed, sys.stdout = sys.stdout, sys.stderr

import pickle

import joblib
import mlflow
import numpy as np
import pandas as pd
from prophet import Prophet



def rows(start, count):
    hours = np.arange(start, start + count)
    ds = pd.Timestamp("2026-01-05") + pd.to_timedelta(hours, unit="h")
    frame = pd.DataFrame({"ds": ds, "cap": 60 + hours * 0.01, "floor": 1.5})
    frame["temperature"] = 15 + 8 * np.sin(hours / 37) + np.cos(hours * 1.7)
    frame["busy"] = (ds.hour >= 8) & (ds.hour < 20) & (ds.dayofweek < 5)
    frame["y"] = 20 + 0.004 * hours + 5 * np.sin(2 * np.pi * hours / 24) + 0.3 * frame.temperature + np.sin(hours * hours * 0.618)
    return frame


history, future = rows(0, 800), rows(770, 200).drop(columns="y")
future.to_csv(OUT / "future.csv", index=False)
# As the original's scripts set them.
plain = Prophet(yearly_seasonality=False, weekly_seasonality=True, daily_seasonality=True).fit(history, seed=1)
inputs = Prophet(growth="logistic", daily_seasonality=False)
inputs.add_seasonality("busy day", 1, 4, condition_name="busy")
inputs.add_regressor("temperature")
inputs.add_country_holidays("US")
inputs.fit(history, seed=1)
for name, model in (("plain", plain), ("inputs", inputs)):
    predicted = model.predict(future)[["ds", "trend", "yhat"]]
    predicted.to_csv(OUT / f"{name}.csv", index=False, float_format="%.17g")


def dump(name, value):
    with (OUT / name).open("wb") as file:
        pickle.dump(value, file)


class Code:
    """What a pickle may do to who reads it."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


dump("plain.pkl", plain)
joblib.dump(inputs, OUT / "inputs.joblib", compress=3)
dump("unfitted.pkl", Prophet())
dump("other.pkl", {"cpu": 1.0})
dump("hostile.pkl", Code(os.mkdir, (str(OUT / "it ran"),)))
dump("slow.pkl", Code(exec, ("import time; time.sleep(600)",)))
dump("loud.pkl", Code(exec, ("import os, sys; sys.stderr.write('out of paper\\n'); sys.stderr.flush(); os._exit(3)",)))
# Before 1.1.5 there was no scaling and no holidays_mode; no version that this one reads had no changepoints_t.
for name, absent in (("before_1_1_5.pkl", ["scaling", "y_min", "holidays_mode"]), ("unreadable.pkl", ["changepoints_t"])):
    other = pickle.loads(pickle.dumps(plain))
    for attribute in absent:
        delattr(other, attribute)
    dump(name, other)
(OUT / "text.pkl").write_text("ds,y\n")

uri = serving.stdout.readline().strip()
mlflow.set_tracking_uri(uri)
mlflow.set_experiment("k8s-forecast")
with mlflow.start_run() as run:
    mlflow.sklearn.log_model(plain, name="model", registered_model_name="CPU_Prophet_Model", serialization_format="cloudpickle")
mlflow.MlflowClient().set_registered_model_alias("CPU_Prophet_Model", "production", "1")


class Wrapped(mlflow.pyfunc.PythonModel):
    def __init__(self, model):
        self.model = model

    def predict(self, context, model_input, params=None):
        return self.model.predict(model_input)


with mlflow.start_run(run.info.run_id):
    mlflow.pyfunc.log_model(name="wrapped", python_model=Wrapped(plain))
print(json.dumps({"uri": uri, "run": run.info.run_id}), file=printed, flush=True)
sys.stdin.read()
