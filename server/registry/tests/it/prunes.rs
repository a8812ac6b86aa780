//! Pruning a real MLflow that fails in the middle: what is left is found again, and no version holds up another. And what
//! others name meanwhile.

use std::{fmt, path::Path, sync::Arc};

use async_trait::async_trait;
use futures::{FutureExt as _, stream::BoxStream};
use loadcast_registry::{
    environment::Environment,
    error::Error,
    object::{ObjectRegistry, Writers},
    registry::Registry as _,
};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory,
    path::Path as Key,
};

use crate::{
    mlflow::{mlflow, open_at},
    sample::{new_version, series},
};
use loadcast_components::proxy::{Fault, Proxy};

/// How many files called model.pr below `folder` hold `bytes`.
fn files(folder: &Path, bytes: &str) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    let count = |path: &Path| match path.is_dir() {
        true => files(path, bytes),
        false => usize::from(
            path.ends_with("model.pr") && std::fs::read(path).unwrap() == bytes.as_bytes(),
        ),
    };
    entries.map(|entry| count(&entry.unwrap().path())).sum()
}

#[tokio::test]
async fn a_prune_that_breaks_at_any_call_is_finished_by_the_next_and_leaves_no_file() {
    let Some(mlflow) = mlflow() else { return };
    let proxy = Proxy::start(&mlflow.url).await;
    let registry = open_at(&proxy.url, &Environment::default());
    let name = "prunes.break";
    let a = series(name);
    let key = |turn: usize| format!("{name}-{turn}");
    registry
        .register(new_version(name, &key(0), &key(0)))
        .await
        .unwrap();
    for lost in 1.. {
        let this = key(lost);
        registry
            .register(new_version(name, &this, &this))
            .await
            .unwrap();
        let gone = key(lost - 1);
        let mut count = 0;
        proxy.set(move |_| {
            count += 1;
            (count == lost).then_some(Fault::Drop)
        });
        let pruned = registry.prune(&a, 1, &[]).await;
        proxy.heal();
        if let Ok(pruned) = &pruned {
            assert_eq!(pruned.len(), 1);
            assert!(lost > 6, "it makes so many calls at least: {lost}");
            break;
        }
        // Interrupted, it is either whole and found by its key, or its key makes another.
        if let Some(made) = registry.made_by(&a, &gone).await.unwrap() {
            let stored = registry.fetch(&a, made.version).await.unwrap();
            assert_eq!(stored.model_pr, gone, "call {lost}");
        }
        let before = registry.versions(&a).await.unwrap().len();
        let again = registry.prune(&a, 1, &[]).await.unwrap();
        assert_eq!(again.len(), before - 1, "call {lost}");
        assert_eq!(registry.versions(&a).await.unwrap().len(), 1);
        assert_eq!(files(&mlflow.artifacts(), &gone), 0, "call {lost}");
        assert_eq!(files(&mlflow.artifacts(), &this), 1, "call {lost}");
    }
}

#[tokio::test]
async fn a_version_that_cannot_be_deleted_is_left_and_the_others_are_pruned() {
    let Some(mlflow) = mlflow() else { return };
    let proxy = Proxy::start(&mlflow.url).await;
    let registry = open_at(&proxy.url, &Environment::default());
    let name = "prunes.stuck";
    let a = series(name);
    for key in ["k1", "k2", "k3", "k4"] {
        registry
            .register(new_version(name, key, key))
            .await
            .unwrap();
    }
    let refusal = r#"{"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}"#;
    let refusal = Fault::Answer(400, vec![], refusal.into());
    proxy.fail("model-versions/get?name=prunes.stuck&version=1", refusal);
    assert_eq!(registry.prune(&a, 1, &[]).await.unwrap(), [2, 3]);
    // Access that is denied is no matter of one version.
    let part = "model-versions/get?name=prunes.stuck&version=1";
    proxy.fail(part, Fault::status(403));
    let error = registry.prune(&a, 1, &[]).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    proxy.heal();
    assert_eq!(registry.prune(&a, 1, &[]).await.unwrap(), [1]);
    assert_eq!(registry.versions(&a).await.unwrap(), [4]);
}

#[tokio::test]
async fn a_version_that_is_named_while_others_are_pruned_is_kept() {
    let Some(mlflow) = mlflow() else { return };
    let proxy = Proxy::start(&mlflow.url).await;
    let registry = open_at(&proxy.url, &Environment::default());
    let name = "prunes.named";
    let a = series(name);
    for key in ["k1", "k2", "k3"] {
        registry
            .register(new_version(name, key, key))
            .await
            .unwrap();
    }
    // The listing that the prune goes by is older than the alias.
    let model = r#"{"registered_model": {"name": "prunes.named"}}"#;
    registry.set_alias(&a, "candidate", 2, None).await.unwrap();
    let listing = Fault::Answer(200, vec![], model.into());
    proxy.fail("registered-models/get?name=prunes.named", listing);
    assert_eq!(registry.prune(&a, 1, &[]).await.unwrap(), [1]);
    proxy.heal();
    assert_eq!(registry.alias(&a, "candidate").await.unwrap(), Some(2));
    assert_eq!(registry.fetch(&a, 2).await.unwrap().model_pr, "k2");
}

/// A store on which another server names version 2 of the series `a` as soon as anything is deleted.
#[derive(Debug, Default)]
struct NamedMeanwhile(InMemory);

impl fmt::Display for NamedMeanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for NamedMeanwhile {
    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Key>>,
    ) -> BoxStream<'static, Result<Key>> {
        let alias = Key::from("aliases/another/a");
        let name = self
            .0
            .put_opts(&alias, r#"{"version":2}"#.into(), PutOptions::default());
        name.now_or_never().unwrap().unwrap();
        self.0.delete_stream(locations)
    }

    async fn put_opts(
        &self,
        location: &Key,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Key,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Key, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

#[tokio::test]
async fn a_version_in_a_bucket_that_another_server_names_while_others_are_pruned_is_kept() {
    let store = Arc::new(NamedMeanwhile::default());
    let registry = ObjectRegistry::new(store, "memory:".to_owned(), Writers::Many);
    let a = series("a");
    for key in ["k1", "k2", "k3", "k4"] {
        registry.register(new_version("a", key, key)).await.unwrap();
    }
    assert_eq!(registry.prune(&a, 1, &[]).await.unwrap(), [1, 3]);
    assert_eq!(registry.alias(&a, "another").await.unwrap(), Some(2));
    assert_eq!(registry.fetch(&a, 2).await.unwrap().model_pr, "k2");
}
