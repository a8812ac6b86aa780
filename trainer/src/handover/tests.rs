//! A chain that is whole is taken over; any other is told what is wrong with it.

use super::*;

async fn scene() -> (tempfile::TempDir, Location) {
    let folder = tempfile::tempdir().unwrap();
    let place = Location::of(folder.path().to_str().unwrap()).unwrap();
    let series = "web.cpu".parse().unwrap();
    let verdict = Verdict::new("x");
    let outcome = outcome(Stage::ValidateData, &verdict, "valid.parquet");
    begin(&place, &series, Settings::default(), outcome)
        .await
        .unwrap();
    (folder, place)
}

fn outcome<'a>(stage: Stage, verdict: &'a Verdict, file: &'static str) -> Outcome<'a> {
    Outcome {
        stage,
        verdict,
        refused: None,
        files: BTreeMap::from([(file, Bytes::from(file))]),
    }
}

async fn taken(place: &Location) -> Result<Handover> {
    Handover::take(place, "web.cpu").await
}

#[tokio::test]
async fn stages_are_taken_over_in_their_order_and_none_is_left_out() {
    let (_folder, place) = scene().await;
    let verdict = Verdict::new("x");
    assert_eq!(series(&place).await.unwrap(), ["web.cpu"]);
    let first = taken(&place).await.unwrap();
    first.expect(Stage::Prepare).unwrap();
    let error = first.expect(Stage::ValidateModel).unwrap_err();
    assert!(
        error.to_string().contains("takes over from train"),
        "{error}"
    );
    let outcome = outcome(Stage::Prepare, &verdict, "grid.parquet");
    first.hand_on(&place, outcome).await.unwrap();
    let second = taken(&place).await.unwrap();
    second.expect(Stage::Train).unwrap();
    assert_eq!(
        &second.read("grid.parquet").await.unwrap()[..],
        b"grid.parquet"
    );
    let error = second.complete().unwrap_err();
    assert!(
        error.to_string().contains("train has not been run"),
        "{error}"
    );
    let error = second.read("model.pr").await.unwrap_err();
    assert!(error.to_string().contains("no stage wrote it"), "{error}");
}

#[tokio::test]
async fn a_file_or_a_manifest_that_was_changed_is_refused() {
    let (folder, place) = scene().await;
    let verdict = Verdict::new("x");
    let outcome = outcome(Stage::Prepare, &verdict, "grid.parquet");
    taken(&place)
        .await
        .unwrap()
        .hand_on(&place, outcome)
        .await
        .unwrap();
    std::fs::write(folder.path().join("web.cpu/grid.parquet"), "other").unwrap();
    let error = taken(&place)
        .await
        .unwrap()
        .read("grid.parquet")
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is not the file that was handed over"),
        "{error}"
    );
    let manifest = folder.path().join("web.cpu/manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let edited = text.replacen("\"stage\": \"x\"", "\"stage\": \"y\"", 1);
    assert_ne!(text, edited);
    std::fs::write(&manifest, edited).unwrap();
    let error = taken(&place).await.unwrap_err();
    assert!(
        error.to_string().contains("was given something else"),
        "{error}"
    );
}

#[tokio::test]
async fn what_was_refused_goes_no_further() {
    let (_folder, place) = scene().await;
    let verdict = Verdict::new("x");
    let refused = Outcome {
        refused: Some(Refusal {
            what: "too short".to_owned(),
            remedy: "wait".to_owned(),
            reasons: Vec::new(),
            sha256: None,
            scores: None,
        }),
        ..outcome(Stage::Prepare, &verdict, "grid.parquet")
    };
    taken(&place)
        .await
        .unwrap()
        .hand_on(&place, refused)
        .await
        .unwrap();
    let handover = taken(&place).await.unwrap();
    assert_eq!(
        handover.refused().map(|(stage, _)| stage),
        Some(Stage::Prepare)
    );
    let error = handover.complete().unwrap_err();
    assert!(
        error.to_string().contains("no model that was validated"),
        "{error}"
    );
    handover.expect(Stage::Train).unwrap_err();
}
