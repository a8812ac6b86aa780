//! Real series of AWS CloudWatch, as they were recorded.

use loadcast_trainer::stage::validate_model::Conclusion;

use loadcast_components::tools::shared;

use crate::support::{NOW, plan, run, server};

#[tokio::test]
async fn every_recorded_series_flows_from_rows_to_a_served_forecast() {
    let Some(folder) = shared("recorded CloudWatch series", "data/nab") else {
        return;
    };
    let server = server().await;
    let client = server.client();
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|e| e == "csv"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut promoted = 0;
    for path in &files {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let mut plan = plan(path);
        plan.series = vec![format!("{name}=value").parse().unwrap()];
        plan.rules.shift_to = Some(NOW.parse::<jiff::Timestamp>().unwrap().as_second());
        let report = run(&plan, &client).await;
        let done = report.series[0].done().unwrap();
        assert_eq!(
            done.receipt.as_ref().map(|receipt| receipt.version),
            Some(1),
            "{name}"
        );
        let skill = done
            .backtest
            .as_ref()
            .expect("weeks are enough for a backtest");
        let promote = done.conclusion == Conclusion::Promote;
        promoted += usize::from(promote);
        // What is worse than repeating yesterday is registered, and not served.
        assert!(!promote || skill.skill >= Some(0.0), "{name}: {skill:?}");
        assert_eq!(promote, done.reasons.is_empty(), "{name}");
        assert_eq!(skill.origins, 3, "{name}");
        assert!(
            skill.model.mase.is_some_and(f64::is_finite),
            "{name}: {skill:?}"
        );
    }
    assert_eq!(
        client
            .models(&loadcast_client::Selector::all())
            .await
            .unwrap()
            .len(),
        promoted
    );
    assert!(promoted > files.len() / 2, "{promoted} of {}", files.len());
}
