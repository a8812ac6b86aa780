"""Python's side of the fit rows: reads one JSON request a line, answers one JSON line: milliseconds per fit, log posterior.

{"by": "prophet" | "prophet_batch", "csv": PATH, "kwargs": {...}, "series": N}
"""
import json
import logging
import sys
import time
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)  # Before prophet, which speaks while it is imported.
from prophet import Prophet  # noqa: E402


def log_posterior(model, frame):
    """prophet.stan's lp__ at the model's parameters; linear growth only."""
    fresh = Prophet(**KWARGS)
    data = fresh.preprocess(frame)
    p = {name: np.asarray(value, dtype=float).reshape(-1) for name, value in model.params.items() if name != "trend"}
    t, y, x = np.asarray(data.t), np.asarray(data.y), np.asarray(data.X, dtype=float)
    k, m, sigma = p["k"][0], p["m"][0], p["sigma_obs"][0]
    hinges = np.maximum(t[:, None] - np.asarray(data.t_change)[None, :], 0.0)
    trend = k * t + m + hinges @ p["delta"]
    curve = trend * (1 + x @ (p["beta"] * data.s_m)) + x @ (p["beta"] * data.s_a)
    residual = ((y - curve) ** 2).sum()
    return (
        -residual / (2 * sigma**2) - len(y) * np.log(sigma) - sigma**2 / (2 * 0.5**2)
        - (k**2 + m**2) / 50 - np.abs(p["delta"]).sum() / data.tau
        - ((p["beta"] / np.asarray(data.sigmas)) ** 2).sum() / 2
    )


for line in sys.stdin:
    request = json.loads(line)
    KWARGS = request["kwargs"]
    frame = pd.read_csv(request["csv"], parse_dates=["ds"])
    if request["by"] == "prophet":
        model = Prophet(**KWARGS)
        begin = time.perf_counter()
        model.fit(frame)
        elapsed = time.perf_counter() - begin
        value = float(np.asarray(model.params["lp__"]).reshape(-1)[0])
    else:
        from prophet_batch import fit_many

        # Series of the same times and different values, the first as it is.
        many = [frame.assign(unique_id=i, y=frame.y * (1 + 0.3 * i) + 0.01 * i * np.arange(len(frame)) / len(frame))
                for i in range(request["series"])]
        many = pd.concat(many, ignore_index=True)
        begin = time.perf_counter()
        models = fit_many(many, **KWARGS)
        elapsed = (time.perf_counter() - begin) / request["series"]
        value = float(log_posterior(models[0], frame))
    print(json.dumps({"milliseconds": elapsed * 1e3, "log_posterior": value}), flush=True)
