//! Which version of a registered model is to be served, and whether it is retired: plain functions of what MLflow says.

use loadcast_model::series::SeriesName;

use super::wire::{RegisteredModel, tag};
use crate::registry::{Aspired, CANDIDATE, Rule, Tombstone};

/// The tag of a registered model that retires it: JSON of a [`Tombstone`].
pub(super) const RETIRED: &str = "loadcast.retired";

/// Where `alias` of `model` points.
pub(super) fn alias(model: &RegisteredModel, alias: &str) -> Option<u64> {
    model
        .aliases
        .iter()
        .find(|entry| entry.alias == alias)
        .and_then(|entry| entry.version.0)
}

/// The version to be served by the first [`Rule`] that applies; `None` for a model without one, for a retired one, and
/// for one whose name is no series'.
///
/// An alias whose version cannot be read is still an alias: no stage is looked at then.
pub(super) fn aspired(model: &RegisteredModel, followed: &str) -> Option<Aspired> {
    let series: SeriesName = model.name.parse().ok()?;
    if is_retired(model) {
        return None;
    }
    let (version, rule) = if model.aliases.iter().any(|entry| entry.alias == followed) {
        (alias(model, followed)?, Rule::Alias)
    } else if let Some(version) = stage(model, "Production") {
        (version, Rule::Production)
    } else {
        (stage(model, "Staging")?, Rule::Staging)
    };
    Some(Aspired {
        series,
        version,
        rule,
    })
}

/// The version of `model` that is tried beside what is served; `None` also for a retired model.
pub(super) fn candidate(model: &RegisteredModel) -> Option<(SeriesName, u64)> {
    if is_retired(model) {
        return None;
    }
    Some((model.name.parse().ok()?, alias(model, CANDIDATE)?))
}

fn stage(model: &RegisteredModel, stage: &str) -> Option<u64> {
    model
        .latest_versions
        .iter()
        .filter(|version| version.current_stage.eq_ignore_ascii_case(stage))
        .filter_map(|version| version.version.0)
        .max()
}

/// Whether `model` has a tombstone.
pub(super) fn is_retired(model: &RegisteredModel) -> bool {
    tag(&model.tags, RETIRED).is_some()
}

/// The tombstone of `model`. One that cannot be read was still laid by somebody.
pub(super) fn tombstone(model: &RegisteredModel) -> Option<Tombstone> {
    let text = tag(&model.tags, RETIRED)?;
    Some(serde_json::from_str(text).unwrap_or_else(|_| Tombstone {
        reason: text.to_owned(),
        at: jiff::Timestamp::UNIX_EPOCH,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(aliases: &str, stages: &str, tags: &str) -> RegisteredModel {
        let json = format!(
            r#"{{"name": "web.cpu", "aliases": [{aliases}], "latest_versions": [{stages}], "tags": [{tags}]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    const CHAMPION: &str = r#"{"alias": "champion", "version": "3"}"#;
    const PRODUCTION: &str = r#"{"version": "2", "current_stage": "Production"}"#;
    const STAGING: &str = r#"{"version": "5", "current_stage": "Staging"}"#;
    const NONE: &str = r#"{"version": "9", "current_stage": "None"}"#;

    #[test]
    fn the_alias_counts_before_production_and_production_before_staging() {
        let all = format!("{NONE},{STAGING},{PRODUCTION}");
        let later = format!("{NONE},{STAGING}");
        for (aliases, stages, expected) in [
            (CHAMPION, all.as_str(), Some((3, Rule::Alias))),
            ("", &all, Some((2, Rule::Production))),
            ("", &later, Some((5, Rule::Staging))),
            ("", NONE, None),
            (r#"{"alias": "other", "version": "3"}"#, NONE, None),
            (r#"{"alias": "champion", "version": "three"}"#, &all, None),
        ] {
            let found = aspired(&model(aliases, stages, ""), "champion");
            let found = found.map(|aspired| (aspired.version, aspired.rule));
            assert_eq!(found, expected, "{aliases} {stages}");
        }
    }

    #[test]
    fn a_retired_model_and_one_whose_name_is_no_series_are_not_served() {
        let tag = r#"{"key": "loadcast.retired", "value": "{\"reason\": \"gone\", \"at\": \"2026-01-01T00:00:00Z\"}"}"#;
        let retired = model(CHAMPION, "", tag);
        assert_eq!(aspired(&retired, "champion"), None);
        assert_eq!(tombstone(&retired).unwrap().reason, "gone");
        let by_hand = model(
            CHAMPION,
            "",
            r#"{"key": "loadcast.retired", "value": "yes"}"#,
        );
        assert_eq!(tombstone(&by_hand).unwrap().reason, "yes");
        let mut odd = model(CHAMPION, "", "");
        odd.name = "my model".to_owned();
        assert_eq!(aspired(&odd, "champion"), None);
    }
}
