use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A relay to the server of a database that can be cut, as a network is: connections break, and
/// new ones end at once.
pub struct Cable {
    url: String,
    connected: watch::Sender<bool>,
}

impl Cable {
    /// To the database of this URL: `mysql://user:password@host:port/database`, or PostgreSQL's.
    pub async fn to(url: &str) -> Self {
        let (user, place) = url.rsplit_once('@').expect("a user in the URL");
        let (server, database) = place.split_once('/').expect("a database in the URL");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (connected, plug) = watch::channel(true);
        tokio::spawn(relay(listener, server.to_owned(), plug));
        Self {
            url: format!("{user}@{address}/{database}"),
            connected,
        }
    }

    /// The database's URL through the cable.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn cut(&self) {
        self.connected.send_replace(false);
    }

    pub fn mend(&self) {
        self.connected.send_replace(true);
    }
}

async fn relay(listener: TcpListener, server: String, plug: watch::Receiver<bool>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let (server, mut plug) = (server.clone(), plug.clone());
        tokio::spawn(async move {
            if !*plug.borrow() {
                return;
            }
            let Ok(mut far) = TcpStream::connect(server).await else {
                return;
            };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                _ = plug.wait_for(|connected| !connected) => {}
            }
        });
    }
}
