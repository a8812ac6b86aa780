"""The service that Loadcast's REST endpoints replace, written anew: FastAPI, Prophet's predict() in the request, one worker.
Its endpoints, fields and arithmetic are the original's, and so are its faults; tests compare with it, benches race it.
CPU and MEMORY are MLflow model folders or model.pr files. Prints {"url"} when it listens; ends when its standard input does.
usage: original_service.py CPU MEMORY [--port 0] [--now 2026-11-24T12:00:00]"""

import argparse
import json
import logging
import pathlib
import socket
import sys
import threading
import warnings
from datetime import datetime, timedelta

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)

import pandas as pd
import uvicorn
from fastapi import FastAPI, HTTPException
from prophet.serialize import model_from_json

parser = argparse.ArgumentParser()
parser.add_argument("cpu", type=pathlib.Path)
parser.add_argument("memory", type=pathlib.Path)
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--now", type=datetime.fromisoformat)
args = parser.parse_args()
app = FastAPI(title="Kubernetes resource forecasts", version="1.0.0")
models = {}


def load(path):
    """A Prophet out of the folder that mlflow.prophet.log_model writes, or out of its model.pr; nothing where there is none."""
    file = path / "model.pr" if path.is_dir() else path
    if not file.is_file():
        return None
    text = file.read_text()
    # MLflow writes Prophet's JSON as a string of JSON.
    said = json.loads(text)
    return model_from_json(said if isinstance(said, str) else text)


def now():
    return args.now or datetime.now()


def loaded():
    if models["cpu"] is None or models["memory"] is None:
        raise HTTPException(status_code=503, detail="Models not loaded")


def yhat(name, at):
    return float(models[name].predict(pd.DataFrame({"ds": [at]}))["yhat"].iloc[0])


def predict(at):
    """Cores and gigabytes at one instant, by the original's guesses of units."""
    loaded()
    cpu, memory = yhat("cpu", at), yhat("memory", at)
    return cpu / 100 if cpu > 1 else cpu, memory / 1e9 if memory > 1_000_000 else memory


def recommend(cores, gigabytes, request, limit):
    return {
        "cpu": {"request": f"{int(cores * request * 1000)}m", "limit": f"{int(cores * limit * 1000)}m"},
        "memory": {"request": f"{int(gigabytes * request * 1024)}Mi", "limit": f"{int(gigabytes * limit * 1024)}Mi"},
    }


def insights(cores, gigabytes):
    return {
        "cpu_utilization": f"{cores * 100:.1f}%",
        "memory_utilization": f"{gigabytes:.2f} GB",
        "confidence": "High",
    }


def model_info(forecast_type):
    return {"model_version": "1.0.0", "training_date": "2026-01-01", "forecast_type": forecast_type}


# As the original: coroutines that compute, so that each predict() holds up every other request.
@app.get("/")
async def at_instant(datetime_str: str):
    try:
        at = datetime.strptime(datetime_str, "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        raise HTTPException(status_code=400, detail="Invalid datetime format. Use YYYY-MM-DDTHH:MM:SS")
    cores, gigabytes = predict(at)
    return {
        "datetime": datetime_str,
        "predictions": {"cpu_cores": round(cores, 4), "memory_percent": round(gigabytes, 2)},
        "summary": f"CPU {cores:.4f} cores, memory {gigabytes:.2f}",
    }


def period(day, forecast_type, day_field):
    at = day.replace(hour=12, minute=0, second=0, microsecond=0)
    cores, gigabytes = predict(at)
    return {
        "forecast_type": forecast_type,
        day_field: at.strftime("%Y-%m-%d"),
        "day_of_week": at.strftime("%A"),
        "predictions": {"cpu_cores": round(cores, 4), "memory_gb": round(gigabytes, 3)},
        "recommendations": recommend(cores, gigabytes, 0.8, 1.2),
        "insights": insights(cores, gigabytes),
        "model_info": model_info(forecast_type),
    }


@app.get("/next_day")
async def next_day():
    return period(now() + timedelta(days=1), "daily_average", "date")


@app.get("/next_week")
async def next_week():
    return period(now() + timedelta(days=7), "weekly_average", "week_start")


@app.get("/next_weekend")
async def next_weekend():
    saturday = now() + timedelta(days=(5 - now().weekday()) % 7 or 7)
    cores, gigabytes = predict(saturday.replace(hour=10, minute=0, second=0, microsecond=0))
    return {
        "prediction_date": saturday.strftime("%Y-%m-%d"),
        "period": "weekend",
        "cpu_percent": round(cores * 100, 2),
        "memory_value": round(gigabytes, 2),
        "summary": f"weekend: CPU {cores * 100:.2f} %, memory {gigabytes:.2f}",
        "model_info": model_info("weekend"),
    }


@app.get("/next_month")
async def next_month():
    days = [(now() + timedelta(days=n)).replace(hour=12, minute=0, second=0, microsecond=0) for n in (7, 14, 21, 28)]
    samples = [predict(day) for day in days]
    cores = sum(cpu for cpu, _ in samples) / 4
    gigabytes = sum(memory for _, memory in samples) / 4
    return {
        "forecast_type": "monthly_average",
        "month": days[-1].strftime("%Y-%m"),
        "sampling_method": "4_week_average",
        "predictions": {
            "cpu_cores": round(cores, 4),
            "memory_gb": round(gigabytes, 3),
            "cpu_range": {"min": round(min(cpu for cpu, _ in samples), 4), "max": round(max(cpu for cpu, _ in samples), 4)},
        },
        "recommendations": recommend(cores, gigabytes, 0.7, 1.5),
        "insights": insights(cores, gigabytes) | {"recommendation_note": "Wider margins for monthly planning"},
        "model_info": model_info("monthly_average"),
    }


@app.get("/health")
async def health():
    loaded = "loaded" if models["cpu"] and models["memory"] else "not_loaded"
    return {
        "status": "healthy",
        "version": "1.0.0",
        "models_loaded": loaded,
        "model_source": "MLflow Production",
        "timestamp": now().isoformat(),
    }


@app.get("/models/info")
async def models_info():
    def model(name):
        info = {"version": "1", "alias": "production", "training_date": "2026-01-01", "data_until": "2026-01-01", "status": "loaded"}
        return {"name": name, "info": info}

    return {
        "model_source": "MLflow Production",
        "models_status": "loaded" if models["cpu"] and models["memory"] else "not_loaded",
        "timestamp": now().isoformat(),
        "cpu_model": model("CPU_Prophet_Model"),
        "memory_model": model("Memory_Prophet_Model"),
        "mlflow_tracking_uri": "http://127.0.0.1:5000",
    }


models["cpu"], models["memory"] = load(args.cpu), load(args.memory)
listener = socket.create_server(("127.0.0.1", args.port))
server = uvicorn.Server(uvicorn.Config(app, log_level="warning", workers=1))


def end_with_stdin():
    sys.stdin.read()
    server.should_exit = True


threading.Thread(target=end_with_stdin, daemon=True).start()
print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
server.run(sockets=[listener])
