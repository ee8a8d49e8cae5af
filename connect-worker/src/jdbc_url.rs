//! JDBC URLs, as connectors write them, to the URLs of our database driver.

use std::fmt::Write as _;

use shared::settings::Secret;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error(
        "`{0}` is not a JDBC URL of a supported database: use jdbc:mariadb://, jdbc:mysql://, \
         jdbc:postgresql:// or jdbc:sqlite:"
    )]
    Unsupported(String),
    #[error("`{0}` names several hosts; name one")]
    SeveralHosts(String),
    #[error("`{0}` has no database name")]
    NoDatabase(String),
}

/// The driver's URL for a JDBC URL. User and password, where given, win over the URL's own
/// `user` and `password` parameters; of the other parameters those of TLS (mode and authority)
/// and of PostgreSQL's session (`currentSchema` and `options`) have counterparts, the rest tune
/// Java drivers and are dropped.
pub fn driver_url(
    jdbc: &str,
    user: Option<&str>,
    password: Option<&str>,
) -> Result<Secret, UrlError> {
    if let Some(path) = jdbc.strip_prefix("jdbc:sqlite:") {
        return Ok(Secret::new(sqlite(path)));
    }
    let schemes = [
        ("jdbc:mariadb://", "mysql"),
        ("jdbc:mysql://", "mysql"),
        ("jdbc:postgresql://", "postgres"),
    ];
    let found = schemes
        .iter()
        .find_map(|(prefix, scheme)| jdbc.strip_prefix(prefix).map(|rest| (rest, *scheme)));
    let (rest, scheme) = found.ok_or_else(|| UrlError::Unsupported(without_query(jdbc)))?;
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, database) = location.split_once('/').unwrap_or((location, ""));
    if host.contains(',') {
        return Err(UrlError::SeveralHosts(without_query(jdbc)));
    }
    if database.is_empty() {
        return Err(UrlError::NoDatabase(without_query(jdbc)));
    }
    let host = if host.is_empty() { "localhost" } else { host };
    let parameter = |name| parameter(query, name);
    let mut url = format!("{scheme}://");
    // What comes from the query is percent-encoded already.
    let user = user
        .map(percent_encode)
        .or_else(|| parameter("user").map(str::to_owned));
    if let Some(user) = user {
        url.push_str(&user);
        let password = password
            .map(percent_encode)
            .or_else(|| parameter("password").map(str::to_owned));
        if let Some(password) = password {
            url.push(':');
            url.push_str(&password);
        }
        url.push('@');
    }
    url.push_str(host);
    url.push('/');
    url.push_str(database);
    let given = tls(jdbc, scheme, query).into_iter();
    let given = given.chain(session(scheme, query)).flatten();
    for (index, parameter) in given.enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        url.push_str(&parameter);
    }
    Ok(Secret::new(url))
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// How the server proves who it is.
fn tls(jdbc: &str, scheme: &str, query: &str) -> [Option<String>; 2] {
    // What MariaDB's and PostgreSQL's drivers mean by it; MySQL's would do without.
    let verified = parameter(query, "ssl").or(parameter(query, "usessl")) == Some("true");
    let default = (verified && !jdbc.starts_with("jdbc:mysql:")).then_some("verify-full");
    let mode = parameter(query, "sslmode").or(default);
    let authority = parameter(query, "sslrootcert").or(parameter(query, "serversslcert"));
    [
        mode.map(|mode| format!("ssl-mode={}", ssl_mode(scheme, mode))),
        authority.map(|path| format!("ssl-ca={path}")),
    ]
}

/// Where PostgreSQL looks for tables, and its other settings.
fn session(scheme: &str, query: &str) -> [Option<String>; 2] {
    if scheme != "postgres" {
        return [None, None];
    }
    let schemas = parameter(query, "currentSchema");
    let options = parameter(query, "options");
    [
        options.map(|options| format!("options={options}")),
        schemas.map(|names| format!("options[search_path]={names}")),
    ]
}

/// A missing file is created, as the Java driver does.
fn sqlite(path: &str) -> String {
    match path {
        "" | ":memory:" => "sqlite::memory:".to_owned(),
        path => {
            let path = path.strip_prefix("file:").unwrap_or(path);
            let path = path.split_once('?').map_or(path, |(path, _)| path);
            // The driver decodes the path.
            format!("sqlite://{}?mode=rwc", path.replace('%', "%25"))
        }
    }
}

/// MariaDB's Java driver has names of its own; MySQL's and PostgreSQL's are our driver's.
fn ssl_mode(scheme: &str, mode: &str) -> String {
    let mode = mode.to_ascii_lowercase();
    if scheme == "postgres" {
        return mode;
    }
    match mode.replace('-', "_").as_str() {
        "disable" => "disabled".to_owned(),
        "trust" => "required".to_owned(),
        "verify_full" => "verify_identity".to_owned(),
        same => same.to_owned(),
    }
}

/// The query may hold a password.
fn without_query(jdbc: &str) -> String {
    jdbc.split_once('?')
        .map_or(jdbc, |(before, _)| before)
        .to_owned()
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => write!(encoded, "%{byte:02X}").unwrap_or_default(),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(jdbc: &str) -> String {
        driver_url(jdbc, None, None).unwrap().expose().to_owned()
    }

    #[test]
    fn each_database_has_its_scheme() {
        assert_eq!(
            url("jdbc:mysql://localhost:3306/mydb"),
            "mysql://localhost:3306/mydb"
        );
        assert_eq!(url("jdbc:mariadb://h/d?useSsl=false"), "mysql://h/d");
        assert_eq!(url("jdbc:postgresql://h:5432/d"), "postgres://h:5432/d");
        assert_eq!(url("jdbc:postgresql:///d"), "postgres://localhost/d");
        assert_eq!(
            url("jdbc:sqlite:/var/x/a.db"),
            "sqlite:///var/x/a.db?mode=rwc"
        );
        assert_eq!(url("jdbc:sqlite:a.db"), "sqlite://a.db?mode=rwc");
        assert_eq!(url("jdbc:sqlite::memory:"), "sqlite::memory:");
    }

    #[test]
    fn user_and_password_are_encoded_and_the_keys_win_over_the_url() {
        let given = driver_url("jdbc:mysql://h/d?user=x", Some("me@home"), Some("p:/ß")).unwrap();
        assert_eq!(given.expose(), "mysql://me%40home:p%3A%2F%C3%9F@h/d");
        assert_eq!(
            url("jdbc:postgresql://h/d?user=a&password=b%40c"),
            "postgres://a:b%40c@h/d"
        );
    }

    #[test]
    fn the_ssl_mode_is_translated() {
        assert_eq!(
            url("jdbc:mysql://h/d?sslMode=VERIFY_IDENTITY"),
            "mysql://h/d?ssl-mode=verify_identity"
        );
        assert_eq!(
            url("jdbc:postgresql://h/d?sslmode=require"),
            "postgres://h/d?ssl-mode=require"
        );
    }

    #[test]
    fn who_asks_for_a_verified_server_gets_one() {
        assert_eq!(
            url("jdbc:postgresql://h/d?ssl=true&sslrootcert=/a%20b.pem"),
            "postgres://h/d?ssl-mode=verify-full&ssl-ca=/a%20b.pem"
        );
        assert_eq!(
            url("jdbc:mariadb://h/d?useSsl=true&serverSslCert=/ca.pem"),
            "mysql://h/d?ssl-mode=verify_identity&ssl-ca=/ca.pem"
        );
        assert_eq!(url("jdbc:mysql://h/d?useSSL=true"), "mysql://h/d");
    }

    #[test]
    fn postgres_looks_for_tables_where_the_url_says() {
        assert_eq!(
            url("jdbc:postgresql://h/d?currentSchema=shop,public"),
            "postgres://h/d?options[search_path]=shop,public"
        );
        assert_eq!(
            url("jdbc:postgresql://h/d?options=-c%20geqo%3Doff&sslmode=require"),
            "postgres://h/d?ssl-mode=require&options=-c%20geqo%3Doff"
        );
        assert_eq!(url("jdbc:mariadb://h/d?currentSchema=shop"), "mysql://h/d");
    }

    #[test]
    fn what_cannot_work_is_refused_without_showing_a_password() {
        for (jdbc, problem) in [
            (
                "jdbc:oracle:thin:@h:1521/d",
                "not a JDBC URL of a supported database",
            ),
            ("mysql://h/d?password=hunter2", "not a JDBC URL"),
            ("jdbc:mysql://a:1,b:2/d?password=hunter2", "several hosts"),
            ("jdbc:mysql://h?password=hunter2", "no database"),
        ] {
            let error = driver_url(jdbc, None, None).unwrap_err().to_string();
            assert!(
                error.contains(problem) && !error.contains("hunter2"),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_url_or_refused_and_no_refusal_shows_the_query(
            scheme in "jdbc:(mariadb|mysql|postgresql|sqlite|oracle):(//)?",
            rest in "[a-z0-9,:/@%é.]{0,24}",
            query in "(\\?(password|sslMode|x)=hunter2(&[a-z=&%]{0,8})?)?",
            user in proptest::option::of(any::<String>()),
        ) {
            let jdbc = format!("{scheme}{rest}{query}");
            if let Err(error) = driver_url(&jdbc, user.as_deref(), None) {
                prop_assert!(!error.to_string().contains("hunter2"), "{}", error);
            }
            prop_assert!(driver_url(&rest, None, None).is_err());
        }
    }
}
