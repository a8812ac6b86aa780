#!/usr/bin/env python3
"""Python Prophet beside loadcast-trainer backtest: the same series, the same origins, one table.

    python backtest_prophet.py --trainer target/release/loadcast-trainer [--leads 5m,15m,60m,1d] [--json FILE] CSV...

With --leads the question is another: models are trained once a day and asked at every step for these leads, ours with and
without what was observed since, beside the last value, the day before and Python Prophet. Each CSV has the columns timestamp and value. Nothing is assumed about results: every figure is computed in this run.
"""

import argparse
import json
import logging
import math
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd

DAY = 86_400
SPEC = Path(__file__).with_name("original.toml")


def grid(path):
    """Values on the regular grid at the median spacing: floored, averaged; NaN where nothing was observed."""
    rows = pd.read_csv(path)
    seconds = pd.to_datetime(rows["timestamp"]).to_numpy().astype("datetime64[s]").astype(np.int64)
    step = int(np.median(np.diff(np.sort(seconds))))
    means = pd.Series(rows["value"].to_numpy(float)).groupby(seconds // step * step).mean()
    return step, means.reindex(np.arange(means.index.min(), means.index.max() + 1, step))


def measure(truth, point, low, high, scale):
    seen = ~np.isnan(truth)
    truth, point, low, high = truth[seen], point[seen], low[seen], high[seen]
    sums = np.abs(truth) + np.abs(point)
    error = np.abs(truth - point)
    return {
        "mase": error.mean() / scale,
        "smape": 200 * np.where(sums == 0, 0, error / np.where(sums == 0, 1, sums)).mean(),
        "coverage": ((low <= truth) & (truth <= high)).mean(),
    }


def prophet(path, arguments, origins, max_train):
    """Python Prophet's measures, means over the origins, and its seconds."""
    from prophet import Prophet

    step, values = grid(path)
    day, found = DAY // step, []
    begun = time.perf_counter()
    for back in range(origins, 0, -1):
        at = len(values) - back * day
        train = values.iloc[max(0, at - max_train * day) : at].interpolate(limit_direction="both")
        scale = np.abs(train.to_numpy()[day:] - train.to_numpy()[:-day]).mean()
        frame = pd.DataFrame({"ds": pd.to_datetime(train.index, unit="s"), "y": train.to_numpy()})
        model = Prophet(interval_width=0.8, **arguments)
        np.random.seed(20260101)
        model.fit(frame, seed=20260101)
        ahead = values.iloc[at : at + day]
        said = model.predict(pd.DataFrame({"ds": pd.to_datetime(ahead.index, unit="s")}))
        columns = (said[name].to_numpy() for name in ("yhat", "yhat_lower", "yhat_upper"))
        found.append(measure(ahead.to_numpy(), *columns, scale))
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    return means | {"seconds": time.perf_counter() - begun}


def prophet_leads(path, steps, days, max_train):
    """Mean absolute errors of Python Prophet, trained daily and asked at every step, `steps` after the last observation."""
    from prophet import Prophet

    step, values = grid(path)
    day, n = DAY // step, len(values)
    errors = {ahead: [] for ahead in steps}
    for back in range(days, 0, -1):
        start = n - back * day
        train = values.iloc[max(0, start - max_train * day) : start].interpolate(limit_direction="both")
        frame = pd.DataFrame({"ds": pd.to_datetime(train.index, unit="s"), "y": train.to_numpy()})
        model = Prophet(uncertainty_samples=0)
        model.fit(frame, seed=20260101)
        until = min(n, start + day + max(steps))
        ds = pd.to_datetime(values.index[start:until], unit="s")
        said = model.predict(pd.DataFrame({"ds": ds}))["yhat"].to_numpy()
        for at in range(start, start + day):
            for ahead in steps:
                target = at - 1 + ahead
                if target < n and not np.isnan(values.iloc[target]):
                    errors[ahead].append(abs(values.iloc[target] - said[target - start]))
    return {ahead: float(np.mean(found)) for ahead, found in errors.items() if found}


def compare_leads(arguments):
    """The table of --leads: mean absolute errors, and on how many series ours is better than the last value."""
    columns = ["corrected", "uncorrected", "last_value", "seasonal_naive", "Prophet"]
    common = ["--origins", str(arguments.origins), "--max-train", f"{arguments.max_train}d", "--leads", arguments.leads]
    common += ["--level-shift", "1.5,0.5"]
    results, better = {}, {}
    width = max(len(path.stem) for path in arguments.csv)
    print(f"{'mean absolute error':<{width}} {'lead':>6}" + "".join(f"{name:>15}" for name in columns))
    for path in arguments.csv:
        found = loadcast(arguments.trainer, path, *common, "--search")
        theirs = prophet_leads(path, sorted({lead["steps"] for lead in found["leads"]}), arguments.origins, arguments.max_train)
        for lead in found["leads"]:
            lead["Prophet"] = theirs[lead["steps"]]
            minutes = lead["lead_seconds"] // 60
            print(f"{path.stem:<{width}} {minutes:>4} m" + "".join(f"{lead[name]:>15.5g}" for name in columns), flush=True)
            won = better.setdefault(minutes, {name: 0 for name in columns[1:]})
            for name in won:
                won[name] += lead["corrected"] < lead[name]
        results[path.stem] = found
    print("\nseries on which the corrected forecast is the better one, of", len(results))
    for minutes, won in better.items():
        print(f"{'':<{width}} {minutes:>4} m{'':>15}" + "".join(f"{won[name]:>15}" for name in columns[1:]))
    print(f"\n{'the hour after a jump':<{width}} {'level':>6}" + "".join(f"{name:>15}" for name in columns[:3]))
    for series, found in results.items():
        for shift in found["level_shifts"]:
            cells = "".join(f"{shift[name]:>15.5g}" for name in columns[:3])
            print(f"{series:<{width}} x {shift['factor']:<4}{cells}")
    return results


def loadcast(trainer, path, *arguments):
    command = [trainer, "backtest", "--data", str(path), "--column", "value", "--output", "json", *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainer", required=True)
    parser.add_argument("--origins", type=int, default=6)
    parser.add_argument("--max-train", type=int, default=28, help="days")
    parser.add_argument("--leads", help="ask for these leads at every step instead, such as 5m,15m,60m,1d")
    parser.add_argument("--json", type=Path, help="write every figure there too")
    parser.add_argument("csv", nargs="+", type=Path)
    arguments = parser.parse_args()
    logging.getLogger("cmdstanpy").disabled = True
    logging.getLogger("prophet").setLevel(logging.ERROR)
    if arguments.leads:
        results = compare_leads(arguments)
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1) + "\n")
        return
    original = tomllib.loads(SPEC.read_text())
    common = ["--origins", str(arguments.origins), "--max-train", f"{arguments.max_train}d"]

    names = ["seasonal naive", "Python auto", "Python original", "ours, original", "ours, search", "undistilled"]
    results = {}
    for path in arguments.csv:
        spec = loadcast(arguments.trainer, path, *common, "--spec", str(SPEC))
        search = loadcast(arguments.trainer, path, *common, "--search")
        results[path.stem] = {
            "seasonal naive": search["seasonal_naive"],
            "Python auto": prophet(path, {}, arguments.origins, arguments.max_train),
            "Python original": prophet(path, original, arguments.origins, arguments.max_train),
            "ours, original": spec["model"] | {"seconds": spec["seconds"]},
            "ours, search": search["model"] | {"seconds": search["seconds"], "fits": search["fits"]},
            "undistilled": search["undistilled"],
        }
        print(f"{path.stem}: done", file=sys.stderr)

    width = max(map(len, results))
    for measure_name, digits in (("mase", 3), ("smape", 1), ("coverage", 2), ("seconds", 2)):
        print(f"\n{measure_name:<{width}}" + "".join(f"{name:>17}" for name in names))
        for series, row in results.items():
            cells = (row[name].get(measure_name) for name in names)
            print(f"{series:<{width}}" + "".join(f"{'-' if c is None else format(c, f'.{digits}f'):>17}" for c in cells))
        if measure_name == "mase":
            ratios = [
                math.exp(np.mean([math.log(row[name]["mase"] / row["seasonal naive"]["mase"]) for row in results.values()]))
                for name in names
            ]
            print(f"{'relative to naive, geometric mean':<{width}}" + "".join(f"{r:>17.3f}" for r in ratios)[max(0, 33 - width) :])
        if measure_name == "coverage":
            means = [np.mean([row[name]["coverage"] for row in results.values()]) for name in names]
            print(f"{'mean':<{width}}" + "".join(f"{m:>17.3f}" for m in means))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
