"""Prophet behind FastAPI as one would write it in an afternoon: the model loaded once, predict() in the request, one
worker. GET /forecast?at=SECONDS answers {"yhat", "yhat_lower", "yhat_upper"} of one point. Prints {"url"} when it listens.
usage: serve_prophet.py MODEL.pr"""

import json
import logging
import socket
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)

import pandas as pd
import uvicorn
from fastapi import FastAPI
from prophet.serialize import model_from_json

with open(sys.argv[1]) as file:
    model = model_from_json(json.load(file))
app = FastAPI()


@app.get("/forecast")
def forecast(at: int):
    row = model.predict(pd.DataFrame({"ds": [pd.to_datetime(at, unit="s")]})).iloc[0]
    return {name: float(row[name]) for name in ("yhat", "yhat_lower", "yhat_upper")}


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(json.dumps({"url": "http://%s:%d" % listener.getsockname()}), flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="critical", workers=1)).run(sockets=[listener])
