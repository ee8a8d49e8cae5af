use opentelemetry_otlp::ExporterBuildError;

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("environment variable {name}: `{value}` is not built in; {instead}")]
    NotBuiltIn {
        name: &'static str,
        value: String,
        instead: String,
    },
    #[error("spans cannot be exported: {0}")]
    Exporter(#[from] ExporterBuildError),
}

/// Whether spans are exported: where an endpoint or the exporter `otlp` is named, and neither is
/// taken back. An empty variable is as good as none, as OpenTelemetry has it.
pub(super) fn is_on(variable: impl Fn(&str) -> Option<String>) -> Result<bool, TracesError> {
    let variable = |name: &'static str| {
        let value = variable(name).filter(|value| !value.is_empty())?;
        Some((name, value))
    };
    let endpoint = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"));
    let is_disabled =
        variable("OTEL_SDK_DISABLED").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
    let is_on = match variable("OTEL_TRACES_EXPORTER") {
        _ if is_disabled => false,
        None => endpoint.is_some(),
        Some((_, value)) if value == "none" => false,
        exporter => {
            check(exporter, |value| value == "otlp", "set otlp or none")?;
            true
        }
    };
    if !is_on {
        return Ok(false);
    }
    let protocol = variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        .or_else(|| variable("OTEL_EXPORTER_OTLP_PROTOCOL"));
    let protocol_instead = "set http/protobuf, and the collector's port for it, 4318 by default";
    check(protocol, |value| value == "http/protobuf", protocol_instead)?;
    let is_reachable = |url: &str| cfg!(feature = "tls") || !url.starts_with("https:");
    check(
        endpoint,
        is_reachable,
        "TLS is in builds with `--features tls`",
    )?;
    let samplers = format!("set one of {}", SAMPLERS.join(", "));
    let sampler = variable("OTEL_TRACES_SAMPLER");
    check(sampler, |value| SAMPLERS.contains(&value), &samplers)?;
    Ok(true)
}

fn check(
    variable: Option<(&'static str, String)>,
    is_built_in: impl Fn(&str) -> bool,
    instead: &str,
) -> Result<(), TracesError> {
    match variable {
        Some((name, value)) if !is_built_in(&value) => Err(TracesError::NotBuiltIn {
            name,
            value,
            instead: instead.to_owned(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    fn on(variables: &[(&str, &str)]) -> Result<bool, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        is_on(variable).map_err(|error| error.to_string())
    }

    #[test]
    fn spans_are_exported_where_an_endpoint_is_named_and_not_taken_back() {
        assert_eq!(on(&[]), Ok(false));
        assert_eq!(on(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(false));
        assert_eq!(on(&[("OTEL_SERVICE_NAME", "orders")]), Ok(false));
        assert_eq!(on(&[ENDPOINT]), Ok(true));
        let of_traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        assert_eq!(on(&[(of_traces, "http://c:4318/v1/traces")]), Ok(true));
        assert_eq!(on(&[("OTEL_TRACES_EXPORTER", "otlp")]), Ok(true));
        for off in [
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_SDK_DISABLED", "true"),
        ] {
            assert_eq!(on(&[ENDPOINT, off]), Ok(false), "{off:?}");
        }
    }

    #[test]
    fn what_is_not_built_in_is_named_with_what_to_do() {
        for (name, value, instead) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "4318"),
            ("OTEL_TRACES_EXPORTER", "zipkin", "otlp or none"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote", "parentbased"),
        ] {
            let error = on(&[ENDPOINT, (name, value)]).unwrap_err();
            for word in [name, value, instead] {
                assert!(error.contains(word), "{word}: {error}");
            }
            assert_eq!(
                on(&[(name, value)]).is_err(),
                name == "OTEL_TRACES_EXPORTER"
            );
        }
    }

    #[test]
    fn tls_to_the_collector_is_a_matter_of_the_build() {
        let https = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318");
        assert_eq!(on(&[https]).is_ok(), cfg!(feature = "tls"));
    }
}
