//! The triggers that ask Loadcast, of the ScaledObjects in a YAML file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::cli::failure::Failure;

/// What KEDA appends to a key whose value it takes from the environment of the workload.
const FROM_ENV: &str = "FromEnv";

/// A trigger that asks Loadcast.
#[derive(Debug, PartialEq)]
pub(crate) struct Trigger {
    /// Whose it is, for people.
    pub(crate) whose: Option<String>,
    /// As KEDA sends it.
    pub(crate) metadata: BTreeMap<String, String>,
    /// What its ScaledObject lacks, or the file cannot say.
    pub(crate) advice: Vec<String>,
}

/// Any object of Kubernetes; what is not read is left alone.
#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ObjectMeta {
    name: String,
    namespace: String,
}

/// Of a ScaledObject or a ScaledJob.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    triggers: Vec<RawTrigger>,
    fallback: Option<Value>,
    advanced: Advanced,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Advanced {
    scaling_modifiers: ScalingModifiers,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScalingModifiers {
    formula: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawTrigger {
    r#type: String,
    name: String,
    metadata: BTreeMap<String, Value>,
}

/// The triggers of the file at `path`, `given` before what it says of each.
///
/// # Errors
/// [`Failure::File`] when it cannot be read, or has no trigger that asks Loadcast.
pub(crate) fn read(path: &Path, given: &BTreeMap<String, String>) -> Result<Vec<Trigger>, Failure> {
    let failed = |why: String| Failure::File {
        path: path.display().to_string(),
        why,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    triggers(&text, given).map_err(failed)
}

fn triggers(text: &str, given: &BTreeMap<String, String>) -> Result<Vec<Trigger>, String> {
    let objects: Vec<Object> = serde_saphyr::from_multiple(text)
        .map_err(|error| format!("is no YAML of Kubernetes: {error}"))?;
    let mut found = Vec::new();
    for object in objects {
        if !matches!(&*object.kind, "ScaledObject" | "ScaledJob") {
            continue;
        }
        let whose = match &*object.metadata.namespace {
            "" => object.metadata.name,
            namespace => format!("{namespace}/{}", object.metadata.name),
        };
        let spec: Spec = serde_json::from_value(object.spec)
            .map_err(|error| format!("the spec of {whose} is none of KEDA's: {error}"))?;
        let ours = |trigger: &&RawTrigger| {
            let external = matches!(&*trigger.r#type, "external" | "external-push");
            let mut keys = trigger.metadata.keys();
            external && keys.any(|key| key.strip_suffix(FROM_ENV).unwrap_or(key) == "series")
        };
        for trigger in spec.triggers.iter().filter(ours) {
            let mut advice = lacking(&spec, &object.kind, trigger);
            let metadata = resolved(trigger, given, &mut advice)
                .map_err(|error| format!("{whose}: {error}"))?;
            let named = match &*trigger.name {
                "" => String::new(),
                name => format!(", trigger {name}"),
            };
            found.push(Trigger {
                whose: Some(format!("{whose}{named}")),
                metadata,
                advice,
            });
        }
    }
    if found.is_empty() {
        return Err(
            "has no ScaledObject with an external or external-push trigger that names a series; \
                    give one, or the metadata by --metadata"
                .to_owned(),
        );
    }
    Ok(found)
}

/// The strings that KEDA would send.
fn resolved(
    trigger: &RawTrigger,
    given: &BTreeMap<String, String>,
    advice: &mut Vec<String>,
) -> Result<BTreeMap<String, String>, String> {
    let mut metadata = BTreeMap::new();
    for (key, value) in &trigger.metadata {
        let bare = key.strip_suffix(FROM_ENV).unwrap_or(key);
        if given.contains_key(bare) || given.contains_key(key) {
            continue;
        }
        let Value::String(value) = value else {
            return Err(format!(
                "{key}: {value} is not a string, and Kubernetes takes nothing else; put it in quotes"
            ));
        };
        if bare != key {
            advice.push(format!(
                "{key} comes from {value} of the workload's environment, which is not known here; \
                 give it by --metadata {bare}=..."
            ));
            continue;
        }
        metadata.insert(key.clone(), value.clone());
    }
    metadata.extend(
        given
            .iter()
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    Ok(metadata)
}

/// What keeps an error of this trigger from failing the others beside it (keda#5914).
fn lacking(spec: &Spec, kind: &str, trigger: &RawTrigger) -> Vec<String> {
    let mut lacking = Vec::new();
    if kind != "ScaledObject" {
        return lacking;
    }
    if spec.fallback.is_none() {
        lacking.push(
            "no fallback: while this trigger has no answer, every other external trigger of the \
             ScaledObject fails with it (keda#5914); add spec.fallback"
                .to_owned(),
        );
    }
    let formula = &spec.advanced.scaling_modifiers.formula;
    let named = !trigger.name.is_empty() && formula.contains(&trigger.name);
    if !(named && formula.contains("??")) {
        lacking.push(
            "no formula that does without it: name the triggers and set \
             advanced.scalingModifiers.formula, such as predicted ?? measured"
                .to_owned(),
        );
    }
    lacking
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONELY: &str = "
apiVersion: v1
kind: Service
metadata: {name: x}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: web, namespace: shop}
spec:
  triggers:
    - type: cpu
      metadata: {value: '80'}
    - type: external
      metadata: {scalerAddress: other:1}
    - type: external-push
      metadata: {scalerAddress: loadcast:50051, series: shop.web.cpu, target: '0.7'}
";

    fn read_text(text: &str, given: &[(&str, &str)]) -> Result<Vec<Trigger>, String> {
        let given = given.iter();
        let given = given.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        triggers(text, &given.collect())
    }

    #[test]
    fn triggers_that_ask_loadcast_are_found_and_a_lonely_one_is_advised() {
        let found = read_text(LONELY, &[("leadTime", "10m")]).unwrap();
        let [trigger] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(trigger.whose.as_deref(), Some("shop/web"));
        assert_eq!(trigger.metadata["series"], "shop.web.cpu");
        assert_eq!(trigger.metadata["leadTime"], "10m");
        assert_eq!(trigger.advice.len(), 2, "{:?}", trigger.advice);
        assert!(trigger.advice[0].contains("keda#5914"));
    }

    #[test]
    fn what_kubernetes_would_refuse_or_the_file_cannot_say_is_said() {
        let unquoted = LONELY.replace("'0.7'", "0.7");
        let error = read_text(&unquoted, &[]).unwrap_err();
        assert!(
            error.starts_with("shop/web: target: 0.7 is not a string"),
            "{error}"
        );
        let from_env = LONELY.replace("target: '0.7'", "targetFromEnv: TARGET");
        let found = read_text(&from_env, &[]).unwrap();
        assert!(!found[0].metadata.contains_key("targetFromEnv"));
        let told = found[0]
            .advice
            .iter()
            .any(|line| line.contains("--metadata target=..."));
        assert!(told, "{:?}", found[0].advice);
        let found = read_text(&from_env, &[("target", "2")]).unwrap();
        assert_eq!(found[0].metadata["target"], "2");
        for none in ["", "kind: Pod\nmetadata: {name: a}\n", "a: [1"] {
            assert!(read_text(none, &[]).is_err(), "{none:?}");
        }
    }

    #[test]
    fn rule_11_the_examples_pair_every_forecast_with_a_fallback_and_a_formula_and_say_why() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/keda");
        let mut seen = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            for trigger in read(&path, &BTreeMap::new()).unwrap() {
                assert_eq!(trigger.advice, Vec::<String>::new(), "{}", path.display());
                seen += 1;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains("keda#5914"), "{}", path.display());
        }
        assert!(seen >= 2, "{seen}");
    }
}
