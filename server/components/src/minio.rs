//! MinIO: S3 as a server of its own.

use std::{fs, sync::OnceLock, time::Duration};

use crate::{
    process::Process,
    tools::{free_port, tool},
};

const USER: &str = "loadcast-test";
const PASSWORD: &str = "not-a-secret";

/// A bucket that is there from the start.
pub const BUCKET: &str = "loadcast";

/// Another: that of the pipeline that came before.
pub const ORIGINAL: &str = "mlpipeline";

/// A running MinIO.
#[derive(Debug)]
pub struct Minio {
    /// `http://HOST:PORT`
    pub endpoint: String,
    /// Keeps it running.
    _process: Process,
}

/// The MinIO of this test binary; `None` where it is not installed.
pub fn minio() -> Option<&'static Minio> {
    static MINIO: OnceLock<Option<Minio>> = OnceLock::new();
    MINIO.get_or_init(start).as_ref()
}

fn start() -> Option<Minio> {
    let program = tool("MinIO", "bin/minio", "Go")?;
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let environment = [
        ("MINIO_ROOT_USER", USER),
        ("MINIO_ROOT_PASSWORD", PASSWORD),
        ("MINIO_BROWSER", "off"),
        ("MINIO_UPDATE", "off"),
    ];
    let mut process = Process::start("minio", &environment, |folder| {
        // A folder on its drive is a bucket.
        for bucket in [BUCKET, ORIGINAL] {
            fs::create_dir_all(folder.join("drive").join(bucket)).unwrap();
        }
        vec![
            program.into_os_string(),
            "server".into(),
            folder.join("drive").into_os_string(),
            "--address".into(),
            (&address).into(),
            "--quiet".into(),
        ]
    });
    process.wait_for(port, "/minio/health/live", Duration::from_secs(60));
    Some(Minio {
        endpoint: format!("http://{address}"),
        _process: process,
    })
}

impl Minio {
    /// What a program that uses it is told, as variables of its environment.
    pub fn variables(&self) -> [(&str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", USER),
            ("AWS_SECRET_ACCESS_KEY", PASSWORD),
            ("AWS_REGION", "us-east-1"),
        ]
    }
}
