"""A stranger's process: loads each model folder by mlflow.prophet.load_model and by mlflow.pyfunc.load_model and writes
what both predict at the times of FUTURE.csv, as columns yhat, trend and pyfunc_yhat.
usage: predict.py FOLDER FUTURE.csv OUT.csv [FOLDER FUTURE.csv OUT.csv ...]"""

import logging
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import mlflow
import pandas as pd

arguments = iter(sys.argv[1:])
for folder, future, out in zip(arguments, arguments, arguments):
    future = pd.read_csv(future, parse_dates=["ds"], float_precision="round_trip")
    predicted = mlflow.prophet.load_model(folder).predict(future)
    answer = predicted[["ds", "yhat", "trend"]].copy()
    answer["pyfunc_yhat"] = mlflow.pyfunc.load_model(folder).predict(future)["yhat"].to_numpy()
    answer.to_csv(out, index=False, float_format="%.17g")
