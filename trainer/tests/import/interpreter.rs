//! The Python that is used: named, made, absent, or without what it takes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use crate::original::{assert_refused, import};

/// An import of a file that is no Prophet, by the interpreter at `python`.
fn imported(python: &Path, folder: &Path, further: &[&str]) -> Output {
    let model = folder.join("model.pkl");
    fs::write(&model, "x").unwrap();
    let out = folder.join("out");
    import(&["--series=a", "--trust-pickle"])
        .arg("--model")
        .arg(model)
        .arg("--output")
        .arg(out)
        .arg("--python")
        .arg(python)
        .args(further)
        .output()
        .unwrap()
}

/// A program that stands for Python.
fn program(folder: &Path, script: &str) -> std::path::PathBuf {
    let path = folder.join("python");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_python_that_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = imported(Path::new("/no/such/python"), folder.path(), &[]);
    assert_refused(
        &output,
        &["--python /no/such/python: no such program"],
        "install Python",
    );
}

#[test]
fn a_python_without_prophet_is_refused_with_both_ways_to_one_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    // The interpreter alone, without the packages of any environment.
    let Some(python) = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        std::process::Command::new(python)
            .arg("--version")
            .output()
            .is_ok()
    }) else {
        assert!(
            std::env::var_os("LOADCAST_REQUIRE_ALL").is_none(),
            "python3 is required and absent"
        );
        eprintln!("skipped: no python3");
        return;
    };
    let bare = program(folder.path(), &format!("exec {python} -S \"$@\""));
    let output = imported(&bare, folder.path(), &[]);
    assert_refused(&output, &["cannot import prophet"], "--make-venv DIR");
}

#[test]
fn an_answer_that_is_none_is_refused_with_what_was_printed() {
    let folder = tempfile::tempdir().unwrap();
    // The last argument is the folder of question and answer.
    let liar = program(
        folder.path(),
        "for last; do :; done; echo '{\"answer\": 1}' > \"$last/answer.json\"; echo over and out",
    );
    let output = imported(&liar, folder.path(), &[]);
    assert_refused(
        &output,
        &["wrote no answer that is one", "over and out"],
        "--make-venv",
    );
}

#[test]
fn a_venv_is_made_once_with_the_pinned_versions_and_then_used() {
    let folder = tempfile::tempdir().unwrap();
    let venv = folder.path().join("venv");
    let (calls, flag) = (folder.path().join("calls"), "--make-venv");
    // Stands for python3 and, copied by its `-m venv`, for the Python of the environment.
    let script = format!(
        "echo \"$1 $2 $3\" >> '{calls}'; if [ \"$2\" = venv ]; then mkdir -p \"$3/bin\"; cp \"$0\" \"$3/bin/python\"; fi; [ \"$1\" = -m ] || exit 7",
        calls = calls.display()
    );
    let python = program(folder.path(), &script);
    for _ in 0..2 {
        let output = imported(&python, folder.path(), &[flag, venv.to_str().unwrap()]);
        assert_refused(
            &output,
            &["venv/bin/python ended without an answer"],
            "mend what it says",
        );
    }
    let calls = fs::read_to_string(calls).unwrap();
    let count = |what: &str| calls.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!(
        (count("-m venv"), count("-m pip install")),
        (1, 1),
        "{calls}"
    );
    let installed = fs::read_to_string(venv.join("loadcast-installed.txt")).unwrap();
    assert!(installed.contains("prophet==1.5.0"), "{installed}");
}

#[test]
fn a_venv_that_cannot_be_installed_is_told_with_pips_last_words_and_is_not_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let venv = folder.path().join("venv");
    let script = "if [ \"$2\" = venv ]; then mkdir -p \"$3/bin\"; cp \"$0\" \"$3/bin/python\"; else echo 'No matching distribution'; exit 1; fi";
    let python = program(folder.path(), script);
    let further = ["--make-venv", venv.to_str().unwrap()];
    let output = imported(&python, folder.path(), &further);
    assert_refused(
        &output,
        &["-m pip, for --make-venv", "No matching distribution"],
        "mend what it says",
    );
    assert!(!venv.join("loadcast-installed.txt").exists());
}

#[test]
fn a_folder_of_somebody_elses_is_not_made_a_venv() {
    let folder = tempfile::tempdir().unwrap();
    let output = imported(
        Path::new("python3"),
        folder.path(),
        &["--make-venv", folder.path().to_str().unwrap()],
    );
    assert_refused(
        &output,
        &["it holds files that this build did not install"],
        "name an empty folder",
    );
}
