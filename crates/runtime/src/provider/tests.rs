//! Tables: config and environment in; address, key and dialect out.

use codex_model::ProviderKey;

use super::*;

fn identity() -> ClientIdentity {
    ClientIdentity::new("codex_exec", None, "1", "os", "")
}

fn custom(change: impl FnOnce(&mut ModelProviderConfig)) -> Config {
    let mut provider = ModelProviderConfig::default();
    provider.base_url = "http://127.0.0.1:1/v1".to_owned();
    change(&mut provider);
    let mut config = Config::default();
    config.model_provider = Some("p".to_owned());
    config.model_providers.insert("p".to_owned(), provider);
    config
}

fn env(pairs: &[(&str, &str)]) -> Env {
    Env::from_pairs(pairs.iter().copied())
}

fn told(config: &Config, pairs: &[(&str, &str)]) -> String {
    match provider(config, &env(pairs), Path::new("/"), identity()) {
        Err(error) => error.to_string(),
        Ok(chosen) => {
            let settings = chosen.settings;
            let key = match settings.key {
                ProviderKey::None => "no key".to_owned(),
                ProviderKey::Fixed(key) => key.expose().to_owned(),
                ProviderKey::Source(_) => "source".to_owned(),
                ProviderKey::Missing(error) => error.to_string(),
            };
            format!("{} {key} {:?}", settings.base_url, settings.dialect)
        }
    }
}

#[test]
fn the_built_in_provider_needs_a_key() {
    let config = Config::default();
    assert_eq!(
        told(&config, &[]),
        "https://api.openai.com/v1 no API key for provider `openai` OpenAi"
    );
    assert_eq!(
        told(&config, &[("OPENAI_API_KEY", "o"), ("CODEX_API_KEY", "c")]),
        "https://api.openai.com/v1 c OpenAi"
    );
}

#[test]
fn another_address_of_the_built_in_provider_gets_only_the_key_that_is_meant_for_codex() {
    let mut config = Config::default();
    assert_eq!(
        told(
            &config,
            &[
                ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1/"),
                ("OPENAI_API_KEY", "o")
            ]
        ),
        "http://127.0.0.1:1/v1/ o OpenAi"
    );
    config.openai_base_url = Some("http://127.0.0.1:2/v1".to_owned());
    let keys = [
        ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1"),
        ("OPENAI_API_KEY", "o"),
    ];
    assert_eq!(told(&config, &keys), "http://127.0.0.1:2/v1 no key OpenAi");
    assert_eq!(
        told(&config, &[("CODEX_API_KEY", "c")]),
        "http://127.0.0.1:2/v1 c OpenAi"
    );
}

#[test]
fn a_configured_provider_takes_its_own_key_and_no_other() {
    let keys = [
        ("PKEY", "p"),
        ("CODEX_API_KEY", "c"),
        ("OPENAI_API_KEY", "o"),
    ];
    assert_eq!(
        told(&custom(|_| {}), &keys),
        "http://127.0.0.1:1/v1 no key Plain"
    );
    let with_env_key = custom(|provider| {
        provider.env_key = Some("PKEY".to_owned());
        provider.env_key_instructions = Some("Ask Ada.".to_owned());
    });
    assert_eq!(told(&with_env_key, &keys), "http://127.0.0.1:1/v1 p Plain");
    assert_eq!(
        told(&with_env_key, &[("PKEY", "")]),
        "http://127.0.0.1:1/v1 Missing environment variable: `PKEY`. Ask Ada. Plain"
    );
    let with_openai_auth = custom(|provider| provider.requires_openai_auth = true);
    assert_eq!(
        told(&with_openai_auth, &keys),
        "http://127.0.0.1:1/v1 c Plain"
    );
}

#[test]
fn what_is_wrong_or_not_there_says_so() {
    let mut unknown = Config::default();
    unknown.model_provider = Some("zz".to_owned());
    assert_eq!(told(&unknown, &[]), "Model provider `zz` not found");
    unknown.model_provider = Some("ollama".to_owned());
    assert_eq!(
        told(&unknown, &[]),
        "model provider `ollama` is not available yet"
    );
    let chat = custom(|provider| provider.wire_api = WireApi::Chat);
    assert_eq!(
        told(&chat, &[]),
        "wire_api = \"chat\" (model provider `p`) is not available yet"
    );
    let relative = custom(|provider| provider.base_url = "localhost/v1".to_owned());
    assert_eq!(
        told(&relative, &[]),
        "base_url of model provider `p` is not an absolute http(s) URL"
    );
    assert_eq!(
        told(&Config::default(), &[("OPENAI_BASE_URL", "file:///x")]),
        "OPENAI_BASE_URL is not an absolute http(s) URL"
    );
}

#[test]
fn a_header_without_its_variable_is_left_out_with_a_notice() {
    let config = custom(|provider| {
        provider
            .http_headers
            .insert("a".to_owned(), Secret::new("1"));
        provider
            .env_http_headers
            .insert("b".to_owned(), "B_VARIABLE".to_owned());
        provider
            .env_http_headers
            .insert("c".to_owned(), "C_VARIABLE".to_owned());
    });
    let chosen = provider(
        &config,
        &env(&[("C_VARIABLE", "3")]),
        Path::new("/"),
        identity(),
    )
    .unwrap();
    let headers: Vec<_> = chosen
        .settings
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect();
    assert_eq!(headers, [("a", "1"), ("c", "3")]);
    assert_eq!(
        chosen.notices,
        [
            "header `b` of model provider `p` is left out: environment variable `B_VARIABLE` is not set"
        ]
    );
}

#[test]
fn only_the_built_in_provider_has_a_default_model() {
    assert_eq!(model(None, &Config::default()).unwrap(), "gpt-5.5");
    assert_eq!(model(Some("x"), &custom(|_| {})).unwrap(), "x");
    let error = model(None, &custom(|_| {})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no model is configured for model provider `p`"
    );
    assert!(error.hints()[0].contains("-m"));
    let error = model(Some(""), &Config::default()).unwrap_err();
    assert!(matches!(error, ProviderError::NoModel(_)), "{error}");
}

#[test]
fn a_program_gives_the_key_before_any_variable() {
    let config = custom(|provider| {
        provider.env_key = Some("PKEY".to_owned());
        provider.auth = Some(codex_config::ProviderAuthCommand {
            command: "print-token".to_owned(),
            args: Vec::new(),
            timeout: std::time::Duration::from_secs(5),
        });
    });
    assert_eq!(
        told(&config, &[("PKEY", "k")]),
        "http://127.0.0.1:1/v1 source Plain"
    );
}
