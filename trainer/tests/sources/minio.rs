//! MinIO: S3 as a server of its own.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::house::{free_port, tool};
use crate::process::Process;

const USER: &str = "loadcast-test";
const PASSWORD: &str = "not-a-secret";

/// A bucket for every test.
pub(crate) const BUCKET: &str = "loadcast";

/// The bucket of the pipeline that came before.
pub(crate) const ORIGINAL: &str = "mlpipeline";

/// A running MinIO.
#[derive(Debug)]
pub(crate) struct Minio {
    endpoint: String,
    _process: Process,
}

/// The MinIO of this test binary; `None` where it is not installed.
pub(crate) fn minio() -> Option<&'static Minio> {
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
            std::fs::create_dir_all(folder.join("drive").join(bucket)).unwrap();
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
    /// What a process that reads it is told.
    pub(crate) fn variables(&self) -> [(&str, &str); 5] {
        [
            ("AWS_ENDPOINT", &self.endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", USER),
            ("AWS_SECRET_ACCESS_KEY", PASSWORD),
            ("AWS_REGION", "us-east-1"),
        ]
    }

    fn bucket(&self, name: &str) -> Arc<dyn ObjectStore> {
        let builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_access_key_id(USER)
            .with_secret_access_key(PASSWORD)
            .with_region("us-east-1");
        Arc::new(builder.build().unwrap())
    }

    pub(crate) async fn put(&self, bucket: &str, path: &str, bytes: Vec<u8>) {
        self.bucket(bucket)
            .put(&Path::from(path), bytes.into())
            .await
            .unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> Vec<u8> {
        let got = self.bucket(BUCKET).get(&Path::from(path)).await.unwrap();
        got.bytes().await.unwrap().to_vec()
    }
}
