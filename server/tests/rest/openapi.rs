//! Every path answers as /openapi.json says.

use serde_json::Value;

use crate::{
    models::{address, get, serving, swinging},
    support::TestServer,
};

/// Whether `value` is what `schema` describes; where it is not.
fn fits(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let is = |kind: &Value| match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("number") => value.is_number(),
        _ => false,
    };
    let right = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(is),
        kind => is(kind),
    };
    if !right {
        return Err(format!("{at}: {value} is not {}", schema["type"]));
    }
    if let Some(least) = schema["minimum"].as_f64()
        && value.as_f64() < Some(least)
    {
        return Err(format!("{at}: {value} is below {least}"));
    }
    let Some(properties) = schema["properties"].as_object() else {
        return Ok(());
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            return Err(format!("{at}: {name} is missing"));
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let known = properties.get(name);
        let schema = known.ok_or_else(|| format!("{at}.{name} is not described"))?;
        fits(schema, value, &format!("{at}.{name}"))?;
    }
    Ok(())
}

async fn document(server: &TestServer) -> Value {
    let (status, document) = get(&address(server), "/openapi.json").await;
    assert_eq!(status, 200);
    document
}

/// The schema of `path`'s answer with `status`, which the document must describe.
fn schema<'a>(document: &'a Value, path: &str, status: &str) -> &'a Value {
    let response = &document["paths"][path]["get"]["responses"][status];
    let schema = &response["content"]["application/json"]["schema"];
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => schema,
    }
}

#[tokio::test]
async fn every_path_answers_as_the_document_says() {
    let server = serving(&swinging(45.0, 0.01), &swinging(2e9, 0.0)).await;
    let document = document(&server).await;
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 7);
    for path in paths.keys() {
        let query = match path.as_str() {
            "/" => "?datetime_str=2026-12-01T18:30:00",
            _ => "",
        };
        let (status, body) = get(&address(&server), &format!("{path}{query}")).await;
        assert_eq!(status, 200, "{path}: {body}");
        fits(schema(&document, path, "200"), &body, path).unwrap();
    }
}

#[tokio::test]
async fn every_refusal_is_as_the_document_says() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    for (path, query, status) in [
        ("/", "", "422"),
        ("/", "?datetime_str=x", "400"),
        ("/", "?datetime_str=2026-12-01T18:30:00", "503"),
        ("/next_day", "", "503"),
        ("/next_week", "", "503"),
        ("/next_weekend", "", "503"),
        ("/next_month", "", "503"),
        ("/health", "", "503"),
    ] {
        let (answered, body) = get(&address(&server), &format!("{path}{query}")).await;
        assert_eq!(answered.to_string(), status, "{path}{query}");
        fits(schema(&document, path, status), &body, path).unwrap();
    }
}
