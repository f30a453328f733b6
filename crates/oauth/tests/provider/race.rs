//! Processes that renew one rotating login at once, and die while they do.
//!
//! The server stops at each step of the renewal until the driver lets it go on, so that a kill hits
//! the moment that it is meant for: nothing here waits for time to pass.

mod renewer;

use std::hash::{BuildHasher, Hasher, RandomState};

use codex_oauth::LoginStore;
use renewer::{Renewer, Renews};

use crate::{LONG, World};

const N_ROUNDS: usize = 100;

/// When a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Before anybody was told that the token is refused.
    Before,
    /// Right after: anywhere before the request, or in it.
    Told,
    /// The server has the request.
    Asked,
    /// The server has used the old token up, and its answer is not sent.
    Granted,
    /// The answer is on its way, or being stored.
    Sent,
}

const MOMENTS: [Moment; 5] = [
    Moment::Before,
    Moment::Told,
    Moment::Asked,
    Moment::Granted,
    Moment::Sent,
];

/// A race of some processes, from round to round.
struct Race {
    world: World,
    test: &'static str,
    renews: Renews,
    renewers: Vec<Renewer>,
    /// The answer that all renewers gave last.
    token: String,
}

/// Some number below `end`; std seeds its hashers at random.
fn random(end: usize) -> usize {
    RandomState::new().build_hasher().finish() as usize % end
}

impl Race {
    /// Logs in and starts the processes; `None` without the parts, or as one of the processes.
    async fn start(n_renewers: usize, test: &'static str, renews: Renews) -> Option<Self> {
        if renewer::is_one().await {
            return None;
        }
        let mut world = World::start()?;
        let tokens = world.log_in().await;
        world.save(&tokens).await;
        world.provider.tell("steps");
        let mut race = Self {
            world,
            test,
            renews,
            renewers: Vec::new(),
            token: format!("token {}", tokens.login.access_token.expose()),
        };
        for _ in 0..n_renewers {
            let renewer = race.replacement();
            race.renewers.push(renewer);
        }
        Some(race)
    }

    /// Starts a process and sees that it finds the login.
    fn replacement(&self) -> Renewer {
        let (renewer, found) = Renewer::start(&self.world, self.test, self.renews);
        assert_eq!(found, self.token);
        renewer
    }

    /// One renewal by all, with a kill. Every survivor, the store and the server must agree.
    async fn round(&mut self, kill: Option<(Moment, usize)>) {
        let mut victim = kill.map(|(_, victim)| victim);
        let is_now = |moment| kill.is_some_and(|(chosen, _)| chosen == moment);
        if is_now(Moment::Before) {
            self.replace(&mut victim);
        }
        self.renewers.iter_mut().for_each(Renewer::go);
        if is_now(Moment::Told) {
            // Nothing is granted yet: who comes in its place finds the old token too.
            let index = self.replace(&mut victim);
            self.renewers[index].go();
        }
        for (step, moment) in [("asked", Moment::Asked), ("granted", Moment::Granted)] {
            assert_eq!(self.world.provider.wait_for("step "), step, "{kill:?}");
            if is_now(moment) {
                self.renewers[victim.unwrap_or_default()].kill();
            }
            self.world.provider.tell("go");
        }
        if is_now(Moment::Sent) {
            self.renewers[victim.unwrap_or_default()].kill();
        }
        self.agree(kill, victim).await;
    }

    /// Kills the victim and starts another one in its place; there is no victim then.
    fn replace(&mut self, victim: &mut Option<usize>) -> usize {
        let index = victim.take().unwrap_or_default();
        self.renewers[index].kill();
        self.renewers[index] = self.replacement();
        index
    }

    async fn agree(&mut self, kill: Option<(Moment, usize)>, victim: Option<usize>) {
        let stored = self.stored().await;
        assert_ne!(stored, self.token, "{kill:?}: nothing was stored");
        for (index, renewer) in self.renewers.iter_mut().enumerate() {
            if Some(index) != victim {
                assert_eq!(renewer.answer(), stored, "{kill:?}");
            }
        }
        self.token = stored;
        if let Some(index) = victim {
            self.renewers[index] = self.replacement();
        }
    }

    /// Reads the store when nobody renews any more, and shows the token to the server.
    async fn stored(&self) -> String {
        let store: LoginStore = self.world.store();
        let _lock = store.lock(&self.world.key, LONG).await.unwrap();
        let tokens = store.load(&self.world.key).await.unwrap().unwrap();
        assert!(self.world.is_taken(&tokens).await);
        format!("token {}", tokens.login.access_token.expose())
    }

    async fn rounds_with_kills(&mut self) {
        for _ in 0..N_ROUNDS {
            let victim = random(self.renewers.len());
            self.round(Some((MOMENTS[random(MOMENTS.len())], victim)))
                .await;
        }
        // The last login works too.
        self.round(None).await;
    }
}

#[tokio::test]
async fn eight_processes_renew_one_rotating_login_a_hundred_times() {
    let test = "race::eight_processes_renew_one_rotating_login_a_hundred_times";
    let Some(mut race) = Race::start(8, test, Renews::ThroughADeputy).await else {
        return;
    };
    for _ in 0..N_ROUNDS {
        race.round(None).await;
    }
}

#[tokio::test]
async fn a_kill_of_one_of_eight_in_each_round_loses_nothing() {
    let test = "race::a_kill_of_one_of_eight_in_each_round_loses_nothing";
    if let Some(mut race) = Race::start(8, test, Renews::ThroughADeputy).await {
        race.rounds_with_kills().await;
    }
}

#[tokio::test]
async fn a_kill_of_one_of_two_in_each_round_loses_nothing() {
    let test = "race::a_kill_of_one_of_two_in_each_round_loses_nothing";
    if let Some(mut race) = Race::start(2, test, Renews::ThroughADeputy).await {
        race.rounds_with_kills().await;
    }
}

#[tokio::test]
async fn a_kill_of_the_only_one_at_each_moment_loses_nothing() {
    let test = "race::a_kill_of_the_only_one_at_each_moment_loses_nothing";
    let Some(mut race) = Race::start(1, test, Renews::ThroughADeputy).await else {
        return;
    };
    for moment in MOMENTS.into_iter().cycle().take(10 * MOMENTS.len()) {
        race.round(Some((moment, 0))).await;
    }
    race.round(None).await;
}

/// What the deputy is for, and that these tests can fail: no order of writes in one process helps.
#[tokio::test]
async fn without_a_deputy_a_kill_between_answer_and_store_loses_the_login() {
    let test = "race::without_a_deputy_a_kill_between_answer_and_store_loses_the_login";
    let Some(mut race) = Race::start(1, test, Renews::ByItself).await else {
        return;
    };
    race.round(None).await;
    race.renewers[0].go();
    for step in ["asked", "granted"] {
        assert_eq!(race.world.provider.wait_for("step "), step);
        if step == "granted" {
            race.renewers[0].kill();
        }
        race.world.provider.tell("go");
    }
    race.renewers[0] = race.replacement();
    race.renewers[0].go();
    for step in ["asked", "granted"] {
        assert_eq!(race.world.provider.wait_for("step "), step);
        race.world.provider.tell("go");
    }
    let answer = race.renewers[0].answer();
    assert!(answer.starts_with("lost Login"), "{answer}");
}
