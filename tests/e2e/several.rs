//! Two and three servers on one database: they append and follow at once, and the loss of one loses nothing.

use std::time::Instant;

use daybook_tests::{Client, Event, Follower, Frame, Neighbour, Studio};
use futures::future::{join, join_all};
use serde_json::{Value, json};
use sqlx::Row;

use crate::proof::{self, count};
use crate::story::{self, Begun, START};

/// How often a request reaches two servers at once.
const RACES: usize = 30;

/// Several servers, in the order in which they began.
struct Servers {
    studio: Studio,
    neighbours: Vec<Neighbour>,
}

impl Servers {
    async fn open(number: usize) -> Self {
        let studio = Studio::open().await;
        let mut neighbours = vec![];
        for _ in 1..number {
            neighbours.push(studio.neighbour().await);
        }
        Self { studio, neighbours }
    }

    fn clients(&self) -> Vec<&Client> {
        std::iter::once(&self.studio.client).chain(self.neighbours.iter().map(|one| &one.client)).collect()
    }

    fn process(&self, server: usize) -> u32 {
        server.checked_sub(1).map_or_else(|| self.studio.process(), |nth| self.neighbours[nth].process())
    }

    async fn signal(&self, server: usize, name: &str) {
        let process = self.process(server).to_string();
        let sent = tokio::process::Command::new("kill").args([name, &process]).status().await.unwrap();
        assert!(sent.success(), "kill {name} {process}");
    }

    /// The server whose worker this is: their ids go up in the order in which they began.
    async fn server_of(&self, worker: &Value) -> usize {
        let rows = sqlx::query("SELECT worker_id::text AS id FROM workers ORDER BY worker_id");
        let rows = rows.fetch_all(&self.studio.database.pool).await.unwrap();
        let worker = worker.as_str().expect("whoever takes work says who it is");
        rows.iter().position(|row| worker.ends_with(&row.get::<String, _>("id"))).expect("it is registered")
    }
}

#[tokio::test]
async fn three_servers_append_and_follow_at_once() {
    let servers = Servers::open(3).await;
    let clients = servers.clients();
    // Each begins a session, and every server follows every one of them.
    let begun = join_all(clients.iter().map(|client| story::begin_trusted(client, "demo"))).await;
    let pairs = begun.iter().flat_map(|begun| clients.iter().map(move |client| (begun, client)));
    let following = pairs.map(async |(begun, client)| {
        let mut follower = Follower::open(client, &begun.session, None).await;
        follower.until_event("run.completed").await;
        (begun, follower)
    });
    for (begun, follower) in join_all(following).await {
        let positions: Vec<&str> = follower.events.iter().map(|event| event.position.as_str()).collect();
        let all = proof::session_positions(&servers.studio, &begun.session).await;
        assert_eq!(positions, all, "every server shows the whole session, in order");
    }
    proof::holds(&servers.studio).await;
}

#[tokio::test]
async fn a_request_that_reaches_two_servers_at_once_has_one_effect_and_two_equal_answers() {
    let servers = Servers::open(2).await;
    let clients = servers.clients();
    let mut begun = vec![];
    for race in 0..RACES {
        let input = json!({ "input": { "requestId": story::request_id(), "text": format!("hello {race}") } });
        let (one, other) = join(clients[0].ask(START, input.clone()), clients[1].ask(START, input)).await;
        assert_eq!(one, other, "race {race}");
        begun.push(Begun::of(&one["sessionStart"]));
    }
    let log = proof::log(&servers.studio).await;
    assert_eq!((count(&log, "session.started"), count(&log, "run.requested")), (RACES, RACES));
    for (race, begun) in begun.iter().enumerate() {
        let mut follower = Follower::open(clients[race % 2], &begun.session, None).await;
        follower.until_event("run.completed").await;
        assert_eq!(follower.of_kind("message.received").len(), 1);
    }
    proof::holds(&servers.studio).await;
}

#[tokio::test]
async fn a_server_that_dies_leaves_its_work_to_the_others_and_so_does_the_next() {
    let mut servers = Servers::open(3).await;
    let begun = story::begin_trusted(&servers.studio.client, "demo").await;
    let mut living = vec![0, 1, 2];
    let mut seen = vec![];
    while living.len() > 1 {
        let mut follower = caught_up(servers.clients()[living[0]], &begun).await;
        let taken = newest(&mut follower, seen.len(), &TAKEN).await;
        let dying = servers.server_of(&taken.payload["worker_id"]).await;
        servers.signal(dying, "-KILL").await;
        let began = Instant::now();
        proof::begins_with(&seen, &follower.events);
        seen = follower.events;
        living.retain(|server| *server != dying);
        let mut survivor = caught_up(servers.clients()[living[0]], &begun).await;
        newest(&mut survivor, seen.len(), &FREED).await;
        let freed = survivor.events.len();
        println!("its work was free after {:.1} s", began.elapsed().as_secs_f64());
        newest(&mut survivor, freed, &TAKEN).await;
        println!("another went on with it after {:.1} s", began.elapsed().as_secs_f64());
        proof::begins_with(&seen, &survivor.events);
        // The next one dies with what it has taken since.
        seen = survivor.events[..freed].to_vec();
    }
    let last = servers.clients()[living[0]].clone();
    let mut follower = Follower::open(&last, &begun.session, None).await;
    follower.until_event("run.completed").await;
    proof::begins_with(&seen, &follower.events);
    servers.studio.client = last;
    proof::holds(&servers.studio).await;
}

#[tokio::test]
async fn a_server_that_stood_still_and_wakes_up_finds_its_work_taken_and_does_nothing_twice() {
    let mut servers = Servers::open(2).await;
    let begun = story::begin_trusted(&servers.studio.client, "demo").await;
    let mut follower = caught_up(&servers.studio.client, &begun).await;
    let taken = newest(&mut follower, 0, &TAKEN).await;
    let standing = servers.server_of(&taken.payload["worker_id"]).await;
    servers.signal(standing, "-STOP").await;
    let (sleeper, other) = (servers.clients()[standing].clone(), servers.clients()[1 - standing].clone());
    let seen = follower.events;
    let mut follower = caught_up(&other, &begun).await;
    newest(&mut follower, seen.len(), &FREED).await;
    let freed = follower.events.len();
    newest(&mut follower, freed, &TAKEN).await;
    // It still holds what it had taken: the answer of its model, its caches, the head as it was.
    servers.signal(standing, "-CONT").await;
    follower.until_event("run.completed").await;
    proof::begins_with(&seen, &follower.events);
    // And it is a server like any other again.
    let later = story::begin_trusted(&sleeper, "hello").await;
    let mut follower = Follower::open(&sleeper, &later.session, None).await;
    follower.until_event("run.completed").await;
    servers.studio.client = sleeper;
    proof::holds(&servers.studio).await;
}

/// What says that a worker has taken something, and that what a worker had taken is free.
const TAKEN: [&str; 2] = ["step.started", "tool_call.started"];
const FREED: [&str; 2] = ["step.interrupted", "tool_call.orphaned"];

/// A follower that has seen all of the past.
async fn caught_up(client: &Client, begun: &Begun) -> Follower {
    let mut follower = Follower::open(client, &begun.session, None).await;
    follower.until_caught_up().await;
    follower
}

/// The newest event of these kinds after the first so many events, once there is one.
async fn newest(follower: &mut Follower, after: usize, kinds: &[&str]) -> Event {
    loop {
        let found = follower.events.iter().skip(after).rfind(|event| kinds.contains(&event.kind.as_str()));
        if let Some(found) = found {
            return found.clone();
        }
        follower.until(|frame| matches!(frame, Frame::Events(_))).await;
    }
}
