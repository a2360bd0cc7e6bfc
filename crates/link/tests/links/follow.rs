//! Links to a set of places that changes.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use link::{Followed, Handler, Identity, LinkOptions, Peer, Place, Places, Role, Sender, follow};
use sg::{InstanceId, Msg};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::common::{Recorder, Server, identity, options};

#[derive(Clone, Default)]
struct Set {
    places: Vec<Place>,
    absent_leaves: bool,
}

impl Places for Set {
    fn places(&self) -> impl Iterator<Item = Place> {
        self.places.iter().cloned()
    }
    fn synced(&self) -> bool {
        true
    }
    fn absent_leaves(&self) -> bool {
        self.absent_leaves
    }
}

fn place(key: &str, addr: SocketAddr, ready: bool) -> Place {
    Place { key: key.into(), name: key.into(), addr, ready }
}

struct World {
    sets: watch::Sender<Arc<Set>>,
    seen: Arc<Recorder>,
    followed: Followed,
    _stop: tokio_util::sync::DropGuard,
}

impl World {
    fn of(places: Vec<Place>, absent_leaves: bool, who: Arc<Identity>, opts: LinkOptions) -> World {
        let seen = Recorder::new();
        let (sets, told) = watch::channel(Arc::new(Set { places, absent_leaves }));
        let stop = CancellationToken::new();
        let followed = follow(told, Role::Rc, who, opts, seen.clone(), stop.clone());
        World { sets, seen, followed, _stop: stop.drop_guard() }
    }

    fn say(&self, places: Vec<Place>, absent_leaves: bool) {
        self.sets.send_replace(Arc::new(Set { places, absent_leaves }));
    }
}

fn gw() -> Arc<Identity> {
    identity(Role::Gw, "gw", &[])
}

#[tokio::test]
async fn places_that_come_are_dialled_and_those_that_leave_are_let_go() {
    let (a, b) = (Server::start("a", &[]).await, Server::start("b", &[]).await);
    let world = World::of(vec![place("a", a.addr, true)], true, gw(), options());
    assert_eq!(world.seen.link(0).await.peer().name, "a");
    world.say(vec![place("a", a.addr, true), place("b", b.addr, true)], true);
    assert_eq!(world.seen.link(1).await.peer().name, "b");
    world.say(vec![place("b", b.addr, true)], true);
    assert!(world.seen.lost(0).await.contains("leaving"));
    assert_eq!(world.followed.linked(), 1);
}

#[tokio::test]
async fn a_place_that_is_not_ready_keeps_its_link_and_gets_no_new_one() {
    let a = Server::start("a", &[]).await;
    let world = World::of(vec![place("a", a.addr, false)], true, gw(), options());
    world.followed.tried().await;
    world.say(vec![place("a", a.addr, true)], true);
    let link = world.seen.link(0).await;
    world.say(vec![place("a", a.addr, false)], true);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(link.is_up());
    link.close("the test wants it so");
    world.seen.lost(0).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(world.seen.up.lock().unwrap().len(), 1, "dialled while it was not ready");
    world.say(vec![place("a", a.addr, true)], true);
    world.seen.link(1).await;
}

#[tokio::test]
async fn a_place_that_moves_is_let_go_at_once_and_dialled_where_it_is_when_it_is_ready_there() {
    let (a, b) = (Server::start("a", &[]).await, Server::start("b", &[]).await);
    let world = World::of(vec![place("uid-1", a.addr, true)], true, gw(), options());
    assert_eq!(world.seen.link(0).await.peer().name, "a");
    world.say(vec![place("uid-1", b.addr, false)], true);
    world.seen.lost(0).await;
    assert_eq!(world.seen.up.lock().unwrap().len(), 1, "dialled while it was not ready");
    world.say(vec![place("uid-1", b.addr, true)], true);
    assert_eq!(world.seen.link(1).await.peer().name, "b");
}

#[tokio::test]
async fn an_address_that_is_merely_not_named_keeps_its_link() {
    let a = Server::start("a", &[]).await;
    let world = World::of(vec![place("a", a.addr, true)], false, gw(), options());
    let link = world.seen.link(0).await;
    world.say(vec![], false);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(link.is_up());
}

#[tokio::test]
async fn a_process_made_anew_at_the_same_address_is_dialled_anew() {
    let a = Server::start("a", &[]).await;
    let world = World::of(vec![place("uid-1", a.addr, true)], true, gw(), options());
    world.seen.link(0).await;
    world.say(vec![place("uid-2", a.addr, true)], true);
    world.seen.lost(0).await;
    world.seen.link(1).await;
}

#[tokio::test]
async fn all_tried_is_said_once_each_place_has_answered_or_failed() {
    let a = Server::start("a", &[]).await;
    let gone = Server::start("gone", &[]).await.stop().await;
    let world = World::of(vec![place("a", a.addr, true), place("gone", gone, true)], true, gw(), options());
    world.followed.tried().await;
    assert_eq!(world.followed.linked(), 1);
    let troubles = world.followed.troubles();
    assert!(troubles.len() == 1 && troubles[0].contains("gone"), "{troubles:?}");
}

#[tokio::test]
async fn bad_places_are_named_and_keep_nobody_out() {
    let a = Server::start("a", &[]).await;
    let data = Server::with("127.0.0.1:0".parse().unwrap(), identity(Role::Da, "data", &[]), options()).await;
    let garbage = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let garbage_addr = garbage.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = garbage.accept().await {
            let _ =
                tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let quick = LinkOptions { connect_timeout: Duration::from_millis(300), ..options() };
    let places = vec![
        place("good", a.addr, true),
        place("data", data.addr, true),
        place("garbage", garbage_addr, true),
        place("silent", silent.local_addr().unwrap(), true),
    ];
    let world = World::of(places, true, gw(), quick);
    world.followed.tried().await;
    let troubles = world.followed.troubles();
    assert_eq!(troubles.len(), 3, "{troubles:?}");
    assert!(troubles.iter().any(|t| t.contains("role da where one of role rc")), "{troubles:?}");
    assert_eq!(world.seen.up.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_process_among_its_own_places_is_left_alone() {
    let rc = identity(Role::Rc, "rc", &[]);
    let server = Server::with("127.0.0.1:0".parse().unwrap(), rc.clone(), options()).await;
    let other = Server::start("other", &[]).await;
    let places = vec![place("me", server.addr, true), place("other", other.addr, true)];
    let world = World::of(places, false, rc, options());
    world.followed.tried().await;
    assert_eq!((world.followed.linked(), world.followed.troubles()), (1, vec![]));
    assert!(server.seen.up.lock().unwrap().is_empty());
}

/// Has links to these already.
#[derive(Default)]
struct Having {
    known: Mutex<HashSet<InstanceId>>,
    ups: Mutex<usize>,
}

impl Handler for Having {
    fn up(&self, _: &Sender) {
        *self.ups.lock().unwrap() += 1;
    }
    fn message(&self, _: &Sender, _: Msg) {}
    fn down(&self, _: &Sender, _: &str) {}
    fn wants(&self, peer: &Peer) -> bool {
        !self.has(&peer.instance)
    }
    fn has(&self, instance: &InstanceId) -> bool {
        self.known.lock().unwrap().contains(instance)
    }
}

#[tokio::test]
async fn a_process_that_is_linked_by_its_own_dial_is_not_dialled_until_that_is_gone() {
    let who = identity(Role::Rc, "other", &[]);
    let other = Server::with("127.0.0.1:0".parse().unwrap(), who.clone(), options()).await;
    let having = Arc::new(Having::default());
    having.known.lock().unwrap().insert(who.instance);
    let set = Set { places: vec![place("other", other.addr, true)], absent_leaves: true };
    let (_sets, told) = watch::channel(Arc::new(set));
    let stop = CancellationToken::new();
    let rc = identity(Role::Rc, "rc", &[]);
    let followed = follow(told, Role::Rc, rc, options(), having.clone(), stop.clone());
    followed.tried().await;
    assert_eq!((*having.ups.lock().unwrap(), followed.troubles()), (0, vec![]));
    having.known.lock().unwrap().clear();
    other.seen.link(0).await;
    stop.cancel();
}
