//! What a browser is shown at `/`.

/// The endpoints, as links.
pub(super) const ENDPOINTS: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Loadcast</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:42rem;padding:0 1rem}code{font-size:.95em}</style>
<h1>Loadcast</h1>
<p>Forecasts of resource usage. gRPC has all of them, on its own port; these are plain HTTP:</p>
<ul>
<li><code>/?datetime_str=2026-01-31T12:00:00</code> one instant
<li><a href="next_day">/next_day</a>, <a href="next_week">/next_week</a>, <a href="next_weekend">/next_weekend</a>,
<a href="next_month">/next_month</a>
<li><a href="health">/health</a>, <a href="models/info">/models/info</a>, <a href="openapi.json">/openapi.json</a>
<li><a href="metrics">/metrics</a> of this server, <a href="metrics/forecasts">/metrics/forecasts</a> for Prometheus
<li><a href="livez">/livez</a>, <a href="readyz">/readyz</a>
</ul>
</html>
"#;
