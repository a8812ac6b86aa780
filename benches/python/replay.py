#!/usr/bin/env python3
"""Would a forecast have helped? loadcast-trainer replay on many series, one table.

    python replay.py --trainer target/release/loadcast-trainer [--column value] [--pages DIR] [--json FILE] CSV... [-- FLAG...]

A pod is to carry a twentieth of the 99th percentile of the load, so that every workload has about 20 pods at its peak.
What follows `--` goes to replay as it is, such as --trigger quantile=0.95.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

PODS_AT_PEAK = 20


def replay(arguments, path, further):
    target = pd.read_csv(path)[arguments.column].quantile(0.99) / PODS_AT_PEAK
    command = [arguments.trainer, "replay", "--data", str(path), "--column", arguments.column, "--output", "json"]
    command += ["--target-per-pod", repr(float(target)), "--max", "200", "--hpa-defaults", *further]
    if arguments.pages:
        command += ["--html", str(arguments.pages / f"{path.stem}.html")]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    ours = sys.argv[1:]
    further = ours[ours.index("--") + 1 :] if "--" in ours else []
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainer", required=True)
    parser.add_argument("--column", default="value")
    parser.add_argument("--pages", type=Path, help="write a page for each series there")
    parser.add_argument("--json", type=Path, help="write every figure there too")
    parser.add_argument("csv", nargs="+", type=Path)
    arguments = parser.parse_args(ours[: ours.index("--")] if "--" in ours else ours)
    width, results = max(len(path.stem) for path in arguments.csv), {}
    head = "under, min|naive|Loadcast|pod-hours|naive|Loadcast|events|naive|Loadcast|reversals|naive|Loadcast".split("|")
    print(f"{'':<{width}}" + "".join(f"{name:>11}" for name in head))
    for path in arguments.csv:
        found = results[path.stem] = replay(arguments, path, further)
        reactive, naive, loadcast = found["runs"]
        cells = [f"{reactive['under_provisioned_minutes']:.1f}"]
        cells += [f"{run['under_provisioned_minutes']:.1f}" for run in (naive, loadcast)]
        cells += [f"{reactive['pod_hours']:.0f}"]
        cells += [f"{100 * (run['pod_hours'] / reactive['pod_hours'] - 1):+.1f} %" for run in (naive, loadcast)]
        for figure in ("scale_events", "oscillations"):
            cells += [str(run[figure]) for run in (reactive, naive, loadcast)]
        print(f"{path.stem:<{width}}" + "".join(f"{cell:>11}" for cell in cells), flush=True)
    minutes = [sum(r["runs"][i]["under_provisioned_minutes"] for r in results.values()) for i in range(3)]
    never_more = sum(
        r["runs"][2]["under_provisioned_minutes"] <= r["runs"][0]["under_provisioned_minutes"] for r in results.values()
    )
    print(f"under-provisioned minutes in all: reactive {minutes[0]:.0f}, naive {minutes[1]:.0f}, Loadcast {minutes[2]:.0f};", end=" ")
    print(f"Loadcast never more than reactive on {never_more} of {len(results)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
