//! The other limit: actix that answers an order as the order-service does, and does nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer};
use e2e::{Process, binary, eventually, free_address};
use shared::settings::HttpSettings;

use crate::load::Connection;

#[derive(Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Address and port.
    #[arg(long)]
    bind: SocketAddr,
    /// The body of every answer.
    #[arg(long)]
    body: String,
}

/// In a process of its own, as the service is.
pub(crate) struct Actix {
    pub(crate) address: SocketAddr,
    _process: Process,
}

impl Actix {
    /// Starts one that answers every order with this body.
    pub(crate) async fn start(body: &str, logs: &std::path::Path) -> anyhow::Result<Self> {
        let address: SocketAddr = free_address()?;
        let mut command = binary("bench")?;
        command.args(["actix", "--bind", &address.to_string(), "--body", body]);
        let process = Process::start("actix", command, logs)?;
        eventually("actix listens", async || {
            Connection::open(address).await.map(Some)
        })
        .await?;
        Ok(Self {
            address,
            _process: process,
        })
    }
}

/// With the settings that `shared::http` gives the service's.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let body = arguments.body.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(body.clone()))
            .route("/orders", web::post().to(answer))
    })
    .workers(HttpSettings::on_port(0).workers)
    .client_request_timeout(Duration::from_secs(10))
    .bind(arguments.bind)?;
    Ok(server.run().await?)
}

async fn answer(_order: Bytes, body: Data<String>) -> HttpResponse {
    HttpResponse::Created()
        .insert_header((LOCATION, "/orders/00000000-0000-7000-8000-000000000000"))
        .content_type("application/json")
        .body(body.get_ref().clone())
}
