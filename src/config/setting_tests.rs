use super::*;
use clap::Parser;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    serving: ServeArgs,
}

fn parsed(flags: &[&str]) -> Result<ServeArgs, String> {
    let flags = ["serve"].iter().chain(flags);
    Flags::try_parse_from(flags).map(|flags| flags.serving).map_err(|error| error.to_string())
}

#[test]
fn a_number_is_taken_within_its_limits_only() {
    for (flag, least, most) in [
        ("--database-connections", "1", "1000"),
        ("--http-threads", "1", "256"),
        ("--http-connections", "1", "100000"),
        ("--streams", "1", "100000"),
        ("--http-answer-bytes", "4194304", "68719476736"),
    ] {
        for taken in [least, most] {
            assert!(parsed(&[flag, taken]).is_ok(), "{flag} {taken}");
        }
        let more = (most.parse::<usize>().unwrap() + 1).to_string();
        let fewer = (least.parse::<usize>().unwrap() - 1).to_string();
        for refused in [fewer.as_str(), &more, "", "-1", "1.5", "many"] {
            let error = parsed(&[&format!("{flag}={refused}")]).unwrap_err();
            assert!(error.contains(&format!("must be {least} to {most}")), "{flag} {refused}: {error}");
        }
    }
}

#[test]
fn a_ratio_is_from_0_to_1() {
    for (text, ratio) in [("0", 0.0), ("0.25", 0.25), ("1", 1.0)] {
        let taken = parsed(&["--otel-traces-sampler-arg", text]).unwrap().tracing.ratio;
        assert!((taken - ratio).abs() < f64::EPSILON, "{text}");
    }
    for text in ["-0.1", "1.1", "NaN", "inf", "all", ""] {
        let error = parsed(&[&format!("--otel-traces-sampler-arg={text}")]).unwrap_err();
        assert!(error.contains("must be 0 to 1"), "{text}: {error}");
    }
}

#[test]
fn a_collector_is_at_an_http_address_or_nowhere() {
    let endpoint = |text: &str| {
        let tracing = parsed(&[&format!("--otel-exporter-otlp-endpoint={text}")]).unwrap().tracing;
        tracing.endpoint().map(|endpoint| endpoint.map(str::to_owned))
    };
    assert_eq!(endpoint(""), Ok(None));
    for address in ["http://127.0.0.1:4318", "https://user:hunter2@collector.example/otlp"] {
        assert_eq!(endpoint(address), Ok(Some(address.to_owned())));
    }
    for address in ["127.0.0.1:4318", "grpc://hunter2:4317", "collector", "http://", "unix:/run/hunter2"] {
        let error = endpoint(address).unwrap_err();
        assert!(error.contains("must be an address") && !error.contains("hunter2"), "{address}: {error}");
    }
}

#[test]
fn a_certificate_needs_its_key_and_a_key_its_certificate() {
    let files = |certificate: &str, key: &str| {
        let flags = [format!("--tls-cert-file={certificate}"), format!("--tls-key-file={key}")];
        parsed(&[&flags[0], &flags[1]]).unwrap().tls_files()
    };
    assert!(matches!(files("", ""), Ok(None)));
    assert!(matches!(files("bar.pem", "bar.key"), Ok(Some(_))));
    assert!(files("bar.pem", "").unwrap_err().contains("needs TLS_KEY_FILE"));
    assert!(files("", "bar.key").unwrap_err().contains("needs TLS_CERT_FILE"));
}

#[test]
fn every_secret_that_is_given_has_its_length() {
    let (long, short) = ("x".repeat(MIN_SECRET_BYTES), "x".repeat(MIN_SECRET_BYTES - 1));
    let checked = |secret: &str, previous: &str| {
        let flags = [format!("--jwt-secret={secret}"), format!("--jwt-previous-secrets={previous}")];
        let serving = parsed(&[&flags[0], &flags[1]]).unwrap();
        serving.checked_secret().map(|secret| secret.is_some())
    };
    assert_eq!(checked("", ""), Ok(false));
    assert_eq!(checked(&long, ""), Ok(true));
    assert_eq!(checked(&long, &format!("{long}\n{long}")), Ok(true));
    assert!(checked(&short, "").unwrap_err().starts_with("JWT_SECRET must"));
    assert!(checked(&long, &short).unwrap_err().starts_with("JWT_PREVIOUS_SECRETS must"));
    assert!(checked("", &format!("{long}\n{short}")).unwrap_err().starts_with("JWT_PREVIOUS_SECRETS must"));
}
