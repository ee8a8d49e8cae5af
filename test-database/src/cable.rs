use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
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
    Held,
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

    /// Nothing comes through until it is mended, and then everything does, as where a server was
    /// frozen.
    pub fn hold(&self) {
        self.state.send_replace(State::Held);
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
            let (there, back) = (state.clone(), state.clone());
            let (near_reads, near_writes) = near.split();
            let (far_reads, far_writes) = far.split();
            tokio::select! {
                biased;
                _ = state.wait_for(|state| matches!(state, State::Cut | State::Silent)) => {}
                _ = pass_on(near_reads, far_writes, there) => return,
                _ = pass_on(far_reads, near_writes, back) => return,
            }
            state.wait_for(|state| *state == State::Cut).await.ok();
        });
    }
}

/// Until one of them ends.
async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        state.wait_for(|state| *state != State::Held).await.ok();
        to.write_all(&bytes[..count]).await?;
    }
}
