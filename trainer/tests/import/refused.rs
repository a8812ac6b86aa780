//! What is no import: each refusal by its name and with its remedy, and nothing registered or written.

use std::net::TcpListener;
use std::path::Path;

use crate::original::{Original, assert_refused, import, original};

/// The refusal of a local pickle that is trusted; nothing is written.
fn refuse(it: &Original, pickle: &str, reason: &[&str], remedy: &str) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    let output = it.import(&[
        "--model",
        &it.file(pickle),
        "--series=a",
        "--trust-pickle",
        "--output",
        model.to_str().unwrap(),
        "--time-limit=30s",
    ]);
    assert_refused(&output, reason, remedy);
    assert!(!model.exists());
}

#[test]
fn a_pickle_is_not_read_before_its_writer_is_trusted() {
    let Some(it) = original() else { return };
    let (model, ran) = (it.file("hostile.pkl"), it.file("it ran"));
    let out = it.file("untrusted");
    let output = it.import(&["--model", &model, "--series=a", "--output", &out]);
    assert_refused(
        &output,
        &[
            "hostile.pkl",
            "sha256",
            "is a pickle, and reading it runs whatever code it holds",
        ],
        "--trust-pickle",
    );
    assert!(!Path::new(&ran).exists());
    // With trust it runs, which is what the flag is for; what it holds then is still no Prophet.
    refuse(
        it,
        "hostile.pkl",
        &["holds a builtins.NoneType, which is no Prophet"],
        "Prophet",
    );
    assert!(Path::new(&ran).exists());
}

#[test]
fn a_pickle_of_something_else_is_refused_with_its_class() {
    let Some(it) = original() else { return };
    refuse(
        it,
        "other.pkl",
        &["holds a builtins.dict, which is no Prophet"],
        "only Prophet models",
    );
}

#[test]
fn a_prophet_that_was_never_fitted_is_refused() {
    let Some(it) = original() else { return };
    refuse(it, "unfitted.pkl", &["was never fitted"], "after fit()");
}

#[test]
fn a_prophet_of_a_version_that_this_one_cannot_read_is_refused_with_both_versions() {
    let Some(it) = original() else { return };
    refuse(
        it,
        "unreadable.pkl",
        &["cannot be read", "changepoints_t"],
        "another version (which one was not logged; this Python has prophet 1.5.0)",
    );
}

#[test]
fn a_file_that_is_no_pickle_is_refused() {
    let Some(it) = original() else { return };
    refuse(
        it,
        "text.pkl",
        &["text.pkl cannot be unpickled"],
        "mlflow.prophet.log_model",
    );
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let Some(it) = original() else { return };
    refuse(
        it,
        "absent.pkl",
        &["absent.pkl: no such file or folder"],
        "models:/NAME/3",
    );
}

#[test]
fn python_that_dies_is_told_with_its_last_words() {
    let Some(it) = original() else { return };
    refuse(
        it,
        "loud.pkl",
        &["ended without an answer", "out of paper"],
        "mend",
    );
}

#[test]
fn python_that_takes_too_long_is_stopped() {
    let Some(it) = original() else { return };
    let (model, out) = (it.file("slow.pkl"), it.file("slow"));
    let output = it.import(&[
        "--model",
        &model,
        "--series=a",
        "--trust-pickle",
        "--output",
        &out,
        "--time-limit=1s",
    ]);
    assert_refused(
        &output,
        &["took longer than 1 s and was stopped"],
        "--time-limit",
    );
}

#[test]
fn a_version_an_alias_and_a_run_that_mlflow_has_not_are_refused_as_mlflow_says_it() {
    let Some(it) = original() else { return };
    for (place, reason) in [
        ("models:/CPU_Prophet_Model/99", "99"),
        ("models:/CPU_Prophet_Model@nobody", "nobody"),
    ] {
        let output = it.import(&[
            "--model",
            place,
            "--series=a",
            "--tracking-uri",
            &it.uri,
            "--trust-pickle",
            "--register",
        ]);
        assert_refused(&output, &[place, reason, "not found"], "models:/NAME@ALIAS");
    }
}

#[test]
fn an_mlflow_that_does_not_answer_is_told_with_its_address() {
    let Some(it) = original() else { return };
    // Bound and let go: nobody listens there.
    let addr = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let uri = format!("http://somebody:secret@{addr}");
    let args = [
        "--model=models:/CPU_Prophet_Model/1",
        "--trust-pickle",
        "--register",
    ];
    let mut command = import(&args);
    command.args(["--tracking-uri", &uri, "--python", &it.python()]);
    let output = command
        .env("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        .output()
        .unwrap();
    assert_refused(
        &output,
        &[&addr.to_string(), "could not be fetched"],
        "start the MLflow server",
    );
    assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"));
}

#[test]
fn a_model_of_the_prophet_flavor_needs_no_import() {
    let Some(it) = original() else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("MLmodel"),
        "flavors:\n  prophet:\n    data: model.pr\n",
    )
    .unwrap();
    let out = it.file("prophet");
    let model = folder.path().to_str().unwrap();
    let output = it.import(&["--model", model, "--series=a", "--output", &out]);
    assert_refused(
        &output,
        &["of the prophet flavor already"],
        "serve it as it is",
    );
}
