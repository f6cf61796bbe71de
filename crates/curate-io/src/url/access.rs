//! Who may read what is behind a URL, and what to do where nobody was named.

use std::path::PathBuf;

use crate::error::{IoError, Kind};

/// Settings of which one says how S3 lets us in.
pub(super) const S3_ACCESS: &[&str] = &[
    "aws_access_key_id",
    "aws_skip_signature",
    "aws_web_identity_token_file",
    "aws_container_credentials_relative_uri",
    "aws_container_credentials_full_uri",
    "aws_metadata_endpoint",
];

/// The same for Google Cloud Storage.
const GS_ACCESS: &[&str] = &[
    "google_service_account",
    "google_service_account_key",
    "google_application_credentials",
    "google_bearer_token",
    "google_skip_signature",
];

/// Without any of them the library would look for a machine's role at an address that only clouds
/// have, for minutes.
pub(super) fn check_access(
    url: &str,
    scheme: &str,
    settings: &[(String, String)],
) -> Result<(), IoError> {
    let names = match scheme {
        "s3" | "s3a" => S3_ACCESS,
        "gs" => GS_ACCESS,
        _ => return Ok(()),
    };
    let has = |name: &&str| settings.iter().any(|(given, _)| given == name);
    if names.iter().any(has) || scheme == "gs" && has_login_of_gcloud() {
        return Ok(());
    }
    let problem = "needs credentials, and none are set";
    Err(IoError::new(Kind::Os, url, problem, remedy_of_access(scheme)))
}

/// Of a listing that is refused the library keeps the status in its text alone.
pub(super) fn is_refusal(error: &object_store::Error) -> bool {
    use object_store::Error::{Generic, PermissionDenied, Unauthenticated};
    match error {
        PermissionDenied { .. } | Unauthenticated { .. } => true,
        Generic { source, .. } => {
            let said = source.to_string();
            ["401 Unauthorized", "403 Forbidden"].iter().any(|status| said.contains(status))
        }
        _ => false,
    }
}

fn has_login_of_gcloud() -> bool {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let file = ".config/gcloud/application_default_credentials.json";
    home.is_some_and(|home| home.join(file).exists())
}

pub(super) fn remedy_of_access(scheme: &str) -> &'static str {
    match scheme {
        "gs" => {
            "set GOOGLE_APPLICATION_CREDENTIALS to a file of credentials that may read it, or \
             GOOGLE_SKIP_SIGNATURE=true for a public bucket"
        }
        "http" | "https" => "only what needs no login is read over HTTP: fetch the files otherwise",
        _ => {
            "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or AWS_PROFILE, to \
             credentials that may read it, or AWS_SKIP_SIGNATURE=true for a public bucket"
        }
    }
}
