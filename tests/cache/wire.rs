//! A road to a server that counts what goes over it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Wire {
    pub(crate) port: u16,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicU64,
}

/// What went over it since the last look, without the headers of TCP and IP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) connections: u64,
}

impl Wire {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        std::thread::spawn(move || {
            for here in listener.incoming().flatten() {
                counted.connections.fetch_add(1, Ordering::SeqCst);
                let there = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let (from, to) = (here.try_clone().unwrap(), there.try_clone().unwrap());
                let counts = Arc::clone(&counted);
                std::thread::spawn(move || carry(from, to, &counts.up));
                let counts = Arc::clone(&counted);
                std::thread::spawn(move || carry(there, here, &counts.down));
            }
        });
        Self { port: own, counts }
    }

    pub(crate) fn count(&self) -> Counted {
        let taken = |count: &AtomicU64| count.swap(0, Ordering::SeqCst);
        let Counts { up, down, connections } = &*self.counts;
        Counted { up: taken(up), down: taken(down), connections: taken(connections) }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, counted: &AtomicU64) {
    let mut piece = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        counted.fetch_add(length as u64, Ordering::SeqCst);
        if to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
