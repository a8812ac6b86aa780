//! The fleet brake and the registry's side of a verdict, with a real server.

use std::path::Path;

use jiff::Timestamp;
use loadcast_client::{Client, Selector};
use loadcast_model::backtest::Method;
use loadcast_server::clock::Clock;
use loadcast_trainer::brake::Brake;
use loadcast_trainer::checks::Checks;
use loadcast_trainer::console::Console;
use loadcast_trainer::error::Error;
use loadcast_trainer::fleet;
use loadcast_trainer::pipeline::{self, Plan};
use loadcast_trainer::push::push;
use loadcast_trainer::push::validated::Validated;
use loadcast_trainer::report::RunReport;
use loadcast_trainer::source::supply::Supply;
use loadcast_trainer::stage::validate_model::{Conclusion, Outcome};

use crate::server::Server;
use crate::support::{DAY, START, STEP, good};

/// Days of history.
const DAYS: i64 = 10;

fn now() -> Timestamp {
    Timestamp::from_second(START + DAYS * DAY * STEP).unwrap()
}

async fn server() -> Server {
    server_with(&[]).await
}

async fn server_with(flags: &[&str]) -> Server {
    Server::start(Clock::set_at(now()).0, flags).await
}

/// A file of three series; `factor` is what the last `days` of them are multiplied with.
fn plan(folder: &Path, name: &str, days: i64, factor: f64) -> Plan {
    let path = folder.join(name);
    let count = days * DAY;
    let row = |i: i64| {
        let value = |offset: f64| factor * (good(i) + offset);
        format!(
            "{},{},{},{}\n",
            START + i * STEP,
            value(1.0),
            value(2.0),
            value(3.0)
        )
    };
    let csv = format!("time,a,b,c\n{}", (0..count).map(row).collect::<String>());
    std::fs::write(&path, csv).unwrap();
    let mut plan = Plan::new(path.to_str().unwrap(), now());
    plan.series = ["a", "b", "c"]
        .map(|name| format!("shop.{name}={name}:cores").parse().unwrap())
        .to_vec();
    plan.method = Method::Spec(Box::default());
    plan
}

async fn run(plan: &Plan, client: &Client) -> (RunReport, Vec<Error>) {
    let mut out = std::io::sink();
    fleet::run(plan, Some(client), &mut Console::new(&mut out))
        .await
        .unwrap()
}

/// The pages that are registered beside models.
fn pages(server: &Server) -> Vec<String> {
    let mut pages = Vec::new();
    let mut folders = vec![server.folder.path().join("state")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "report.html") {
                pages.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    pages
}

fn served(models: &[loadcast_client::Model]) -> Vec<Option<u64>> {
    models
        .iter()
        .map(|model| model.served.as_ref().map(|it| it.version))
        .collect()
}

#[tokio::test]
async fn a_fleet_that_would_double_at_once_is_not_promoted_before_a_human_has_looked() {
    let server = server().await;
    let client = &server.client();
    let first = plan(server.folder.path(), "first.csv", DAYS - 2, 1.0);
    let (_, failures) = run(&first, client).await;
    assert!(failures.is_empty(), "{failures:?}");

    // The unit changed at the source. What came since the champions were trained says so too: their own gate is open.
    let mut doubled = plan(server.folder.path(), "doubled.csv", DAYS, 2.0);
    let (report, failures) = run(&doubled, client).await;
    assert!(
        matches!(failures.as_slice(), [Error::Held(_)]),
        "{failures:?}"
    );
    let message = failures[0].to_string();
    assert!(
        message.contains("3 of 3 series (100 %) would move by more than 50 %"),
        "{message}"
    );
    for flag in ["--brake-share", "--brake-change", "--no-brake"] {
        assert!(
            failures[0].remedy().contains(flag),
            "{}",
            failures[0].remedy()
        );
    }
    for series in &report.series {
        let done = series.done().unwrap();
        assert_eq!(done.conclusion, Conclusion::CandidateOnly);
        assert_eq!(done.reasons[0].code, "FLEET_BRAKE");
        let receipt = done.receipt.as_ref().unwrap();
        assert_eq!(
            (receipt.version, receipt.alias.as_deref()),
            (2, Some("candidate"))
        );
    }
    let models = client.models(&Selector::all()).await.unwrap();
    assert_eq!(served(&models), [Some(1); 3]);
    let held = pages(&server).into_iter();
    let held: Vec<String> = held.filter(|page| page.contains("FLEET_BRAKE")).collect();
    assert_eq!(
        held.len(),
        3,
        "what is registered beside a model says what became of it"
    );
    for page in held {
        assert!(page.contains(">CANDIDATE_ONLY<") && !page.contains(">PROMOTE<"));
        assert!(!page.contains("Every gate was passed."));
    }

    // The human says yes.
    doubled.brake = None;
    let (_, failures) = run(&doubled, client).await;
    assert!(failures.is_empty(), "{failures:?}");
    let models = client.models(&Selector::all()).await.unwrap();
    assert_eq!(served(&models), [Some(3); 3]);
}

#[tokio::test]
async fn a_model_is_not_promoted_over_another_than_it_was_judged_beside() {
    let server = server().await;
    let client = &server.client();
    for (name, days) in [("first.csv", DAYS - 2), ("second.csv", DAYS - 1)] {
        let mut earlier = plan(server.folder.path(), name, days, 1.0);
        earlier.series.truncate(1);
        let (_, failures) = run(&earlier, client).await;
        assert!(failures.is_empty(), "{failures:?}");
    }
    let mut third = plan(server.folder.path(), "third.csv", DAYS, 1.0);
    third.series.truncate(1);
    let (supply, declared) = Supply::open(&third).await.unwrap();
    let (_, judged) = pipeline::judge(&supply, &declared[0], &third, Some(client)).await;
    let Outcome::Approved(approved) = judged.unwrap().outcome else {
        panic!("it is as good as those before");
    };
    let validated = Validated::of(*approved, third.now).unwrap();
    assert_eq!(validated.beside(), Some(2));

    // Somebody goes back while it waits.
    client.rollback("shop.a", None).await.unwrap();
    let refused = push(validated.clone(), client, Some("champion")).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("judged beside version 2, and version 1 is served by now"),
        "{refused}"
    );
    client.rollback("shop.a", Some(2)).await.unwrap();
    let pushed = push(validated.clone(), client, Some("champion"))
        .await
        .unwrap();
    // The same again, as after a lost answer: what is served by now is the model itself.
    let again = push(validated, client, Some("champion")).await.unwrap();
    assert_eq!(
        (again.version, again.already_registered),
        (pushed.version, true)
    );
}

#[tokio::test]
async fn a_run_that_could_not_push_goes_on_with_what_it_made() {
    let server = server_with(&["--registry=memory:", "--read-only-registry"]).await;
    let mut plan = plan(server.folder.path(), "first.csv", DAYS, 1.0);
    let journal = server.folder.path().join("journal");
    plan.journal = Some(journal.clone());
    let made = || {
        let model = journal.join("series/shop.a/model.pr");
        std::fs::metadata(model).unwrap().modified().unwrap()
    };
    let (report, failures) = run(&plan, &server.client()).await;
    assert_eq!(failures.len(), 3);
    assert!(failures[0].to_string().contains("refused"), "{failures:?}");
    assert!(report.series.iter().all(|series| series.done().is_none()));
    let before = made();
    let mut told = Vec::new();
    let again = fleet::run(&plan, Some(&server.client()), &mut Console::new(&mut told)).await;
    assert_eq!(again.unwrap().1.len(), 3);
    let told = String::from_utf8(told).unwrap();
    assert!(told.starts_with("going on with the run of "), "{told}");
    assert_eq!(made(), before, "nothing was trained again");
}

#[tokio::test]
async fn a_share_that_may_move_moves() {
    let server = server().await;
    run(
        &plan(server.folder.path(), "first.csv", DAYS - 2, 1.0),
        &server.client(),
    )
    .await;
    let mut doubled = plan(server.folder.path(), "doubled.csv", DAYS, 2.0);
    doubled.brake = Some(Brake {
        change: 1.5,
        ..Brake::default()
    });
    let (report, failures) = run(&doubled, &server.client()).await;
    assert!(failures.is_empty(), "{failures:?}");
    let movement = report.series[0].done().unwrap().movement.unwrap();
    assert!((movement - 1.0).abs() < 0.1, "{movement}");
}

#[tokio::test]
async fn a_rejected_model_leaves_the_champion_serving_and_the_server_says_why() {
    let server = server().await;
    let client = &server.client();
    let mut first = plan(server.folder.path(), "first.csv", DAYS - 2, 1.0);
    first.series.truncate(1);
    run(&first, client).await;
    let mut second = plan(server.folder.path(), "second.csv", DAYS, 1.0);
    second.series.truncate(1);
    // A bar that nothing reaches.
    second.gates = Checks::default().with(&["coverage=reject:1.1".parse().unwrap()]);
    let (report, failures) = run(&second, client).await;
    assert!(report.series[0].is_rejected());
    assert!(
        failures[0].to_string().contains("the 80 % band held"),
        "{failures:?}"
    );
    let model = client.model("shop.a").await.unwrap();
    assert_eq!(model.served.unwrap().version, 1);
    let rejection = model.last_rejection.unwrap();
    assert_eq!(rejection.reasons[0].code, "COVERAGE");
    assert!(rejection.reasons[0].message.contains("the 80 % band held"));
    assert!(rejection.scores.unwrap().skill.is_some());
    assert!(rejection.artifact_sha256.is_some() && rejection.version.is_none());
}

#[tokio::test]
async fn a_page_lies_beside_the_model_and_names_what_was_found() {
    let server = server().await;
    let mut plan = plan(server.folder.path(), "first.csv", DAYS, 1.0);
    plan.report_html = Some(server.folder.path().join("all.html"));
    run(&plan, &server.client()).await;
    let pages = pages(&server);
    assert_eq!(pages.len(), 3);
    for page in &pages {
        assert!(page.starts_with("<!DOCTYPE html>") && page.contains("PROMOTE"));
        assert!(
            page.contains("<svg") && page.contains("skill-floor") && page.contains("level-shift")
        );
        // Nothing is fetched.
        assert!(!page.contains("src=") && !page.contains("href=\"http"));
    }
    let all = std::fs::read_to_string(plan.report_html.unwrap()).unwrap();
    assert_eq!(all.matches("<section").count(), 4);
}
