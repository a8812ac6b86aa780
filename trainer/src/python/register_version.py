"""Registers a model folder of the prophet flavor as a new version, once for the same key, and moves an alias to it.

Question: tracking_uri, name, folder, key, sha256, tags, params, alias (or null). Answer: version, run_id, moved_from,
already_registered."""

EXPERIMENT = "loadcast-import"


def registered(client, name, key):
    """The version that an import before this one made of the same."""
    found = client.search_model_versions(f"name='{name}' and tags.`loadcast.key`='{key}'")
    return next((version for version in found if version.status == "READY"), None)


def register(client, question):
    name = question["name"]
    experiment = client.get_experiment_by_name(EXPERIMENT)
    experiment = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT)
    run = client.create_run(experiment, run_name=name, tags=question["tags"])
    try:
        for key, value in question["params"].items():
            client.log_param(run.info.run_id, key, value)
        client.log_artifacts(run.info.run_id, question["folder"], "model")
        try:
            client.create_registered_model(name)
        except Exception as error:
            if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{run.info.artifact_uri}/model"
        version = client.create_model_version(name, source, run.info.run_id, tags=question["tags"])
    except BaseException:
        client.set_terminated(run.info.run_id, "FAILED")
        raise
    client.set_terminated(run.info.run_id)
    return version


def read_back(mlflow, name, version, sha256, folder):
    """What is registered is what was sent; an alias is moved to nothing else."""
    hashlib = need("hashlib")
    path = mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=str(folder / "read_back"))
    have = hashlib.sha256((pathlib.Path(path) / "model.pr").read_bytes()).hexdigest()
    if have != sha256:
        raise Refused("source", f"version {version} of {name} reads back with sha256 {have} where {sha256} was sent", "look at the artifact store of MLflow, delete that version, and import again")


def moved(client, name, alias, version):
    """Moves the alias; the version that it pointed at before, null when it is new."""
    held = client.get_registered_model(name).aliases.get(alias)
    if held != version:
        client.set_registered_model_alias(name, alias, version)
    return held


def answer(question, folder):
    mlflow, name, alias = need("mlflow"), question["name"], question["alias"]
    where = tell(question["tracking_uri"])
    mlflow.set_tracking_uri(question["tracking_uri"])
    client = mlflow.MlflowClient()
    try:
        before = registered(client, name, question["key"])
        version = before or register(client, question)
        read_back(mlflow, name, version.version, question["sha256"], folder)
    except Refused:
        raise
    except Exception as error:
        raise of_mlflow(f"{name} could not be registered in {where}", error, "mend what it names and import again; nothing was moved") from None
    held = None
    if alias is not None:
        try:
            held = moved(client, name, alias, str(version.version))
        except Exception as error:
            what = f"version {version.version} of {name} is registered in {where}, but alias {alias} was not moved"
            raise of_mlflow(what, error, "choose another --alias and import again: no second version is made") from None
    return {
        "version": int(version.version),
        "run_id": version.run_id,
        "moved_from": None if held is None else int(held),
        "already_registered": before is not None,
    }
