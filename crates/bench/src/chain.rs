//! The baseline of the mesh's rows: a chain of plain TCP tasks with as many hops and bytes as a request has there.
//!
//! Client → GW → RC → source(s) → Agg → GW → client, each arrow a connection of its own on loopback, all
//! tasks in one process on tokio's multi-threaded runtime, as `qmesh up` is. The tasks look at nothing: requests
//! and answers have lengths that are known beforehand, the first eight bytes say whose they are. With several
//! sources each sends its share of an answer, and the Agg task passes the shares on one after the other.
//! Tests: at the end.

use std::io;

use qipc::MessageType;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Bytes a task reads at once.
const CHUNK: usize = 256 << 10;
/// Requests that wait for the link from GW to RC; more wait in their connections.
const QUEUED: usize = 1024;
/// Most requests that go to the RC in one write.
const BATCH: usize = 64;
/// First bytes of every message inside the chain: the number of its client.
pub(crate) const MARK: usize = 8;
/// What the chain says to a client's greeting.
const CAPABILITY: u8 = 6;

/// What goes through.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Sizes {
    /// Bytes of a request message
    #[arg(long)]
    pub(crate) request: usize,
    /// Bytes of an answer message
    #[arg(long)]
    pub(crate) answer: usize,
    /// Tasks that make an answer together
    #[arg(long, default_value_t = 1)]
    pub(crate) sources: usize,
}

impl Sizes {
    /// Bytes of an answer that source `n` sends; the first one also sends what cannot be divided.
    fn share(self, n: usize) -> usize {
        let share = self.answer / self.sources.max(1);
        if n == 0 { self.answer - share * (self.sources.max(1) - 1) } else { share }
    }
}

/// Runs the chain until the process ends; `ready` learns the port that clients connect to.
pub(crate) async fn run(sizes: Sizes, ready: impl FnOnce(u16)) -> io::Result<()> {
    let (to_coordinator, at_coordinator) = link().await?;
    let (to_gateway, at_gateway) = link().await?;
    let mut to_sources = Vec::new();
    let mut from_sources = Vec::new();
    for n in 0..sizes.sources.max(1) {
        let (to_source, at_source) = link().await?;
        let (to_aggregator, at_aggregator) = link().await?;
        to_sources.push(to_source);
        from_sources.push((at_aggregator, sizes.share(n)));
        tokio::spawn(source(at_source, to_aggregator, sizes.request, sizes.share(n)));
    }
    tokio::spawn(fan_out(at_coordinator, to_sources));
    tokio::spawn(join(from_sources, to_gateway));
    let (requests, queue) = mpsc::channel(QUEUED);
    tokio::spawn(forward(queue, to_coordinator));
    let (arrived, clients) = mpsc::unbounded_channel();
    tokio::spawn(deliver(at_gateway, clients, sizes.answer));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    ready(listener.local_addr()?.port());
    // The delivering task gets the clients in the order in which they are numbered here.
    for number in 0u64.. {
        let (mut stream, _) = listener.accept().await?;
        greet(&mut stream).await?;
        let (read, write) = stream.into_split();
        if arrived.send(write).is_err() {
            break;
        }
        tokio::spawn(client(read, requests.clone(), sizes.request, number));
    }
    Ok(())
}

/// Two ends of a connection.
async fn link() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let near = TcpStream::connect(listener.local_addr()?).await?;
    let (far, _) = listener.accept().await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    Ok((near, far))
}

/// The handshake of q: a name and a zero byte come, one byte goes.
async fn greet(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    while stream.read_u8().await? != 0 {}
    stream.write_u8(CAPABILITY).await
}

/// GW: the requests of one client, marked with its number.
async fn client(
    read: tokio::net::tcp::OwnedReadHalf,
    requests: mpsc::Sender<Vec<u8>>,
    len: usize,
    number: u64,
) -> io::Result<()> {
    let mut read = BufReader::with_capacity(CHUNK, read);
    loop {
        let mut request = vec![0; len];
        read.read_exact(&mut request).await?;
        request[..MARK].copy_from_slice(&number.to_le_bytes());
        if requests.send(request).await.is_err() {
            return Ok(());
        }
    }
}

/// GW: all requests to the RC, waiting requests in one write.
async fn forward(mut queue: mpsc::Receiver<Vec<u8>>, mut to: TcpStream) -> io::Result<()> {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        to.write_all(&batch.concat()).await?;
        batch.clear();
    }
    Ok(())
}

/// RC: what comes goes to every source.
async fn fan_out(mut from: TcpStream, mut to: Vec<TcpStream>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let n = from.read(&mut chunk).await?;
        if n == 0 {
            return Ok(());
        }
        for to in &mut to {
            to.write_all(&chunk[..n]).await?;
        }
    }
}

/// A source: for each request its share of an answer, with the request's mark.
async fn source(from: TcpStream, mut to: TcpStream, request: usize, share: usize) -> io::Result<()> {
    let mut from = BufReader::with_capacity(CHUNK, from);
    let mut request = vec![0; request];
    let mut answer = vec![0; share];
    loop {
        from.read_exact(&mut request).await?;
        answer[..MARK].copy_from_slice(&request[..MARK]);
        to.write_all(&answer).await?;
    }
}

/// Agg: the shares of the sources, in their order.
async fn join(mut from: Vec<(TcpStream, usize)>, mut to: TcpStream) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    if let [(from, _)] = &mut from[..] {
        loop {
            let n = from.read(&mut chunk).await?;
            if n == 0 {
                return Ok(());
            }
            to.write_all(&chunk[..n]).await?;
        }
    }
    loop {
        for (from, share) in &mut from {
            let mut left = *share;
            while left > 0 {
                let most = left.min(CHUNK);
                let n = from.read(&mut chunk[..most]).await?;
                if n == 0 {
                    return Ok(());
                }
                to.write_all(&chunk[..n]).await?;
                left -= n;
            }
        }
    }
}

/// GW: each answer to its client, the mark replaced by a message header.
async fn deliver(
    from: TcpStream,
    mut arrived: mpsc::UnboundedReceiver<tokio::net::tcp::OwnedWriteHalf>,
    answer: usize,
) -> io::Result<()> {
    let mut from = BufReader::with_capacity(CHUNK, from);
    let mut clients = Vec::new();
    let mut chunk = vec![0; CHUNK];
    let header = qipc::header(MessageType::Response, (answer - MARK) as u64);
    loop {
        let mut left = answer;
        let first = left.min(CHUNK);
        from.read_exact(&mut chunk[..first]).await?;
        let number = u64::from_le_bytes(chunk[..MARK].try_into().unwrap_or_default()) as usize;
        while clients.len() <= number {
            match arrived.recv().await {
                Some(client) => clients.push(client),
                None => return Ok(()),
            }
        }
        chunk[..MARK].copy_from_slice(&header);
        let client = &mut clients[number];
        client.write_all(&chunk[..first]).await?;
        left -= first;
        while left > 0 {
            let most = left.min(CHUNK);
            let n = from.read(&mut chunk[..most]).await?;
            if n == 0 {
                return Ok(());
            }
            client.write_all(&chunk[..n]).await?;
            left -= n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    async fn start(sizes: Sizes) -> u16 {
        let (say, port) = oneshot::channel();
        tokio::spawn(run(sizes, |port| {
            let _ = say.send(port);
        }));
        port.await.unwrap()
    }

    async fn ask(port: u16, sizes: Sizes, times: usize) {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(b"bench\x06\0").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), CAPABILITY);
        for _ in 0..times {
            stream.write_all(&vec![7; sizes.request]).await.unwrap();
            let mut answer = vec![0; sizes.answer];
            stream.read_exact(&mut answer).await.unwrap();
            let header = qipc::header(MessageType::Response, (sizes.answer - MARK) as u64);
            assert_eq!(answer[..MARK], header);
        }
    }

    #[tokio::test]
    async fn each_client_gets_whole_answers() {
        let sizes = Sizes { request: 100, answer: 300, sources: 1 };
        let port = start(sizes).await;
        let clients: Vec<_> = (0..8).map(|_| tokio::spawn(ask(port, sizes, 20))).collect();
        for client in clients {
            client.await.unwrap();
        }
    }

    #[tokio::test]
    async fn shares_of_several_sources_make_one_answer() {
        let sizes = Sizes { request: 64, answer: 3 * CHUNK + 5, sources: 4 };
        assert_eq!((0..4).map(|n| sizes.share(n)).sum::<usize>(), sizes.answer);
        let port = start(sizes).await;
        ask(port, sizes, 3).await;
    }
}
