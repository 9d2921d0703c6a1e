//! Parses the URL of a PostgreSQL database, and explains what is wrong with it without repeating a secret.

use tokio_postgres::config::{Config, SslMode};

const PARAMETERS: &str = "application_name, channel_binding, connect_timeout, dbname, host, hostaddr, keepalives, \
                          keepalives_idle, keepalives_interval, keepalives_retries, load_balance_hosts, options, password, \
                          port, sslmode, sslnegotiation, target_session_attrs, tcp_user_timeout, user";

/// Parameters of other clients, and their replacements.
const INSTEAD: [(&str, &str); 8] = [
    ("schema", "name the schema as options=-csearch_path%3DNAME"),
    ("currentSchema", "name the schema as options=-csearch_path%3DNAME"),
    ("pgbouncer", "connect to PostgreSQL itself: connection poolers such as PgBouncer are not supported yet"),
    ("connection_limit", "set DATABASE_CONNECTIONS"),
    ("sslrootcert", TLS),
    ("sslcert", TLS),
    ("sslkey", TLS),
    ("ssl", TLS),
];

const TLS: &str = "connections to PostgreSQL are not encrypted yet";

/// Rule for ports, worded to follow the name of a setting.
const PORT_RULE: &str = "must be 1 to 65535";

/// Maximum of characters repeated from a parameter's name.
const MAX_NAME_CHARS: usize = 40;

/// Reason that a URL is unusable, worded to follow `DATABASE_URL`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(String);

impl UrlError {
    pub fn new(reason: String) -> Self {
        Self(reason)
    }
}

pub fn parse(url: &str) -> Result<Config, UrlError> {
    match url.parse::<Config>() {
        Ok(config) if config.get_ssl_mode() == SslMode::Require => Err(refused_value("sslmode")),
        Ok(config) if config.get_ports().contains(&0) => Err(wrong_port()),
        Ok(config) if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() => Err(unreadable()),
        Ok(config) => Ok(config),
        // The parser's own message may contain parts of the URL.
        Err(_) if has_wrong_port(url) => Err(wrong_port()),
        Err(_) => Err(wrong_parameter(url).unwrap_or_else(unreadable)),
    }
}

fn wrong_port() -> UrlError {
    UrlError(format!("has a wrong port: it {PORT_RULE}, as in postgres://USER:PASSWORD@HOST:5432/NAME"))
}

/// Checks the ports of the hosts. Nothing before the last `@` is examined, and nothing is repeated: without
/// an `@`, what looks like a port may be a password.
fn has_wrong_port(url: &str) -> bool {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (_, behind_user) = behind_scheme.rsplit_once('@').unwrap_or(("", behind_scheme));
    let hosts = behind_user.split(['/', '?']).next().unwrap_or_default();
    hosts.split(',').any(|host| {
        // An IPv6 address has colons inside its brackets.
        let behind_brackets = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
        let port = behind_brackets.rsplit_once(':').map_or("", |(_, port)| port);
        !port.is_empty() && port.parse().map_or(true, |port: u16| port == 0)
    })
}

fn unreadable() -> UrlError {
    UrlError("must look like postgres://USER:PASSWORD@HOST:5432/NAME".into())
}

/// Finds the first unusable parameter. Nothing before the last `@` is examined, because it may be part of a
/// password.
fn wrong_parameter(url: &str) -> Option<UrlError> {
    let (_, behind_host) = url.rsplit_once('@').unwrap_or(("", url));
    let (_, parameters) = behind_host.split_once('?')?;
    let is_wrong = |parameter: &&str| format!("postgres://localhost/?{parameter}").parse::<Config>().is_err();
    let parameter = parameters.split('&').find(is_wrong)?;
    Some(match parameter.split_once('=') {
        None => UrlError(format!("has {:?} after its ?, which must be NAME=VALUE", shown(parameter))),
        Some((name, _)) if PARAMETERS.split(", ").any(|known| known == name) => refused_value(name),
        Some((name, _)) => unknown(name),
    })
}

fn shown(name: &str) -> String {
    name.chars().take(MAX_NAME_CHARS).collect()
}

fn refused_value(name: &str) -> UrlError {
    let must = match name {
        "sslmode" => format!("must be disable or prefer: {TLS}"),
        "sslnegotiation" => "must be postgres or direct".into(),
        "target_session_attrs" => "must be any, read-write or read-only".into(),
        "channel_binding" => "must be disable, prefer or require".into(),
        "load_balance_hosts" => "must be disable or random".into(),
        "hostaddr" => "must be IP addresses".into(),
        "application_name" | "dbname" | "host" | "options" | "password" | "user" => {
            "must be UTF-8 once it is percent-decoded".into()
        }
        "port" => PORT_RULE.into(),
        _ => "must be a number".into(),
    };
    UrlError(format!("has the parameter {name}, which {must}"))
}

fn unknown(name: &str) -> UrlError {
    let shown = shown(name);
    let known = || format!("it may have {PARAMETERS}");
    let instead = INSTEAD.iter().find(|(theirs, _)| *theirs == name);
    let instead = instead.map_or_else(known, |(_, instead)| (*instead).to_owned());
    UrlError(format!("has the unknown parameter {shown:?}: {instead}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_used_is_parsed() {
        for url in [
            "postgres://bar:secret@127.0.0.1:5432/bar",
            "postgresql://bar@%2Frun%2Fpostgresql/bar",
            "postgres://bar@one,two:5433/bar?target_session_attrs=read-write&load_balance_hosts=random",
            "postgres://bar@db/bar?sslmode=prefer&connect_timeout=3&options=-csearch_path%3Dbar",
            "postgres:///bar?host=/run/postgresql",
        ] {
            parse(url).unwrap();
        }
    }

    #[test]
    fn every_known_parameter_is_one_and_every_wrong_value_is_named() {
        for name in PARAMETERS.split(", ") {
            let taken = ["1", "disable", "any", "postgres", "127.0.0.1"]
                .iter()
                .any(|value| format!("postgres://localhost/?{name}={value}").parse::<Config>().is_ok());
            assert!(taken, "{name}");
        }
        for (parameter, named) in [
            ("sslmode=verify-full", "sslmode"),
            ("sslmode=require", "sslmode"),
            ("target_session_attrs=primary", "target_session_attrs"),
            ("connect_timeout=soon", "connect_timeout"),
            ("sslmode=prefer&hostaddr=here", "hostaddr"),
        ] {
            let error = parse(&format!("postgres://bar:hunter2@db/bar?{parameter}")).unwrap_err().to_string();
            assert!(error.contains(&format!("the parameter {named}, which must be")), "{error}");
        }
    }

    #[test]
    fn a_wrong_port_is_said_to_be_that_and_neither_it_nor_a_password_is_repeated() {
        for at in [
            "db:99999/bar",
            "db:0/bar",
            "db:abc/bar",
            "db:-1",
            "db:5432x/bar",
            "one:5432,two:65536/bar",
            "[::1]:70000/bar",
        ] {
            let error = parse(&format!("postgres://bar:hunter2@{at}")).unwrap_err().to_string();
            assert!(error.contains("port: it must be 1 to 65535"), "{at}: {error}");
            for secret in ["hunter2", "99999", "abc", "70000"] {
                assert!(!error.contains(secret), "{at}: {error}");
            }
        }
        for parameter in ["port=0", "port=99999", "port=abc"] {
            let error = parse(&format!("postgres://bar:hunter2@db/bar?{parameter}")).unwrap_err().to_string();
            assert!(error.contains("port") && error.contains("must be 1 to 65535"), "{parameter}: {error}");
        }
        for good in ["db:1", "db:65535", "one,two:5433", "db:", "[::1]:5432", "[::1]"] {
            assert!(!has_wrong_port(&format!("postgres://bar:99999@{good}/bar")), "{good}");
        }
    }

    #[test]
    fn a_parameter_of_another_program_is_named_with_what_to_write_instead() {
        for (parameter, named, instead) in [
            ("schema=bar", "\"schema\"", "search_path"),
            ("pgbouncer=true", "\"pgbouncer\"", "connect to PostgreSQL itself"),
            ("connection_limit=1&pgbouncer=true", "\"connection_limit\"", "DATABASE_CONNECTIONS"),
            ("currentSchema=bar", "\"currentSchema\"", "search_path"),
            ("sslrootcert=/ca.pem", "\"sslrootcert\"", "not encrypted"),
            ("sslcert=/bar.pem", "\"sslcert\"", "not encrypted"),
            ("sslkey=/bar.key", "\"sslkey\"", "not encrypted"),
            ("ssl=true", "\"ssl\"", "not encrypted"),
            ("colour=red", "\"colour\"", "target_session_attrs"),
            ("colour=red?or=blue", "\"colour\"", "target_session_attrs"),
        ] {
            let error = parse(&format!("postgres://bar:hunter2@db/bar?{parameter}")).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains(instead), "{error}");
        }
    }

    #[test]
    fn a_url_needs_a_host() {
        parse("postgres:///bar?hostaddr=127.0.0.1").unwrap();
        for url in ["postgres:///bar", "postgres://", "postgres://bar:hunter2@/bar", "mysql://db/bar", ""] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.starts_with("must look like postgres://"), "{url}: {error}");
        }
    }

    #[test]
    fn a_wrong_value_is_answered_with_what_it_must_be() {
        let number = "must be a number";
        for (name, must) in [
            ("sslmode", "must be disable or prefer: connections to PostgreSQL are not encrypted yet"),
            ("sslnegotiation", "must be postgres or direct"),
            ("target_session_attrs", "must be any, read-write or read-only"),
            ("channel_binding", "must be disable, prefer or require"),
            ("load_balance_hosts", "must be disable or random"),
            ("hostaddr", "must be IP addresses"),
            ("port", "must be 1 to 65535"),
            ("connect_timeout", number),
            ("keepalives", number),
            ("keepalives_idle", number),
            ("keepalives_interval", number),
            ("keepalives_retries", number),
            ("tcp_user_timeout", number),
        ] {
            let error = parse(&format!("postgres://db/bar?{name}=wrong")).unwrap_err().to_string();
            assert_eq!(error, format!("has the parameter {name}, which {must}"));
        }
        for name in ["application_name", "dbname", "host", "options", "password", "user"] {
            let error = parse(&format!("postgres://db/bar?{name}=%FF")).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("must be UTF-8"), "{error}");
        }
    }

    #[test]
    fn a_name_is_repeated_on_one_line_and_not_at_any_length() {
        for url in ["postgres://db/bar?{}=1", "postgres://db/bar?sslmode=prefer&{}"] {
            let error = parse(&url.replace("{}", &"x".repeat(1000))).unwrap_err().to_string();
            assert!(error.contains(&"x".repeat(40)) && !error.contains(&"x".repeat(41)), "{error}");
            let error = parse(&url.replace("{}", "x\ny")).unwrap_err().to_string();
            assert!(error.contains("x\\ny") && !error.contains('\n'), "{error}");
        }
        let error = parse("postgres://db/bar?sslmode&port=1").unwrap_err().to_string();
        assert_eq!(error, "has \"sslmode\" after its ?, which must be NAME=VALUE");
    }

    #[test]
    fn no_part_of_a_password_is_repeated() {
        for url in [
            "postgres://bar:hunter2?hunter2=hunter2@db:port/bar",
            "postgres://bar:hun@ter2?hunter2=2@db:port/bar",
            "postgres://bar:hunter2@db/bar?connect_timeout=hunter2",
            "postgres://hunter2",
            "postgres://bar:hunter2/bar",
            "postgres://bar:hunter2",
            "postgres://bar:hunter2@/bar",
        ] {
            if let Err(error) = parse(url) {
                assert!(!error.to_string().contains("hunter2"), "{url}: {error}");
            }
        }
    }
}
