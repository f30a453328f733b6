//! Gives each line to whom it belongs.
//!
//! Nothing is worked on here: a request that waits for a peer never keeps the next line.

use codex_app_server_protocol::{
    Fault, Incoming, InitializeParams, InitializeResponse, Known, Method,
};
use codex_runtime::ClientName;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::input::Line;
use crate::outbox::Outbox;
use crate::rooms::RoomGround;
use crate::ticket::{Ticket, TicketOffice};

/// The version of the protocol whose methods these are; clients compare it with what they need.
const WIRE_VERSION: &str = "0.169.0";

/// The state of the conversation with the client.
#[derive(Debug)]
pub(crate) struct Router {
    outbox: Outbox,
    tickets: TicketOffice,
    ground: RoomGround,
    is_initialized: bool,
}

impl Router {
    pub(crate) fn new(ground: RoomGround) -> Self {
        Self {
            tickets: TicketOffice::new(ground.outbox.clone()),
            outbox: ground.outbox.clone(),
            ground,
            is_initialized: false,
        }
    }

    /// Routes until the lines end.
    pub(crate) async fn run(&mut self, mut lines: mpsc::Receiver<Line>) {
        while let Some(line) = lines.recv().await {
            match line {
                Line::TooLong => self.outbox.refuse_line(Fault::invalid_request()).await,
                Line::Whole(bytes) => {
                    let (incoming, n_bytes) = (Incoming::read(&bytes), bytes.len());
                    drop(bytes);
                    match incoming {
                        Ok(incoming) => self.on_message(incoming, n_bytes).await,
                        Err(fault) => self.outbox.refuse_line(fault).await,
                    }
                }
            }
        }
    }

    /// Returns when every request is answered.
    pub(crate) async fn settled(&self) {
        self.tickets.settled().await;
    }

    async fn on_message(&mut self, incoming: Incoming, n_bytes: usize) {
        match incoming {
            Incoming::Request { id, method, params } => {
                if let Some(ticket) = self.tickets.ticket(id, n_bytes).await {
                    self.on_request(ticket, &method, params).await;
                }
            }
            Incoming::Response { id, result } => self.ground.asked.answered(&id, result),
            // `initialized` needs no deed, and what nobody knows is none of our business.
            Incoming::Notification { .. } => {}
        }
    }

    async fn on_request(&mut self, ticket: Ticket, method: &str, params: Value) {
        if !self.is_initialized && method != "initialize" {
            return ticket.refuse(Fault::not_initialized()).await;
        }
        match Method::read(method, params) {
            None => ticket.refuse(not_there(method)).await,
            Some(Err(fault)) => ticket.refuse(fault).await,
            Some(Ok(Method::Initialize(params))) => self.initialize(ticket, params).await,
            Some(Ok(method)) => self.hand_over(method, ticket).await,
        }
    }

    /// Gives a request to the task that owns what it is about.
    async fn hand_over(&self, method: Method, ticket: Ticket) {
        let rooms = &self.ground.rooms;
        let thread = match &method {
            Method::ThreadStart(params) => {
                let params = (**params).clone();
                return rooms.start(params, ticket, self.ground.clone()).await;
            }
            Method::TurnStart(params) => Some(params.thread_id.clone()),
            Method::TurnInterrupt(params) => Some(params.thread_id.clone()),
            Method::McpServerStatusList(params) => params.thread_id.clone(),
            _ => None,
        };
        match thread {
            Some(thread) => rooms.request(&thread, method, ticket).await,
            None => self.ground.house.request(method, ticket).await,
        }
    }

    async fn initialize(&mut self, ticket: Ticket, params: InitializeParams) {
        if self.is_initialized {
            return ticket.refuse(Fault::already_initialized()).await;
        }
        self.is_initialized = true;
        let capabilities = params.capabilities.unwrap_or_default();
        let unwanted = capabilities.opt_out_notification_methods;
        self.outbox.leave_out(unwanted.unwrap_or_default());
        let client = ClientName {
            name: params.client_info.name,
            version: params.client_info.version,
        };
        let house = self.ground.house.clone();
        let ground = house.ground();
        let answer = InitializeResponse {
            user_agent: codex_runtime::user_agent_behind(&client, WIRE_VERSION, &ground.env),
            codex_home: ground.home.clone(),
            platform_family: std::env::consts::FAMILY,
            platform_os: std::env::consts::OS,
        };
        self.ground.client = Some(client);
        ticket.answer(&answer).await;
        house.greet().await;
    }
}

/// Says why a method is not served, and which one was probably meant.
fn not_there(method: &str) -> Fault {
    match Known::of(method) {
        Some(Known::NotBuilt | Known::Built) => Fault::method_not_supported(method),
        Some(Known::Earlier(now)) => {
            Fault::method_not_found(method, Some(&format!("it is `{now}` now")))
        }
        None => {
            let near = codex_utils_fuzzy_match::nearest(method, Known::all());
            let near = near.map(|near| format!("did you mean `{near}`?"));
            Fault::method_not_found(method, near.as_deref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_is_not_served_is_told_from_a_slip() {
        let message = |method: &str| not_there(method).message;
        assert_eq!(message("turn/steer"), "method not supported: `turn/steer`");
        assert_eq!(
            message("config/raed"),
            "method not found: `config/raed`; did you mean `config/read`?"
        );
        assert_eq!(
            message("newConversation"),
            "method not found: `newConversation`; it is `thread/start` now"
        );
        assert_eq!(message("x/y"), "method not found: `x/y`");
        assert_eq!(message("a\nb"), "method not found: `a b`");
    }
}
