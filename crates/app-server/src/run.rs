//! From the start of the process to its end, in order.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use codex_process::{Output, Signals};
use codex_runtime::{Invocation, LoadError, Loaded};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::asked::Asked;
use crate::house::House;
use crate::input;
use crate::outbox::Outbox;
use crate::rooms::{MAX_TURNS, RoomGround, Rooms};
use crate::router::Router;

/// How long requests may take whose client has closed stdin.
const ANSWERS_LIMIT: Duration = Duration::from_millis(400);
/// From then, or from a signal, to the end of the process: together a little under the two seconds
/// that clients are promised.
const END_LIMIT: Duration = Duration::from_millis(1400);

/// Why there is no server.
#[derive(Debug)]
pub enum AppServerError {
    /// There are no settings.
    Load(LoadError),
    /// The process has not what it needs.
    Start(io::Error),
    /// stdout cannot be written, such as a file on a full disk.
    Output(String),
}

/// Serves until stdin ends, a signal comes or nobody reads stdout any more.
pub fn run(invocation: Invocation) -> Result<(), AppServerError> {
    let loaded = invocation.clone().load().map_err(AppServerError::Load)?;
    // One thread: everything here waits for peers; what blocks has a thread of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(AppServerError::Start)?;
    let end = runtime.block_on(serve(invocation, loaded));
    // A blocked helper thread must not keep the process.
    runtime.shutdown_background();
    end
}

async fn serve(invocation: Invocation, loaded: Loaded) -> Result<(), AppServerError> {
    let mut signals = Signals::install().map_err(AppServerError::Start)?;
    let lines = input::start().map_err(AppServerError::Start)?;
    let outbox = Outbox::new(Output::start(), loaded.clock);
    let stop = CancellationToken::new();
    let rooms = Rooms::default();
    let (house, requests) = House::new(invocation.clone(), loaded, outbox.clone(), rooms.clone());
    let mut router = Router::new(RoomGround {
        invocation,
        client: None,
        asked: Asked::new(outbox.clone()),
        outbox: outbox.clone(),
        house,
        turns: Arc::new(Semaphore::new(MAX_TURNS)),
        rooms: rooms.clone(),
        stop: stop.clone(),
    });
    let house = requests.run(stop.clone());
    let mut house = std::pin::pin!(house);
    let work = async {
        router.run(lines).await;
        // What was asked before the end of stdin is answered when that is soon.
        let _ = tokio::time::timeout(ANSWERS_LIMIT, router.settled()).await;
    };
    tokio::select! {
        () = work => {}
        _ = signals.next() => {}
        () = outbox.lost() => {}
        () = &mut house => {}
    }
    stop.cancel();
    let _ = tokio::time::timeout(END_LIMIT, async {
        tokio::join!(house, rooms.ended());
        outbox.flushed().await;
    })
    .await;
    match outbox.fault() {
        Some(fault) => Err(AppServerError::Output(fault)),
        None => Ok(()),
    }
}
