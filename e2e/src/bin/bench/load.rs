//! The load: many kept-alive connections, each with one request at a time. It shares the
//! machine with what it measures, so it does as little as HTTP allows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::measure::Run;

/// Above the longest answer.
const BUFFER: usize = 64 * 1_024;

/// Requests that connections send in turn, so many in all, each of which gets this status.
pub(crate) struct Load {
    requests: Vec<Vec<u8>>,
    status: u16,
    count: usize,
    sent: AtomicUsize,
}

/// Places `orders` orders over `connections` connections; every answer must be a 201.
pub(crate) async fn run(
    address: SocketAddr,
    orders: usize,
    connections: usize,
) -> anyhow::Result<Run> {
    let requests = (0..crate::PRODUCTS).map(|number| order(address, number));
    let load = Load::new(requests.collect(), 201, orders);
    load.send(address, connections).await
}

/// Asks for each of these paths once; every answer must be a 200.
pub(crate) async fn get(
    address: SocketAddr,
    paths: impl Iterator<Item = String>,
    connections: usize,
) -> anyhow::Result<Run> {
    let request = |path| format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
    let requests: Vec<_> = paths.map(request).collect();
    let count = requests.len();
    Load::new(requests, 200, count)
        .send(address, connections)
        .await
}

/// The request of an order; the products take turns.
pub(crate) fn order(address: SocketAddr, number: usize) -> Vec<u8> {
    let product = number % crate::PRODUCTS + 1;
    let body = format!(r#"{{"user_id":1,"product_id":{product},"qty":1,"unit_price":100}}"#);
    format!(
        "POST /orders HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Load {
    pub(crate) fn new(requests: Vec<Vec<u8>>, status: u16, count: usize) -> Self {
        Self {
            requests,
            status,
            count,
            sent: AtomicUsize::new(0),
        }
    }

    pub(crate) async fn send(self, address: SocketAddr, connections: usize) -> anyhow::Result<Run> {
        let load = Arc::new(self);
        let open = (0..connections).map(|_| Connection::open(address));
        let open = try_join_all(open).await?;
        let begun = Instant::now();
        let clients: Vec<_> = open
            .into_iter()
            .map(|connection| tokio::spawn(client(connection, Arc::clone(&load))))
            .collect();
        let mut run = Run::default();
        for client in clients {
            run.latencies.extend(client.await??);
        }
        run.took = begun.elapsed();
        Ok(run)
    }

    /// The next request; `None` once all are sent.
    fn next(&self) -> Option<&[u8]> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        (number < self.count).then(|| &*self.requests[number % self.requests.len()])
    }
}

async fn client(mut connection: Connection, load: Arc<Load>) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while let Some(request) = load.next() {
        let started = Instant::now();
        connection.ask(request, load.status).await?;
        latencies.push(started.elapsed());
    }
    Ok(latencies)
}

/// One kept-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let buffer = vec![0; BUFFER];
        Ok(Self { stream, buffer })
    }

    /// Sends a request, and returns the whole answer, which must have this status.
    pub(crate) async fn ask(&mut self, request: &[u8], status: u16) -> anyhow::Result<&str> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            ensure!(read > 0, "the connection was closed");
            filled += read;
            if let Some(length) = length(&self.buffer[..filled])?
                && filled >= length
            {
                break;
            }
        }
        let answer = std::str::from_utf8(&self.buffer[..filled])?;
        let found = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        ensure!(found == Some(status), "not {status}: {answer}");
        Ok(answer)
    }
}

/// The answer's length, once its head is complete.
fn length(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&answer[..head])?;
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix("content-length: "));
    let body: usize = value.context("an answer without content-length")?.parse()?;
    Ok(Some(head + 4 + body))
}
