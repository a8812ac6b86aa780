//! Who we are towards MLflow: the variables that its own clients read.

use std::fmt;

use reqwest::{RequestBuilder, header::HeaderValue};

use crate::{
    environment::Environment,
    error::{Error, Result},
};

/// The header that chooses a workspace.
const WORKSPACE: &str = "x-mlflow-workspace";

/// Credentials and workspace. `Debug` and `Display` show which kind, never the secret.
#[derive(Clone)]
pub(super) struct Access {
    credentials: Credentials,
    workspace: Option<HeaderValue>,
}

#[derive(Clone)]
enum Credentials {
    None,
    Basic { user: String, password: String },
    Bearer(String),
}

impl Access {
    /// From `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, else `MLFLOW_TRACKING_TOKEN`; and
    /// `MLFLOW_WORKSPACE`.
    ///
    /// # Errors
    /// [`Error::Denied`] when one cannot be sent in a header.
    pub(super) fn from_environment(environment: &Environment) -> Result<Self> {
        let get = |name| environment.get(name).map(str::to_owned);
        let credentials = match (
            get("MLFLOW_TRACKING_USERNAME"),
            get("MLFLOW_TRACKING_PASSWORD"),
            get("MLFLOW_TRACKING_TOKEN"),
        ) {
            (Some(user), Some(password), _) => Credentials::Basic { user, password },
            (_, _, Some(token)) => Credentials::Bearer(token),
            _ => Credentials::None,
        };
        if let Credentials::Bearer(token) = &credentials {
            header("MLFLOW_TRACKING_TOKEN", token)?;
        }
        let workspace = environment.get("MLFLOW_WORKSPACE");
        Ok(Self {
            credentials,
            workspace: workspace
                .map(|name| header("MLFLOW_WORKSPACE", name))
                .transpose()?,
        })
    }

    pub(super) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        let request = match &self.credentials {
            Credentials::None => request,
            Credentials::Basic { user, password } => request.basic_auth(user, Some(password)),
            Credentials::Bearer(token) => request.bearer_auth(token),
        };
        match &self.workspace {
            Some(workspace) => request.header(WORKSPACE, workspace.clone()),
            None => request,
        }
    }
}

fn header(name: &str, value: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(value).map_err(|_| Error::Denied {
        reason: format!("{name} holds characters that no HTTP header can carry"),
    })
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.credentials {
            Credentials::None => f.write_str(
                "no credentials; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
            ),
            Credentials::Basic { user, .. } => write!(f, "a password of user {user}"),
            Credentials::Bearer(_) => f.write_str("the token of MLFLOW_TRACKING_TOKEN"),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({self}, workspace {:?})", self.workspace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_the_password_counts_before_the_token() {
        let access = |variables: &[(&str, &str)]| {
            let variables = variables.iter();
            let environment =
                variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Access::from_environment(&environment.collect())
        };
        let token = ("MLFLOW_TRACKING_TOKEN", "s3cret");
        let both = access(&[
            ("MLFLOW_TRACKING_USERNAME", "me"),
            ("MLFLOW_TRACKING_PASSWORD", "s3cret"),
            token,
        ])
        .unwrap();
        assert_eq!(both.to_string(), "a password of user me");
        assert!(!format!("{both:?}").contains("s3cret"));
        let bearer = access(&[token]).unwrap();
        assert!(!format!("{bearer:?}").contains("s3cret"));
        let broken = access(&[("MLFLOW_TRACKING_TOKEN", "s3\ncret")]).unwrap_err();
        assert!(!broken.to_string().contains("cret"), "{broken}");
    }
}
