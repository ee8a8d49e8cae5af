//! The load: many kept-alive connections, each with one request at a time. It shares the
//! machine with what it measures, so it does as little as HTTP allows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::measure::Run;

/// Places `orders` orders over `connections` connections; every answer must be a 201.
pub(crate) async fn run(
    address: SocketAddr,
    orders: usize,
    connections: usize,
) -> anyhow::Result<Run> {
    let left = Arc::new(AtomicUsize::new(orders));
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let begun = Instant::now();
    let clients: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(number, stream)| {
            tokio::spawn(client(stream, request(address, number), Arc::clone(&left)))
        })
        .collect();
    let mut run = Run::default();
    for client in clients {
        run.latencies.extend(client.await??);
    }
    run.took = begun.elapsed();
    Ok(run)
}

fn request(address: SocketAddr, number: usize) -> Vec<u8> {
    let product = number % crate::PRODUCTS + 1;
    let body = format!(r#"{{"user_id":1,"product_id":{product},"qty":1,"unit_price":100}}"#);
    format!(
        "POST /orders HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn client(
    mut stream: TcpStream,
    request: Vec<u8>,
    left: Arc<AtomicUsize>,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut buffer = vec![0; 4_096];
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
        .is_ok()
    {
        let started = Instant::now();
        stream.write_all(&request).await?;
        let answer = answer(&mut stream, &mut buffer).await?;
        ensure!(
            answer.starts_with(b"HTTP/1.1 201"),
            "{}",
            String::from_utf8_lossy(answer)
        );
        latencies.push(started.elapsed());
    }
    Ok(latencies)
}

/// Reads one whole answer.
async fn answer<'a>(stream: &mut TcpStream, buffer: &'a mut [u8]) -> anyhow::Result<&'a [u8]> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        ensure!(read > 0, "the connection was closed");
        filled += read;
        if let Some(length) = length(&buffer[..filled])?
            && filled >= length
        {
            return Ok(&buffer[..filled]);
        }
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
