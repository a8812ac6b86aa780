//! `/openapi.json`: the endpoints and the shapes of their answers.

use serde_json::{Map, Value, json};

/// The document, OpenAPI 3.1.
pub(super) fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Loadcast, the REST endpoints",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Forecasts of one workload's CPU and memory. Everything else is asked over gRPC.",
        },
        "paths": {
            "/": path("One instant", &["400", "422", "503"], &instant(), Some(datetime())),
            "/next_day": path("Tomorrow at 12:00", &["503"], &period("date"), None),
            "/next_week": path("In seven days at 12:00", &["503"], &period("week_start"), None),
            "/next_weekend": path("Next Saturday at 10:00", &["503"], &weekend(), None),
            "/next_month": path("The mean of four noons, one a week", &["503"], &month(), None),
            "/health": path("Whether both models are loaded", &["503"], &health(), None),
            "/models/info": path("What is loaded, and from where", &[], &models(), None),
        },
        "components": { "schemas": {
            "Error": object(&[("detail", json!({ "type": ["string", "array"] }))]),
        } },
    })
}

fn path(summary: &str, refusals: &[&str], answer: &Value, parameter: Option<Value>) -> Value {
    let content = |schema: &Value| json!({ "application/json": { "schema": schema } });
    let error = json!({ "$ref": "#/components/schemas/Error" });
    let mut responses = Map::new();
    let answered = json!({ "description": "The answer", "content": content(answer) });
    responses.insert("200".to_owned(), answered);
    for code in refusals {
        let why = match *code {
            "400" => "The time cannot be read, or is too far from now",
            "422" => "No time was given",
            _ => "A model is not loaded, or nobody should act on it",
        };
        let refused = json!({ "description": why, "content": content(&error) });
        responses.insert((*code).to_owned(), refused);
    }
    let parameters: Vec<Value> = parameter.into_iter().collect();
    json!({ "get": { "summary": summary, "parameters": parameters, "responses": responses } })
}

fn datetime() -> Value {
    json!({
        "name": "datetime_str",
        "in": "query",
        "required": true,
        "description": "YYYY-MM-DDTHH:MM:SS on the server's configured wall clock, or with Z or an offset",
        "schema": { "type": "string" },
        "example": "2026-01-31T12:00:00",
    })
}

/// An object that has all of these fields and no other.
fn object(fields: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn string() -> Value {
    json!({ "type": "string" })
}

fn number() -> Value {
    json!({ "type": "number", "minimum": 0 })
}

fn quantity() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]+(m|Mi)$" })
}

fn recommendations() -> Value {
    let bounds = || object(&[("request", quantity()), ("limit", quantity())]);
    object(&[("cpu", bounds()), ("memory", bounds())])
}

fn model_info() -> Value {
    object(&[
        ("model_version", string()),
        ("training_date", string()),
        ("forecast_type", string()),
    ])
}

fn instant() -> Value {
    object(&[
        ("datetime", string()),
        (
            "predictions",
            object(&[("cpu_cores", number()), ("memory_percent", number())]),
        ),
        ("summary", string()),
    ])
}

fn period(day: &str) -> Value {
    object(&[
        ("forecast_type", string()),
        (day, string()),
        ("day_of_week", string()),
        (
            "predictions",
            object(&[("cpu_cores", number()), ("memory_gb", number())]),
        ),
        ("recommendations", recommendations()),
        (
            "insights",
            object(&[
                ("cpu_utilization", string()),
                ("memory_utilization", string()),
                ("confidence", string()),
            ]),
        ),
        ("model_info", model_info()),
    ])
}

fn weekend() -> Value {
    object(&[
        ("prediction_date", string()),
        ("period", string()),
        ("cpu_percent", number()),
        ("memory_value", number()),
        ("summary", string()),
        ("model_info", model_info()),
    ])
}

fn month() -> Value {
    object(&[
        ("forecast_type", string()),
        ("month", string()),
        ("sampling_method", string()),
        (
            "predictions",
            object(&[
                ("cpu_cores", number()),
                ("memory_gb", number()),
                ("cpu_range", object(&[("min", number()), ("max", number())])),
            ]),
        ),
        ("recommendations", recommendations()),
        (
            "insights",
            object(&[
                ("cpu_utilization", string()),
                ("memory_utilization", string()),
                ("confidence", string()),
                ("recommendation_note", string()),
            ]),
        ),
        ("model_info", model_info()),
    ])
}

fn health() -> Value {
    object(&[
        ("status", string()),
        ("version", string()),
        ("models_loaded", string()),
        ("model_source", string()),
        ("timestamp", string()),
    ])
}

fn models() -> Value {
    let info = object(&[
        ("version", string()),
        ("alias", string()),
        ("training_date", string()),
        ("data_until", string()),
        ("status", string()),
    ]);
    let model = || object(&[("name", string()), ("info", info.clone())]);
    object(&[
        ("model_source", string()),
        ("models_status", string()),
        ("timestamp", string()),
        ("cpu_model", model()),
        ("memory_model", model()),
        ("mlflow_tracking_uri", string()),
    ])
}
