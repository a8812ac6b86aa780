//! What the tests put into MinIO and find there.

use std::sync::Arc;

use loadcast_components::minio::{BUCKET, Minio};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

fn bucket(minio: &Minio, name: &str) -> Arc<dyn ObjectStore> {
    let [_, _, (_, user), (_, password), (_, region)] = minio.variables();
    let builder = AmazonS3Builder::new()
        .with_bucket_name(name)
        .with_endpoint(&minio.endpoint)
        .with_allow_http(true)
        .with_access_key_id(user)
        .with_secret_access_key(password)
        .with_region(region);
    Arc::new(builder.build().unwrap())
}

pub(crate) async fn put(minio: &Minio, name: &str, path: &str, bytes: Vec<u8>) {
    let bucket = bucket(minio, name);
    bucket.put(&Path::from(path), bytes.into()).await.unwrap();
}

pub(crate) async fn get(minio: &Minio, path: &str) -> Vec<u8> {
    let got = bucket(minio, BUCKET).get(&Path::from(path)).await.unwrap();
    got.bytes().await.unwrap().to_vec()
}
