//! What `.ci/tools.sh` puts under `.tools/`, and the list of it that ends `make test`.

use std::{
    fs::File,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
};

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools")
}

/// The program at `path` under `.tools/`, listed as `what`; `None`, said and listed too, where it could not be had because
/// what it `needs` is not there.
///
/// # Panics
/// Under `LOADCAST_REQUIRE_ALL`, when it is not there.
pub fn tool(what: &str, path: &str, needs: &str) -> Option<PathBuf> {
    let program = tools().join(path);
    found(
        program.is_file(),
        program,
        what,
        &format!("not installed ({needs} is needed)"),
    )
}

/// The interpreter with the pinned packages, as [`tool`].
///
/// # Panics
/// As [`tool`].
pub fn python(what: &str) -> Option<PathBuf> {
    let python = tools().join("python/bin/python");
    // The stamp is written when the installation is complete.
    let is_there = python.is_file() && tools().join("python.version").is_file();
    found(
        is_there,
        python,
        what,
        "not installed (python3 and PyPI are needed)",
    )
}

/// The folder of the programs of Python's gRPC, `python` and `protoc`'s among them, as [`tool`].
///
/// # Panics
/// As [`tool`].
pub fn python_grpc(what: &str) -> Option<PathBuf> {
    let folder = tools().join("python-grpc/bin");
    let is_there = folder.join("python").is_file() && tools().join("python-grpc.version").is_file();
    found(
        is_there,
        folder,
        what,
        "not installed (python3 and PyPI are needed)",
    )
}

/// A folder of `../shared`, beside the project, as [`tool`].
///
/// # Panics
/// As [`tool`].
pub fn shared(what: &str, folder: &str) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = shared.join(folder);
    found(folder.is_dir(), folder, what, "not beside the project")
}

fn found(is_there: bool, path: PathBuf, what: &str, otherwise: &str) -> Option<PathBuf> {
    if is_there {
        component(&format!("{what}: exercised"));
        return Some(path);
    }
    assert!(
        std::env::var_os("LOADCAST_REQUIRE_ALL").is_none(),
        "{what}: required and {otherwise}; make test installs what can be had. Looked for at {}",
        path.display()
    );
    eprintln!("skipped: {what}: {otherwise}, at {}", path.display());
    component(&format!("{what}: skipped, {otherwise}"));
    None
}

/// A line for the list that ends `make test`.
pub fn component(line: &str) {
    if let Some(path) = std::env::var_os("LOADCAST_TEST_COMPONENTS") {
        let file = File::options().append(true).create(true).open(path);
        // In one write: test binaries append beside each other.
        let line = format!("{line}\n");
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
