//! The threads that are loaded: each is a room with a task of its own, so that none waits for another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codex_app_server_protocol::{Fault, Method, ThreadStartParams};
use codex_runtime::{ClientName, Invocation};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::asked::Asked;
use crate::house::HouseHandle;
use crate::outbox::Outbox;
use crate::room::{self, RoomInput};
use crate::ticket::{MAX_WAITING, Ticket};

/// Threads that may be loaded at once.
const MAX_THREADS: usize = 100;
/// Turns that may run at once.
pub(crate) const MAX_TURNS: usize = 16;

/// What every room has.
#[derive(Debug, Clone)]
pub(crate) struct RoomGround {
    pub(crate) invocation: Invocation,
    pub(crate) client: Option<ClientName>,
    pub(crate) outbox: Outbox,
    pub(crate) asked: Asked,
    pub(crate) house: HouseHandle,
    /// A permit for each running turn.
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) rooms: Rooms,
    pub(crate) stop: CancellationToken,
}

/// The doors of the rooms, by thread; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rooms {
    doors: Arc<Mutex<HashMap<String, mpsc::Sender<RoomInput>>>>,
    places: Arc<Mutex<usize>>,
    tasks: TaskTracker,
}

/// A place for a thread that is about to be loaded; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Place(Arc<Mutex<usize>>);

impl Drop for Place {
    fn drop(&mut self) {
        *lock(&self.0) -= 1;
    }
}

impl Rooms {
    /// Starts a thread in a room of its own.
    pub(crate) async fn start(
        &self,
        params: ThreadStartParams,
        ticket: Ticket,
        ground: RoomGround,
    ) {
        let Some(place) = self.place() else {
            let text = format!("no more than {MAX_THREADS} threads can be loaded");
            return ticket.refuse(Fault::state(text)).await;
        };
        self.tasks.spawn(room::run(params, ticket, ground, place));
    }

    /// Hands a request to the room of its thread.
    pub(crate) async fn request(&self, thread_id: &str, method: Method, ticket: Ticket) {
        let door = lock(&self.doors).get(thread_id).cloned();
        let Some(door) = door else {
            let fault = Fault::state(format!("thread not found: {thread_id}"));
            return ticket.refuse(fault).await;
        };
        let request = RoomInput::Request(Box::new(method), ticket);
        if let Err(mpsc::error::SendError(RoomInput::Request(_, ticket))) = door.send(request).await
        {
            let fault = Fault::state(format!("thread not found: {thread_id}"));
            ticket.refuse(fault).await;
        }
    }

    /// Lets every room look at the settings anew.
    pub(crate) fn reload(&self) {
        for door in lock(&self.doors).values() {
            // There is room for every request, so a full inbox holds such an order already.
            let _ = door.try_send(RoomInput::Reload);
        }
    }

    /// Opens the door of a room.
    pub(crate) fn open(&self, thread_id: &str) -> mpsc::Receiver<RoomInput> {
        let (door, inbox) = mpsc::channel(MAX_WAITING + 1);
        lock(&self.doors).insert(thread_id.to_owned(), door);
        inbox
    }

    pub(crate) fn close(&self, thread_id: &str) {
        lock(&self.doors).remove(thread_id);
    }

    /// Runs something that ends with a room.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// Returns when all rooms have ended.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn place(&self) -> Option<Place> {
        let mut n_places = lock(&self.places);
        if *n_places == MAX_THREADS {
            return None;
        }
        *n_places += 1;
        Some(Place(self.places.clone()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
