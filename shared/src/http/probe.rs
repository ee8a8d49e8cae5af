use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Below the time that a container's health check has.
const LIMIT: Duration = Duration::from_secs(3);
const REQUEST: &[u8] = b"GET /readyz HTTP/1.0\r\n\r\n";

#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("nothing answers on {address}: {problem}")]
    Silent {
        address: SocketAddr,
        problem: io::Error,
    },
    /// With all that it said.
    #[error("not ready: {0}")]
    Unready(String),
}

/// Asks the service that runs on this machine, or in this container, whether it is ready:
/// `bind` is its setting `http.bind`. For health checks where there is no other HTTP client.
pub fn ask_ready(bind: SocketAddr) -> Result<(), ProbeError> {
    let address = reachable(bind);
    let answer = ask(address).map_err(|problem| ProbeError::Silent { address, problem })?;
    let (status, report) = answer.split_once("\r\n").unwrap_or((&answer, ""));
    match status.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => {
            let body = report.rsplit("\r\n").next().unwrap_or_default();
            Err(ProbeError::Unready(body.to_owned()))
        }
    }
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(REQUEST)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// "Any address" is good for listening, not for calling.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What the probe says of a service that answers so.
    fn probe(answer: &'static str) -> Result<(), ProbeError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; REQUEST.len()];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request, REQUEST);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let told = ask_ready(SocketAddr::from(([0, 0, 0, 0], port)));
        service.join().unwrap();
        told
    }

    #[test]
    fn readiness_is_what_the_service_says() {
        probe("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        let answer = "HTTP/1.1 503 Service Unavailable\r\nx: y\r\n\r\n{\"status\":\"unready\"}";
        let error = probe(answer).unwrap_err().to_string();
        assert_eq!(error, "not ready: {\"status\":\"unready\"}");
        assert!(probe("").is_err());
    }

    #[test]
    fn a_service_that_is_not_there_is_not_ready() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let error = ask_ready(address).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
    }
}
