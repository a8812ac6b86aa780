"""What every question to Python has in common. python.rs puts it before a script that defines answer(question, folder).

argv[1] is a folder: question.json lies there, answer.json is written there. It holds {"answer": ...} or {"refused":
{kind, what, remedy}}; an exception that nobody foresaw ends the process, and its traceback is shown."""

import sys

# The current folder is on the path of `python -c`, and may hold a file called prophet.py.
sys.path[:] = [place for place in sys.path if place]

import importlib
import json
import logging
import os
import pathlib
import platform
import re
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
# MLflow's own defaults are seven retries, four minutes in all, for a server that is down.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")


class Refused(Exception):
    """`kind` is source, settings or model: what has to be changed."""

    def __init__(self, kind, what, remedy):
        super().__init__(what)
        self.reply = {"kind": kind, "what": what, "remedy": remedy}


def tell(error):
    """An exception in a line, without passwords of URLs."""
    text = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"://[^/@\s]*@", "://", text)[:600]


def need(module):
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Refused(
            "settings",
            f"Python {platform.python_version()} ({sys.executable}) cannot import {module}: {tell(error)}",
            "name a Python that has prophet and mlflow with --python, or have one made with --make-venv DIR",
        ) from None


def unreachable(error):
    """Whether a server did not answer, as opposed to one that refused."""
    requests = need("requests")
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.Timeout)):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def of_mlflow(what, error, remedy):
    """The refusal for an exception of MLflow's client."""
    if unreachable(error):
        remedy = "start the MLflow server, or say where it is with --tracking-uri http://HOST:PORT"
    elif any(code in str(error) for code in ("error code 401", "error code 403", "PERMISSION_DENIED")):
        remedy = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, of a user who may"
    return Refused("source", f"{what}: {tell(error)}", remedy)


def main(answer):
    folder = pathlib.Path(sys.argv[1])
    question = json.loads((folder / "question.json").read_text("utf-8"))
    try:
        reply = {"answer": answer(question, folder)}
    except Refused as refusal:
        reply = {"refused": refusal.reply}
    (folder / "answer.json").write_text(json.dumps(reply, allow_nan=False), "utf-8")
