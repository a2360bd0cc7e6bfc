//! A TCP proxy that does to a connection what bad networks do: delay, throttle, cut in the middle of a message,
//! reset, fall silent.
//!
//! Plain threads, so that it works beside any reactor. What it does can change while connections are open; each
//! piece that passes is treated as the fault of that moment says.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What happens to bytes and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Bytes pass.
    #[default]
    None,
    /// Bytes pass after this time.
    Delay(Duration),
    /// At most so many bytes a second pass, each way.
    Throttle(u64),
    /// Nothing passes and nothing is closed: a peer that is gone without a word. New connections are taken.
    Silence,
    /// Each connection is closed after so many more bytes, wherever in a message that is.
    CutAfter(u64),
    /// Connections are reset (RST) at once, new ones too.
    Reset,
    /// The first direction passes, answers do not: half a connection.
    HalfOpen,
}

#[derive(Default)]
struct State {
    fault: Fault,
    /// number of changes, so that bytes count from the begin of a cut
    turn: u64,
}

struct Shared {
    to: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
    stopped: AtomicBool,
    connections: AtomicU64,
    passed: AtomicU64,
}

/// A running proxy. Dropping it ends it and its connections.
pub struct FaultProxy {
    shared: Arc<Shared>,
    addr: SocketAddr,
}

impl FaultProxy {
    /// A proxy on a free port of loopback that leads to `to`.
    pub fn to(to: SocketAddr) -> io::Result<FaultProxy> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            to,
            state: Mutex::default(),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            passed: AtomicU64::new(0),
        });
        let of = Arc::clone(&shared);
        thread::spawn(move || {
            for near in listener.incoming() {
                if of.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(near) = near else { continue };
                of.connections.fetch_add(1, Ordering::SeqCst);
                let of = Arc::clone(&of);
                // A connection that breaks is what this is for.
                thread::spawn(move || _ = carry(&of, near));
            }
        });
        Ok(FaultProxy { shared, addr })
    }

    /// Where to connect instead.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What happens from now on, to open connections too.
    pub fn set(&self, fault: Fault) {
        let mut state = self.shared.state();
        state.fault = fault;
        state.turn += 1;
        self.shared.changed.notify_all();
    }

    /// Connections taken so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Bytes that passed so far, both ways.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.set(Fault::Reset);
        // Wakes the accepting thread.
        let _ = TcpStream::connect_timeout(&self.addr, Duration::from_millis(200));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes before they are written: whoever reads them then finds them counted.
    fn count(&self, bytes: usize) {
        self.passed.fetch_add(bytes as u64, Ordering::SeqCst);
    }
}

fn carry(shared: &Arc<Shared>, near: TcpStream) -> io::Result<()> {
    if shared.state().fault == Fault::Reset {
        return reset(&near);
    }
    let broken = Arc::new(AtomicBool::new(false));
    let far = TcpStream::connect_timeout(&shared.to, Duration::from_secs(5))?;
    for (from, to, back) in [(&near, &far, false), (&far, &near, true)] {
        from.set_nodelay(true)?;
        let (from, to, of) = (from.try_clone()?, to.try_clone()?, Arc::clone(shared));
        let broken = Arc::clone(&broken);
        thread::spawn(move || {
            // However it ends, both ends of the connection end: by a reset where it is to be one, which a word
            // of farewell would precede.
            let _ = pass(&of, &from, &to, back, &broken);
            if broken.load(Ordering::SeqCst) {
                return;
            }
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

/// Passes bytes one way until the connection ends.
fn pass(
    shared: &Shared,
    mut from: &TcpStream,
    mut to: &TcpStream,
    back: bool,
    broken: &AtomicBool,
) -> io::Result<()> {
    const PIECE: usize = 16 << 10;
    // A thread that waits for bytes still notices a reset.
    from.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut buffer = vec![0; PIECE];
    let (mut turn, mut since_turn) = (0, 0_u64);
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => 0,
            Err(e) => return Err(e),
        };
        let mut left = &buffer[..read];
        loop {
            let (fault, now) = {
                let state = shared.state();
                (state.fault, state.turn)
            };
            if broken.load(Ordering::SeqCst) {
                return Ok(());
            }
            if now != turn {
                (turn, since_turn) = (now, 0);
            }
            match fault {
                Fault::None => {}
                Fault::Delay(time) if !left.is_empty() => thread::sleep(time),
                Fault::Throttle(rate) if !left.is_empty() => {
                    let n = left.len().min((rate / 50).max(1) as usize);
                    thread::sleep(Duration::from_secs_f64(n as f64 / rate.max(1) as f64));
                    shared.count(n);
                    to.write_all(&left[..n])?;
                    left = &left[n..];
                    if left.is_empty() {
                        break;
                    }
                    continue;
                }
                Fault::Silence => {
                    hold(shared, now);
                    continue;
                }
                Fault::HalfOpen if back => {
                    hold(shared, now);
                    continue;
                }
                Fault::CutAfter(bytes) => {
                    let n = left.len().min(bytes.saturating_sub(since_turn) as usize);
                    to.write_all(&left[..n])?;
                    since_turn += n as u64;
                    if since_turn >= bytes {
                        return Ok(());
                    }
                    break;
                }
                Fault::Reset => {
                    broken.store(true, Ordering::SeqCst);
                    reset(from)?;
                    return reset(to);
                }
                Fault::Delay(_) | Fault::Throttle(_) | Fault::HalfOpen => {}
            }
            shared.count(left.len());
            to.write_all(left)?;
            break;
        }
    }
}

/// Waits until the fault is another one.
fn hold(shared: &Shared, turn: u64) {
    let until = Instant::now() + Duration::from_secs(600);
    let mut state = shared.state();
    while state.turn == turn && Instant::now() < until {
        let waited = shared.changed.wait_timeout(state, Duration::from_secs(1));
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Makes the end of a connection a reset (RST): with no time to linger, closing drops what is under way. It is
/// closed when the last handle of it is dropped.
fn reset(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that echoes, and a client of it by way of a proxy.
    fn echo() -> (FaultProxy, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = FaultProxy::to(listener.local_addr().unwrap()).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut out = stream.try_clone().unwrap();
                    let _ = io::copy(&mut &stream, &mut out);
                });
            }
        });
        let client = TcpStream::connect(proxy.addr()).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        (proxy, client)
    }

    fn ask(client: &mut TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
        client.write_all(text)?;
        let mut back = vec![0; text.len()];
        client.read_exact(&mut back)?;
        Ok(back)
    }

    #[test]
    fn bytes_pass_and_are_delayed_and_throttled() {
        let (proxy, mut client) = echo();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(ask(&mut client, b"hello").unwrap(), b"hello");
        proxy.set(Fault::Delay(Duration::from_millis(50)));
        let since = Instant::now();
        assert_eq!(ask(&mut client, b"hello").unwrap(), b"hello");
        assert!(since.elapsed() >= Duration::from_millis(100), "{:?}", since.elapsed());
        proxy.set(Fault::Throttle(10_000));
        let since = Instant::now();
        assert_eq!(ask(&mut client, &[7; 2_000]).unwrap().len(), 2_000);
        assert!(since.elapsed() >= Duration::from_millis(200), "{:?}", since.elapsed());
        assert_eq!((proxy.connections(), proxy.passed()), (1, 2 * (5 + 5 + 2_000)));
    }

    #[test]
    fn silence_and_half_a_connection_close_nothing_and_end() {
        for fault in [Fault::Silence, Fault::HalfOpen] {
            let (proxy, mut client) = echo();
            assert_eq!(ask(&mut client, b"hello").unwrap(), b"hello");
            proxy.set(fault);
            let error = ask(&mut client, b"hello").unwrap_err();
            assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
            proxy.set(Fault::None);
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut back = [0; 5];
            client.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"hello");
        }
    }

    #[test]
    fn a_cut_is_in_the_middle_and_a_reset_at_once() {
        let (proxy, mut client) = echo();
        assert_eq!(ask(&mut client, b"hello").unwrap(), b"hello");
        proxy.set(Fault::CutAfter(3));
        assert!(ask(&mut client, b"hello").is_err());
        proxy.set(Fault::None);
        let mut client = TcpStream::connect(proxy.addr()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(ask(&mut client, b"hello").unwrap(), b"hello");
        proxy.set(Fault::Reset);
        // The server's end and the client's are both broken, not closed: what was written is not answered.
        let error = ask(&mut client, b"hello").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
        // And so is one that comes now: at its first word at the latest.
        let error = TcpStream::connect(proxy.addr())
            .and_then(|mut client| {
                client.set_read_timeout(Some(Duration::from_secs(20)))?;
                ask(&mut client, b"hello")
            })
            .unwrap_err();
        let reset = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        assert!(reset.contains(&error.kind()), "{error}");
    }
}
