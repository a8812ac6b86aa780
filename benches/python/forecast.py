"""Python Prophet's predict(), timed. Reads a line of JSON {"model": PATH, "start": seconds, "step": seconds, "points": n,
"samples": n} and answers {"seconds": s}: predict() alone, the frame of times being ready."""

import json
import logging
import sys
import time
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)

import pandas as pd
from prophet.serialize import model_from_json

models = {}
for line in sys.stdin:
    ask = json.loads(line)
    if ask["model"] not in models:
        with open(ask["model"]) as file:
            models[ask["model"]] = model_from_json(json.load(file))
    model = models[ask["model"]]
    model.uncertainty_samples = ask["samples"]
    ds = pd.to_datetime(ask["start"], unit="s") + pd.to_timedelta([i * ask["step"] for i in range(ask["points"])], unit="s")
    future = pd.DataFrame({"ds": ds})
    begun = time.perf_counter()
    model.predict(future)
    print(json.dumps({"seconds": time.perf_counter() - begun}), flush=True)
