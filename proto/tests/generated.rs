//! The committed Rust and descriptor set are what the `.proto` files say.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use prost_reflect::prost::Message as _;

const FILES: [&str; 6] = [
    "externalscaler/externalscaler.proto",
    "grpc/health/v1/health.proto",
    "loadcast/v1/series.proto",
    "loadcast/v1/forecast.proto",
    "loadcast/v1/model.proto",
    "loadcast/v1/scaler.proto",
];

/// Described and not generated: the crate arrow-flight has the Rust of it.
const DESCRIBED: &str = "arrow/flight/flight.proto";

/// Compiles the `.proto` files into `out`: one Rust file, `descriptor.bin` and `flight.bin`.
fn generate(out: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compiler = protox::Compiler::new([root]).expect("the proto folder");
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES).expect("valid .proto files");
    let descriptors = compiler.file_descriptor_set();
    fs::write(out.join("descriptor.bin"), descriptors.encode_to_vec()).expect("write descriptors");
    tonic_prost_build::configure()
        .out_dir(out)
        .bytes(".")
        .btree_map(".")
        .codec_path("crate::codec::SmallBuffers")
        .compile_fds(descriptors)
        .expect("generate Rust");
    share_encoded(&out.join("loadcast.v1.rs"));
    let mut compiler = protox::Compiler::new([root]).expect("the proto folder");
    compiler.include_source_info(true);
    compiler.open_file(DESCRIBED).expect("a valid .proto file");
    let described = compiler.file_descriptor_set().encode_to_vec();
    fs::write(out.join("flight.bin"), described).expect("write descriptors");
}

/// The fields that a server encodes once for all subscribers; prost has no option that says so.
const ENCODED_ONCE: [(&str, &str); 3] = [
    ("forecast: ::core::option::Option<Forecast>", "Forecast"),
    ("Update(super::ForecastUpdate)", "super::ForecastUpdate"),
    ("Event(super::ModelEvent)", "super::ModelEvent"),
];

fn share_encoded(path: &Path) {
    let mut code = fs::read_to_string(path).expect("generated file");
    for (field, message) in ENCODED_ONCE {
        assert_eq!(code.matches(field).count(), 1, "{field}");
        let shared = field.replace(message, &format!("crate::encoded::Encoded<{message}>"));
        code = code.replace(field, &shared);
    }
    fs::write(path, code).expect("write generated file");
}

#[test]
fn committed_code_is_what_the_protos_generate() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gen");
    if std::env::var_os("LOADCAST_REGENERATE").is_some() {
        generate(&committed);
        return;
    }
    let fresh = tempfile::tempdir().expect("a temporary folder");
    generate(fresh.path());
    for name in [
        "loadcast.v1.rs",
        "grpc.health.v1.rs",
        "externalscaler.rs",
        "descriptor.bin",
        "flight.bin",
    ] {
        let want = fs::read(fresh.path().join(name)).expect("generated file");
        let have = fs::read(committed.join(name)).unwrap_or_default();
        assert!(
            want == have,
            "proto/src/gen/{name} is stale: run LOADCAST_REGENERATE=1 cargo test -p loadcast-proto --test generated"
        );
    }
}
