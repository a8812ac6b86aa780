//! Version 1 of the wire only grows.
//!
//! `baseline.txt` lists every service, method, message, field and enum value of the published API, one a line. A line
//! that is no longer true of the descriptor set is a change that breaks old clients. New lines are additions:
//! `LOADCAST_REGENERATE=1` writes them into the baseline.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::Path};

use prost_reflect::{Cardinality, DescriptorPool, EnumDescriptor, Kind, MessageDescriptor};

fn pool() -> DescriptorPool {
    DescriptorPool::decode(loadcast_proto::FILE_DESCRIPTOR_SET).expect("a valid descriptor set")
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(values) => values.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

fn describe_message(message: &MessageDescriptor, lines: &mut BTreeSet<String>) {
    let name = message.full_name();
    lines.insert(format!("message {name}"));
    for field in message.fields() {
        let label = match field.cardinality() {
            Cardinality::Repeated => "repeated ",
            _ if field.supports_presence() && field.containing_oneof().is_none() => "optional ",
            _ => "",
        };
        let oneof = field
            .containing_oneof()
            .map(|oneof| format!(" oneof {}", oneof.name()))
            .unwrap_or_default();
        lines.insert(format!(
            "field {name}.{} = {} {label}{}{oneof} json {}",
            field.name(),
            field.number(),
            kind_name(&field.kind()),
            field.json_name(),
        ));
    }
    for nested in message.child_messages() {
        describe_message(&nested, lines);
    }
    for values in message.child_enums() {
        describe_enum(&values, lines);
    }
}

fn describe_enum(values: &EnumDescriptor, lines: &mut BTreeSet<String>) {
    for value in values.values() {
        lines.insert(format!(
            "enum {}.{} = {}",
            values.full_name(),
            value.name(),
            value.number()
        ));
    }
}

/// The API as lines, sorted.
fn describe(pool: &DescriptorPool) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for file in pool
        .files()
        .filter(|file| file.package_name() == "loadcast.v1")
    {
        for message in file.messages() {
            describe_message(&message, &mut lines);
        }
        for values in file.enums() {
            describe_enum(&values, &mut lines);
        }
        for service in file.services() {
            for method in service.methods() {
                let stream = |streaming| if streaming { "stream " } else { "" };
                lines.insert(format!(
                    "method {}.{} ({}{}) returns ({}{})",
                    service.full_name(),
                    method.name(),
                    stream(method.is_client_streaming()),
                    method.input().full_name(),
                    stream(method.is_server_streaming()),
                    method.output().full_name(),
                ));
            }
        }
    }
    lines
}

/// The baseline's lines that are no longer true.
fn broken<'a>(baseline: &'a str, present: &BTreeSet<String>) -> Vec<&'a str> {
    baseline
        .lines()
        .filter(|line| !line.is_empty() && !present.contains(*line))
        .collect()
}

#[test]
fn v1_breaks_no_old_client() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.txt");
    let present = describe(&pool());
    let baseline = fs::read_to_string(&path).unwrap_or_default();
    let broken = broken(&baseline, &present);
    assert!(
        broken.is_empty(),
        "these parts of loadcast.v1 were changed or removed: {broken:#?}"
    );
    if std::env::var_os("LOADCAST_REGENERATE").is_some() {
        let text: String = present.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&path, text).expect("write the baseline");
        return;
    }
    let listed = baseline.lines().count();
    assert_eq!(
        listed,
        present.len(),
        "the API has grown: run LOADCAST_REGENERATE=1 cargo test -p loadcast-proto to list what is new"
    );
}

#[test]
fn a_removed_or_renumbered_field_is_found() {
    let present = describe(&pool());
    let old = "field loadcast.v1.Provenance.version = 7 uint64 json version\n\
               message loadcast.v1.Provenance\n";
    assert_eq!(
        broken(old, &present),
        ["field loadcast.v1.Provenance.version = 7 uint64 json version"]
    );
}

#[test]
fn every_method_says_how_to_call_it_with_grpcurl() {
    // KEDA's own file is unchanged.
    let ours = pool();
    let ours = ours
        .services()
        .filter(|service| service.parent_file().package_name() != "externalscaler");
    for service in ours {
        for method in service.methods() {
            let file = method.parent_service().parent_file();
            let comment = file
                .file_descriptor_proto()
                .source_code_info
                .iter()
                .flat_map(|info| &info.location)
                .find(|location| location.path == method.path())
                .map(|location| location.leading_comments().to_owned())
                .unwrap_or_default();
            let call = format!("{}/{}", service.full_name(), method.name());
            assert!(
                comment.contains("grpcurl") && comment.contains(&call),
                "{call}: its comment has no grpcurl line"
            );
        }
    }
}
