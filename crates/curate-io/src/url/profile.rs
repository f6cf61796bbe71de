//! The files of AWS's own tools, `~/.aws/credentials` and `~/.aws/config`.

use std::{env, fs, path::PathBuf};

use super::access::S3_ACCESS as ACCESS;

/// What lets us in. Profiles that run programs or log in by a browser are left to those tools.
const KEYS: [&str; 3] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];

/// The settings, and what the profile says and they do not: `AWS_PROFILE`, or `default`.
pub(super) fn added(mut settings: Vec<(String, String)>) -> Vec<(String, String)> {
    let profile = env::var("AWS_PROFILE").unwrap_or_else(|_| "default".to_owned());
    let read = |variable: &str, name: &str| {
        let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".aws").join(name));
        let path = env::var_os(variable).map(PathBuf::from).or_else(home)?;
        fs::read_to_string(path).ok()
    };
    let credentials = read("AWS_SHARED_CREDENTIALS_FILE", "credentials").unwrap_or_default();
    let config = read("AWS_CONFIG_FILE", "config").unwrap_or_default();
    add_from(&mut settings, &profile, &credentials, &config);
    settings
}

fn add_from(settings: &mut Vec<(String, String)>, profile: &str, credentials: &str, config: &str) {
    let in_config =
        if profile == "default" { profile.to_owned() } else { format!("profile {profile}") };
    let said = [section(credentials, profile), section(config, &in_config)].concat();
    let said = |name: &str| said.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let has = |settings: &[(String, String)], names: &[&str]| {
        settings.iter().any(|(given, _)| names.contains(&given.as_str()))
    };
    // Keys belong together: none of them is mixed with what the environment says.
    let mut wanted = Vec::new();
    if !has(settings, ACCESS) {
        wanted.extend(KEYS.map(|name| (name, name)));
    }
    if !has(settings, &["aws_region", "aws_default_region"]) {
        wanted.push(("region", "aws_region"));
    }
    if !has(settings, &["aws_endpoint_url", "aws_endpoint", "aws_endpoint_url_s3"]) {
        wanted.push(("endpoint_url", "aws_endpoint_url"));
    }
    for (name, setting) in wanted {
        settings.extend(said(name).map(|value| (setting.to_owned(), value.to_owned())));
    }
}

/// The keys and values of a section.
fn section<'a>(text: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = title.trim() == name;
        } else if inside && !line.starts_with(['#', ';']) {
            found.extend(line.split_once('=').map(|(key, value)| (key.trim(), value.trim())));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key=S==\n\
                               \n[work]\n; theirs\naws_access_key_id = B\naws_session_token = T\n";
    const CONFIG: &str = "[profile work]\nregion = eu-west-1\nendpoint_url = https://x\noutput = json\n\
                          [default]\nregion=us-east-1\n";

    fn found(profile: &str, given: &[(&str, &str)]) -> String {
        let mut settings: Vec<_> =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        add_from(&mut settings, profile, CREDENTIALS, CONFIG);
        settings.iter().map(|(name, value)| format!("{name}={value} ")).collect()
    }

    #[test]
    fn a_profile_says_keys_and_region_by_its_name() {
        let expected = "aws_access_key_id=A aws_secret_access_key=S== aws_region=us-east-1 ";
        assert_eq!(found("default", &[]), expected);
        let expected = "aws_access_key_id=B aws_session_token=T aws_region=eu-west-1 \
                        aws_endpoint_url=https://x ";
        assert_eq!(found("work", &[]), expected);
        assert_eq!(found("nobody", &[]), "");
    }

    #[test]
    fn the_environment_goes_first_and_keys_are_not_mixed() {
        let given = [("aws_access_key_id", "E"), ("aws_default_region", "r")];
        let expected = "aws_access_key_id=E aws_default_region=r aws_endpoint_url=https://x ";
        assert_eq!(found("work", &given), expected);
        let public = [("aws_skip_signature", "true")];
        assert_eq!(found("default", &public), "aws_skip_signature=true aws_region=us-east-1 ");
    }
}
