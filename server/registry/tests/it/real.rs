//! Real servers, each started once for all tests of this binary, on free ports, and gone with it.

pub(crate) mod minio;
pub(crate) mod mlflow;
mod process;

use std::{io::Write as _, net::TcpListener, path::PathBuf};

/// The program `name` under `.tools/`; `None`, with the reason said, where `.ci/tools.sh` could not put it there.
///
/// # Panics
/// Under `LOADCAST_REQUIRE_ALL`, when it is not there.
fn tool(name: &str, path: &str, needs: &str) -> Option<PathBuf> {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../.tools")
        .join(path);
    if program.is_file() {
        component(&format!("{name}: exercised"));
        return Some(program);
    }
    assert!(
        std::env::var_os("LOADCAST_REQUIRE_ALL").is_none(),
        "{name} is required and absent: run make test, which installs it ({needs} is needed)"
    );
    eprintln!("skipped: no {name} at {}", program.display());
    component(&format!(
        "{name}: skipped, not installed ({needs} is needed)"
    ));
    None
}

/// Notes for the summary of `make test` what was exercised and what was skipped.
fn component(line: &str) {
    if let Some(path) = std::env::var_os("LOADCAST_TEST_COMPONENTS") {
        let mut file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
