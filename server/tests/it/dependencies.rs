//! What must not be linked.

use std::process::Command;

/// The crates that `package` links, by name.
fn linked(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges=normal",
            "--prefix=none",
            "--format={p}",
        ])
        .args(["--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[test]
fn the_server_links_no_wasmtime_and_the_client_no_augurs() {
    let server = linked("loadcast-server");
    assert!(
        server.iter().any(|name| name == "tonic"),
        "the tree was not read"
    );
    assert!(
        !server.iter().any(|name| name.starts_with("wasmtime")),
        "{server:?}"
    );
    assert!(
        !server
            .iter()
            .any(|name| name == "loadcast-trainer" || name == "loadcast-client")
    );
    let prometheus = linked("loadcast-prometheus");
    let ours: Vec<_> = prometheus
        .iter()
        .filter(|name| name.starts_with("loadcast-"))
        .collect();
    assert_eq!(ours, ["loadcast-prometheus", "loadcast-model"]);
    let client = linked("loadcast-client");
    assert!(
        client.iter().any(|name| name == "tonic"),
        "the tree was not read"
    );
    for banned in ["augurs", "loadcast-model", "loadcast-server", "wasmtime"] {
        assert!(
            !client.iter().any(|name| name.starts_with(banned)),
            "{banned}: {client:?}"
        );
    }
}

#[test]
fn model_and_proto_stand_on_their_own() {
    for package in ["loadcast-model", "loadcast-proto"] {
        let ours: Vec<_> = linked(package)
            .into_iter()
            .filter(|name| name.starts_with("loadcast-") && name != package)
            .collect();
        assert!(ours.is_empty(), "{package} imports {ours:?}");
    }
    let model = linked("loadcast-model");
    for banned in ["tokio", "tonic", "hyper", "object_store"] {
        assert!(
            !model.iter().any(|name| name == banned),
            "the model links {banned}"
        );
    }
}
