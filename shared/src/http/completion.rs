use std::panic::resume_unwind;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, rt};

/// Handles a request to its end, even if its client is gone: a middleware for handlers that ask a
/// database.
///
/// A handler would be dropped as soon as the connection is reset, and what it had asked be left
/// half-way: see [`ToItsEnd`](crate::database::ToItsEnd).
pub async fn to_the_end(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match rt::spawn(next.call(request)).await {
        Ok(answer) => answer,
        Err(ended) => resume_unwind(ended.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use actix_web::middleware::from_fn;
    use actix_web::web::{self, Data};
    use actix_web::{App, HttpServer};
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;
    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    use super::*;

    struct Scene {
        begun: Semaphore,
        /// The server has seen that the client is gone.
        gone: Semaphore,
        goes_on: Semaphore,
        ended: Semaphore,
    }

    async fn passed(semaphore: &Semaphore) {
        let passed = timeout(Duration::from_secs(60), semaphore.acquire()).await;
        passed.expect("in time").unwrap().forget();
    }

    async fn handler(scene: Data<Scene>) -> &'static str {
        scene.begun.add_permits(1);
        passed(&scene.goes_on).await;
        scene.ended.add_permits(1);
        "done"
    }

    struct Connection(Data<Scene>);

    impl Drop for Connection {
        fn drop(&mut self) {
            self.0.gone.add_permits(1);
        }
    }

    async fn observe(
        scene: Data<Scene>,
        request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> Result<ServiceResponse<impl MessageBody>, Error> {
        let _connection = Connection(scene);
        next.call(request).await
    }

    #[actix_web::test]
    async fn a_request_is_handled_to_its_end_though_its_client_is_gone() {
        let none = || Semaphore::new(0);
        let scene = Data::from(Arc::new(Scene {
            begun: none(),
            gone: none(),
            goes_on: none(),
            ended: none(),
        }));
        let shared = scene.clone();
        let app = move || {
            App::new()
                .app_data(shared.clone())
                .route("/", web::get().to(handler))
                .wrap(from_fn(to_the_end))
                .wrap(from_fn(observe))
        };
        let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        rt::spawn(server);
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        client.write_all(request).await.unwrap();
        passed(&scene.begun).await;
        // So the connection is reset when it is closed.
        client.set_zero_linger().unwrap();
        drop(client);
        passed(&scene.gone).await;
        scene.goes_on.add_permits(1);
        passed(&scene.ended).await;
        handle.stop(false).await;
    }
}
