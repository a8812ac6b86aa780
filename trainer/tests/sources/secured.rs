//! A real Prometheus behind TLS that wants a client certificate and a password.

use std::path::Path;
use std::process::Command;

use crate::exposition::{Family, load, now, write};
use crate::house::{done, refused};
use loadcast_components::prometheus::{Prometheus, Setting, installed};

/// bcrypt of the password below, cost 4.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuXcjcm5avyCiJoD2uS24xa2lb6fjMB3G";
const PASSWORD: &str = "open-sesame";

/// A CA, and two certificates of it: PEM files in `folder`.
fn certificates(folder: &Path) -> bool {
    let script = r#"set -e
cd "$1"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
for name in server client; do
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
  printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' >$name.ext
  openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.pem
done"#;
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl: {told}");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_both_sides_and_a_password_are_shown_and_checked() {
    let openssl = Command::new("openssl").arg("version").output().is_ok();
    if installed().is_none() || !openssl {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let web = folder.path().join("web.yml");
    std::fs::write(
        &web,
        format!(
            "tls_server_config:\n  cert_file: {}\n  key_file: {}\n  client_ca_file: {}\n  client_auth_type: RequireAndVerifyClientCert\nbasic_auth_users:\n  loadcast: '{HASH}'\n",
            file("server.pem"),
            file("server.key"),
            file("ca.pem")
        ),
    )
    .unwrap();
    let history = folder.path().join("history.om");
    let end = now().div_euclid(60) * 60;
    let mut family = Family::gauge("secured");
    family.series(
        "job=\"a\"",
        (1..120)
            .rev()
            .map(|i| (end - 60 * i, load(0, end - 60 * i))),
    );
    write(&history, &[family]);
    let setting = Setting {
        history: Some(&history),
        web: Some(&web),
        ..Setting::default()
    };
    let Some(prometheus) = Prometheus::start(&setting) else {
        return;
    };
    let (ca, cert, key, output) = (
        file("ca.pem"),
        file("client.pem"),
        file("client.key"),
        file("data"),
    );
    let collect = [
        "collect",
        "--promql",
        "secured",
        "--name",
        "{job}.secured",
        "--history",
        "1h",
        "--output",
        &output,
        "--prometheus-url",
        &prometheus.url,
    ];
    let whole = [
        &collect[..],
        &[
            "--prometheus-ca",
            &ca,
            "--prometheus-cert",
            &cert,
            "--prometheus-key",
            &key,
            "--prometheus-user",
            "loadcast",
        ],
    ]
    .concat();
    // Asked until it is there: it refuses connections before.
    let printed = done(&whole, &[("LOADCAST_PROMETHEUS_PASSWORD", PASSWORD)]).await;
    assert!(printed.contains("1 series, 12 new samples"), "{printed}");

    // What is complete is not asked for again, so a wrong password shows at another place.
    let elsewhere = file("elsewhere");
    let other = |arguments: &[&str]| -> Vec<String> {
        let changed = arguments
            .iter()
            .map(|text| if *text == output { &elsewhere } else { *text });
        changed.map(str::to_owned).collect()
    };
    let (whole, collect) = (other(&whole), other(&collect));
    let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
    let collect: Vec<&str> = collect.iter().map(String::as_str).collect();
    let told = refused(&whole, &[("LOADCAST_PROMETHEUS_PASSWORD", "s3cret")]).await;
    assert!(
        told.contains("refuses access (401") && !told.contains("s3cret"),
        "{told}"
    );
    let told = refused(&collect, &[]).await;
    assert!(told.to_lowercase().contains("certificate"), "{told}");
}
