"""Reads the Prophet in a pickle, writes it as Prophet's own JSON, and says what its predict() says on a grid.

Question: place (an MLflow URI or a path), tracking_uri, trust_pickle. Answer: see source/pickle.rs."""

import hashlib
from datetime import datetime, timezone

PICKLES = (".pkl", ".pickle", ".joblib")
HOW_TO_NAME = "write models:/NAME/3, models:/NAME@ALIAS, runs:/RUN_ID/PATH, or a local path; MLflow's pages list what there is"
AGAIN = "log the fitted model again from the program that trains it, with mlflow.prophet.log_model"


def fetched(place, tracking_uri, folder):
    """The local path of what the URI names, and the URI with its alias resolved."""
    mlflow = need("mlflow")
    mlflow.set_tracking_uri(tracking_uri)
    try:
        if place.startswith("models:/") and "@" in place:
            name, alias = place.removeprefix("models:/").rsplit("@", 1)
            version = mlflow.MlflowClient().get_model_version_by_alias(name, alias).version
            place = f"models:/{name}/{version}"
        path = mlflow.artifacts.download_artifacts(place, dst_path=str(folder / "fetched"))
    except Exception as error:
        raise of_mlflow(f"{place} could not be fetched from {tell(tracking_uri)}", error, HOW_TO_NAME) from None
    return pathlib.Path(path), place


def pickle_in(path, place):
    """The pickle at the path, the flavor it was logged with, and when."""
    if path.is_file():
        written = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
        return path, "no flavor", written
    if not path.is_dir():
        raise Refused("source", f"{place}: no such file or folder", HOW_TO_NAME)
    if not (path / "MLmodel").is_file():
        raise Refused("source", f"{place} is a folder without MLmodel", "name the pickle in it, or a folder that MLflow wrote")
    need("mlflow")
    described = need("yaml").safe_load((path / "MLmodel").read_text("utf-8"))
    described = described if isinstance(described, dict) else {}
    flavors = described.get("flavors") or {}
    if "prophet" in flavors:
        raise Refused("settings", f"{place} is of the prophet flavor already, there is nothing to import", "serve it as it is, or look at it with loadcast-trainer forecast --model DIR")
    sklearn, pyfunc = flavors.get("sklearn") or {}, flavors.get("python_function") or {}
    name = sklearn.get("pickled_model") or pyfunc.get("python_model") or pyfunc.get("model_path") or pyfunc.get("data")
    if not name or not (path / str(name)).is_file() or not (path / str(name)).resolve().is_relative_to(path.resolve()):
        raise Refused("source", f"{place} has the flavors {', '.join(map(str, flavors)) or 'none'}, and none that names a pickle", "name the pickle itself, such as runs:/RUN_ID/PATH/model.pkl, or " + AGAIN)
    logged = described.get("utc_time_created")
    logged = datetime.fromisoformat(str(logged)).replace(tzinfo=timezone.utc) if logged else None
    return path / str(name), "sklearn" if sklearn else "python_function", logged


def unpickled(file, place, versions):
    """The fitted Prophet in the file, and the class of what held it."""
    try:
        import joblib as pickles
    except ImportError:
        import pickle as pickles
    forecaster = need("prophet").Prophet
    other = f"it may be of another version ({versions['logged']}; this Python has {versions['here']}): name a Python with that one with --python, or " + AGAIN
    try:
        with file.open("rb") as stream:
            loaded = pickles.load(stream)
    except Exception as error:
        raise Refused("model", f"{place}: {file.name} cannot be unpickled: {type(error).__name__}: {tell(error)}", other) from None
    kind = f"{type(loaded).__module__}.{type(loaded).__qualname__}"
    held = [loaded, *getattr(loaded, "__dict__", {}).values()]
    held = [value for value in held if isinstance(value, forecaster)]
    if len(held) != 1:
        raise Refused("model", f"{place}: {file.name} holds a {kind}, which is no Prophet", "only Prophet models are served; train one with loadcast-trainer run")
    model = held[0]
    if getattr(model, "history", None) is None:
        raise Refused("model", f"{place}: the Prophet in {file.name} was never fitted", "log it after fit()")
    # As Prophet itself does when it reads the JSON of a version before 1.1.5.
    for name, value in (("scaling", "absmax"), ("y_min", 0.0), ("holidays_mode", getattr(model, "seasonality_mode", None))):
        if name not in vars(model):
            setattr(model, name, value)
    return model, kind, other


def asked(model):
    """The grid: a hundred rows of the history, a day of steps after it, then sixty days; and what stands beside."""
    pandas, numpy = need("pandas"), need("numpy")
    history = model.history.drop_duplicates("ds").sort_values("ds").reset_index(drop=True)
    seconds = ((history.ds - pandas.Timestamp(0)) // pandas.Timedelta(seconds=1)).to_numpy().astype("int64")
    steps = numpy.diff(seconds)
    step = max(1, int(numpy.median(steps))) if len(steps) else 1
    past = numpy.unique(numpy.linspace(0, len(seconds) - 1, 100).astype("int64"))
    ahead = seconds[-1] + numpy.unique(numpy.concatenate([numpy.arange(1, 289) * step, numpy.arange(1, 61) * 86_400]))
    rows = numpy.concatenate([past, numpy.arange(len(ahead)) % len(seconds)])
    beside = (["cap"] if model.growth == "logistic" else []) + (["floor"] if model.logistic_floor else [])
    conditions = {props["condition_name"] for props in model.seasonalities.values()} - {None}
    beside = beside + list(model.extra_regressors) + sorted(conditions)
    columns = {name: raw(model, history, name)[rows] for name in beside}
    times = numpy.concatenate([seconds[past], ahead])
    frame = pandas.DataFrame({"ds": pandas.to_datetime(times, unit="s"), **columns})
    return frame, times, step, {
        "cap": columns["cap"].tolist() if "cap" in columns else [],
        "floor": columns["floor"].tolist() if "floor" in columns else [],
        "regressors": {name: columns[name].tolist() for name in model.extra_regressors},
        "conditions": {name: columns[name].tolist() for name in sorted(conditions)},
    }


def raw(model, history, name):
    """A column as it was given to fit(), which keeps regressors standardized."""
    if name in model.extra_regressors:
        props = model.extra_regressors[name]
        return history[name].to_numpy().astype("float64") * props["std"] + props["mu"]
    values = history[name].to_numpy()
    return values.astype("bool") if values.dtype == bool else values.astype("float64")


def days_of_country(model, frame):
    """The dates that Python's holidays package has for the country of the model, which are nowhere in its JSON."""
    if model.country_holidays is None:
        return []
    own = set() if model.holidays is None else set(model.holidays.holiday)
    days = model.construct_holiday_dataframe(frame.ds)
    # Holidays that none of these years has are there without a day.
    days = days[days.ds.notna() & ~days.holiday.isin(own)]
    return [{"holiday": str(day.holiday), "ds": str(day.ds)[:10]} for day in days.itertuples()]


def answer(question, folder):
    place, fetch = question["place"], question["fetch"]
    path, resolved = fetched(place, question["tracking_uri"], folder) if fetch else (pathlib.Path(place), place)
    file, flavor, logged_at = pickle_in(path, resolved)
    content = file.read_bytes()
    about = {"name": file.name, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "flavor": flavor}
    if not question["trust_pickle"]:
        what = f"{resolved}: {file.name} ({flavor}, {len(content)} bytes, sha256 {about['sha256']}) is a pickle, and reading it runs whatever code it holds, as you"
        raise Refused("settings", what, "if you trust whoever wrote it, say so with --trust-pickle")
    if os.environ.get("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true").lower() in ("false", "0"):
        raise Refused("settings", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION forbids pickles here", "unset it for this import, where you may")
    del content
    requirements = path / "requirements.txt"
    pinned = re.findall(r"^(?:fb)?prophet[=<>~!].*$", requirements.read_text("utf-8"), re.M) if path.is_dir() and requirements.is_file() else []
    prophet = need("prophet")
    versions = {"logged": ", ".join(pinned) or "which one was not logged", "here": f"prophet {prophet.__version__}"}
    model, holder, other = unpickled(file, resolved, versions)
    from prophet.serialize import model_to_json

    try:
        written = model_to_json(model)
        frame, times, step, inputs = asked(model)
        predicted = model.predict(frame)
        holidays = days_of_country(model, frame)
    except Exception as error:
        raise Refused("model", f"{resolved}: the Prophet in {file.name} cannot be read: {type(error).__name__}: {tell(error)}", other) from None
    yhat, trend = predicted.yhat.to_numpy(), predicted.trend.to_numpy()
    if not need("numpy").isfinite([yhat, trend]).all():
        raise Refused("model", f"{resolved}: Python's own forecast of it is not finite", "fit it again, on data without extreme values")
    rows = (f"{ds.isoformat()},{float(y)!r}\n" for ds, y in zip(model.history.ds, model.history.y))
    return {
        "place": resolved,
        "pickle": about,
        "holder": holder,
        "logged_at": logged_at and logged_at.isoformat(),
        "python": f"Python {platform.python_version()}, {versions['here']}",
        "model_json": written,
        "rows": len(model.history),
        "step_seconds": step,
        "data_sha256": hashlib.sha256("".join(rows).encode()).hexdigest(),
        "times": times.tolist(),
        "inputs": inputs,
        "holidays": holidays,
        "yhat": yhat.tolist(),
        "trend": trend.tolist(),
    }
