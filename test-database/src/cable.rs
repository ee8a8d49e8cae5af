use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A relay to the server of a database that can be cut, as a network is: connections break, and
/// new ones end at once.
pub struct Cable {
    url: String,
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    Cut,
    Silent,
}

impl Cable {
    /// To the database of this URL: `mysql://user:password@host:port/database`, or PostgreSQL's.
    pub async fn to(url: &str) -> Self {
        let (user, place) = url.rsplit_once('@').expect("a user in the URL");
        let (server, database) = place.split_once('/').expect("a database in the URL");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (state, watched) = watch::channel(State::Whole);
        tokio::spawn(relay(listener, server.to_owned(), watched));
        Self {
            url: format!("{user}@{address}/{database}"),
            state,
        }
    }

    /// The database's URL through the cable.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Nothing comes through any more, and no end is told so. The connections of before and of
    /// meanwhile stay like that, though others work once it is mended.
    pub fn silence(&self) {
        self.state.send_replace(State::Silent);
    }

    pub fn mend(&self) {
        self.state.send_replace(State::Whole);
    }
}

async fn relay(listener: TcpListener, server: String, state: watch::Receiver<State>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let (server, mut state) = (server.clone(), state.clone());
        tokio::spawn(async move {
            if *state.borrow() == State::Cut {
                return;
            }
            let Ok(mut far) = TcpStream::connect(server).await else {
                return;
            };
            tokio::select! {
                biased;
                _ = state.wait_for(|state| *state != State::Whole) => {}
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
            }
            state.wait_for(|state| *state == State::Cut).await.ok();
        });
    }
}
