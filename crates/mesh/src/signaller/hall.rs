//! Who is at which topic, and what is forwarded to whom: the signaller without its sockets.
//!
//! A client is a number, a topic sixteen bytes, a payload something that is handed on and forgotten. Nothing here
//! knows an address; limits that count addresses know blocks of them by a hash ([`crate::limits`]).
//!
//! The rule it guards: whoever does not name a topic learns nothing about it, not even that it exists; and no
//! client can make this table grow beyond its limits. The attack that remains: the signaller itself sees which
//! connections meet and how much they say.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use halo_protocol::signal::{ClientMessage, PeerId, Refusal, ServerMessage, Topic};
use rand::CryptoRng;

use crate::limits::{Block, Bucket, Rates};

/// How much a signaller takes.
#[derive(Debug, Clone, Copy)]
pub struct HallLimits {
    /// Connections at once.
    pub clients: usize,
    /// From one block of addresses.
    pub clients_each_block: usize,
    /// New connections from one block: a second, and at once.
    pub arrivals: (u32, u32),
    /// Topics of one connection.
    pub topics_each_client: usize,
    /// Connections at one topic.
    pub clients_each_topic: usize,
    /// Joins and leaves of one connection: a second, and at once.
    pub moves: (u32, u32),
}

impl Default for HallLimits {
    fn default() -> Self {
        Self {
            clients: 20_000,
            clients_each_block: 512,
            arrivals: (5, 200),
            topics_each_client: 512,
            clients_each_topic: 64,
            moves: (20, 1_000),
        }
    }
}

/// A connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClientId(u64);

/// What is to be sent, to whom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) to: ClientId,
    pub(crate) message: ServerMessage,
}

/// The table.
pub(crate) struct Hall {
    limits: HallLimits,
    next: u64,
    clients: HashMap<ClientId, Client>,
    topics: HashMap<Topic, BTreeMap<PeerId, ClientId>>,
    blocks: HashMap<Block, usize>,
    arrivals: Rates,
}

struct Client {
    block: Block,
    topics: BTreeMap<Topic, PeerId>,
    moves: Bucket,
}

impl Hall {
    pub(crate) fn new(limits: HallLimits) -> Self {
        Self {
            limits,
            next: 0,
            clients: HashMap::new(),
            topics: HashMap::new(),
            blocks: HashMap::new(),
            arrivals: Rates::new(limits.arrivals.0, limits.arrivals.1),
        }
    }

    /// A connection from this block of addresses, unless there are too many.
    pub(crate) fn arrive(&mut self, block: Block, now: Instant) -> Result<ClientId, Refusal> {
        let from_block = self.blocks.get(&block).copied().unwrap_or(0);
        if self.clients.len() >= self.limits.clients
            || from_block >= self.limits.clients_each_block
            || !self.arrivals.take(block, 1, now)
        {
            return Err(Refusal::TooMany);
        }
        let id = ClientId(self.next);
        self.next += 1;
        *self.blocks.entry(block).or_default() += 1;
        let moves = Bucket::full(self.limits.moves.0, self.limits.moves.1, now);
        self.clients.insert(id, Client { block, topics: BTreeMap::new(), moves });
        Ok(id)
    }

    /// A connection ended; its peers are told.
    pub(crate) fn depart(&mut self, id: ClientId) -> Vec<Outgoing> {
        let Some(client) = self.clients.remove(&id) else { return Vec::new() };
        if let Some(count) = self.blocks.get_mut(&client.block) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.blocks.remove(&client.block);
            }
        }
        client.topics.into_iter().flat_map(|(topic, peer)| self.vacate(topic, peer)).collect()
    }

    /// What a client said. Asking for servers is not for this table to answer.
    pub(crate) fn handle(
        &mut self,
        id: ClientId,
        message: ClientMessage,
        now: Instant,
        rng: &mut dyn CryptoRng,
    ) -> Vec<Outgoing> {
        let refuse = |topic, why| {
            vec![Outgoing { to: id, message: ServerMessage::Refused { topic: Some(topic), why } }]
        };
        let Some(client) = self.clients.get_mut(&id) else { return Vec::new() };
        match message {
            ClientMessage::Join { topic } => {
                if !client.moves.take(1, now) || client.topics.len() >= self.limits.topics_each_client {
                    return refuse(topic, Refusal::TooMany);
                }
                self.join(id, topic, rng).unwrap_or_else(|why| refuse(topic, why))
            }
            ClientMessage::Leave { topic } => match client.topics.remove(&topic) {
                Some(peer) => self.vacate(topic, peer),
                None => refuse(topic, Refusal::NotJoined),
            },
            ClientMessage::Send { topic, to, payload } => {
                let Some(from) = client.topics.get(&topic).copied() else {
                    return refuse(topic, Refusal::NotJoined);
                };
                match self.topics.get(&topic).and_then(|peers| peers.get(&to)) {
                    Some(client) => {
                        let message = ServerMessage::Payload { topic, from, payload };
                        vec![Outgoing { to: *client, message }]
                    }
                    None => refuse(topic, Refusal::NoSuchPeer),
                }
            }
            ClientMessage::AskIceServers => Vec::new(),
        }
    }

    /// Forgets the blocks that no limit counts any more.
    pub(crate) fn forget(&mut self, now: Instant) {
        self.arrivals.forget(now);
    }

    /// Connections and topics, for `/metrics`.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.clients.len(), self.topics.len())
    }

    fn join(
        &mut self,
        id: ClientId,
        topic: Topic,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Outgoing>, Refusal> {
        let client = self.clients.get_mut(&id).ok_or(Refusal::NotJoined)?;
        if let Some(you) = client.topics.get(&topic).copied() {
            // Who asks again hears the same: the answer may have been lost on them.
            let others = self.topics.get(&topic).into_iter().flatten().map(|(peer, _)| *peer);
            let peers = others.filter(|peer| *peer != you).collect();
            return Ok(vec![Outgoing { to: id, message: ServerMessage::Joined { topic, you, peers } }]);
        }
        let present = self.topics.entry(topic).or_default();
        if present.len() >= self.limits.clients_each_topic {
            return Err(Refusal::Full);
        }
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let you = PeerId::from_bytes(bytes);
        let told = present
            .values()
            .map(|other| Outgoing { to: *other, message: ServerMessage::PeerJoined { topic, peer: you } });
        let mut outgoing: Vec<Outgoing> = told.collect();
        let peers = present.keys().copied().collect();
        outgoing.push(Outgoing { to: id, message: ServerMessage::Joined { topic, you, peers } });
        present.insert(you, id);
        client.topics.insert(topic, you);
        Ok(outgoing)
    }

    /// Removes a peer from a topic, tells the others, and forgets the topic with its last peer.
    fn vacate(&mut self, topic: Topic, peer: PeerId) -> Vec<Outgoing> {
        let Some(present) = self.topics.get_mut(&topic) else { return Vec::new() };
        present.remove(&peer);
        if present.is_empty() {
            self.topics.remove(&topic);
            return Vec::new();
        }
        let told = present.values();
        told.map(|other| Outgoing { to: *other, message: ServerMessage::PeerLeft { topic, peer } }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::limits::Blocks;

    struct World {
        hall: Hall,
        rng: StdRng,
        now: Instant,
    }

    fn world(limits: HallLimits) -> World {
        World { hall: Hall::new(limits), rng: StdRng::seed_from_u64(1), now: Instant::now() }
    }

    impl World {
        fn arrive(&mut self, address: &str) -> Result<ClientId, Refusal> {
            let block = Blocks::new([0; 16]).of(address.parse().unwrap());
            self.hall.arrive(block, self.now)
        }

        fn say(&mut self, id: ClientId, message: ClientMessage) -> Vec<Outgoing> {
            self.hall.handle(id, message, self.now, &mut self.rng)
        }

        fn join(&mut self, id: ClientId, topic: Topic) -> (PeerId, Vec<PeerId>) {
            let outgoing = self.say(id, ClientMessage::Join { topic });
            match outgoing.into_iter().find(|outgoing| outgoing.to == id).unwrap().message {
                ServerMessage::Joined { you, peers, .. } => (you, peers),
                other => panic!("{other:?} instead of an answer"),
            }
        }
    }

    fn topic(number: u8) -> Topic {
        Topic::from_bytes([number; 16])
    }

    fn refused(topic: Topic, to: ClientId, why: Refusal) -> Vec<Outgoing> {
        vec![Outgoing { to, message: ServerMessage::Refused { topic: Some(topic), why } }]
    }

    #[test]
    fn those_at_a_topic_hear_of_each_other_and_of_each_others_going() {
        let mut world = world(HallLimits::default());
        let (ada, ben) = (world.arrive("192.0.2.1").unwrap(), world.arrive("192.0.2.2").unwrap());
        let (ada_there, before) = world.join(ada, topic(1));
        assert!(before.is_empty());
        let outgoing = world.say(ben, ClientMessage::Join { topic: topic(1) });
        let ServerMessage::Joined { you: ben_there, peers, .. } = &outgoing[1].message else {
            panic!("no answer")
        };
        assert_eq!(peers, &[ada_there]);
        let told = ServerMessage::PeerJoined { topic: topic(1), peer: *ben_there };
        assert_eq!(outgoing[0], Outgoing { to: ada, message: told });
        let left = world.hall.depart(ben);
        assert_eq!(
            left,
            [Outgoing { to: ada, message: ServerMessage::PeerLeft { topic: topic(1), peer: *ben_there } }]
        );
        assert!(world.hall.depart(ada).is_empty());
        assert_eq!(world.hall.counts(), (0, 0), "nothing is remembered");
    }

    // threat: 40
    #[test]
    fn who_is_not_at_a_topic_learns_nothing_about_it() {
        let mut world = world(HallLimits::default());
        let (ada, eve) = (world.arrive("192.0.2.1").unwrap(), world.arrive("198.51.100.1").unwrap());
        let (ada_there, _) = world.join(ada, topic(1));
        let send = ClientMessage::Send { topic: topic(1), to: ada_there, payload: vec![1] };
        assert_eq!(world.say(eve, send), refused(topic(1), eve, Refusal::NotJoined));
        let nowhere = ClientMessage::Send { topic: topic(2), to: ada_there, payload: vec![1] };
        assert_eq!(world.say(eve, nowhere), refused(topic(2), eve, Refusal::NotJoined), "the same answer");
        let leave = ClientMessage::Leave { topic: topic(1) };
        assert_eq!(world.say(eve, leave), refused(topic(1), eve, Refusal::NotJoined));
        let (_, present) = world.join(eve, topic(2));
        assert!(present.is_empty(), "names of one topic are nothing at another");
        let across = ClientMessage::Send { topic: topic(2), to: ada_there, payload: vec![1] };
        assert_eq!(world.say(eve, across), refused(topic(2), eve, Refusal::NoSuchPeer));
    }

    // threat: 40
    #[test]
    fn a_flood_meets_limits_by_block_of_addresses() {
        let limits = HallLimits {
            clients: 5,
            clients_each_block: 2,
            arrivals: (1, 3),
            topics_each_client: 2,
            clients_each_topic: 2,
            moves: (1, 4),
        };
        let mut world = world(limits);
        let first = world.arrive("203.0.113.1").unwrap();
        world.arrive("203.0.113.2").unwrap();
        assert_eq!(world.arrive("203.0.113.3").err(), Some(Refusal::TooMany), "a third of one block");
        let other = world.arrive("198.51.100.1").unwrap();
        world.hall.depart(first);
        assert!(world.arrive("203.0.113.3").is_ok());
        world.arrive("192.0.2.1").unwrap();
        world.arrive("192.0.2.2").unwrap();
        assert_eq!(world.arrive("100.64.0.1").err(), Some(Refusal::TooMany), "a sixth altogether");

        world.join(other, topic(1));
        world.join(other, topic(2));
        let more = world.say(other, ClientMessage::Join { topic: topic(3) });
        assert_eq!(more, refused(topic(3), other, Refusal::TooMany), "a third topic");

        world.hall.depart(other);
        for _ in 0..3 {
            let again = world.arrive("198.51.100.1");
            if let Ok(again) = again {
                world.hall.depart(again);
            }
        }
        assert_eq!(world.arrive("198.51.100.1").err(), Some(Refusal::TooMany), "too often");
        world.now += Duration::from_secs(2);
        assert!(world.arrive("198.51.100.1").is_ok(), "who waits is let in");
    }

    // threat: 40
    #[test]
    fn a_topic_has_an_end_and_so_has_patience_with_joins() {
        let limits = HallLimits { clients_each_topic: 2, moves: (1, 4), ..HallLimits::default() };
        let mut world = world(limits);
        let clients: Vec<ClientId> = (1..=3).map(|_| world.arrive("192.0.2.1").unwrap()).collect();
        world.join(clients[0], topic(1));
        world.join(clients[1], topic(1));
        let full = world.say(clients[2], ClientMessage::Join { topic: topic(1) });
        assert_eq!(full, refused(topic(1), clients[2], Refusal::Full));
        for _ in 0..3 {
            world.say(clients[2], ClientMessage::Join { topic: topic(1) });
        }
        let impatient = world.say(clients[2], ClientMessage::Join { topic: topic(9) });
        assert_eq!(impatient, refused(topic(9), clients[2], Refusal::TooMany));
    }

    #[test]
    fn who_joins_twice_is_there_once() {
        let mut world = world(HallLimits::default());
        let (ada, ben) = (world.arrive("192.0.2.1").unwrap(), world.arrive("192.0.2.2").unwrap());
        let (ada_there, _) = world.join(ada, topic(1));
        let (ben_there, _) = world.join(ben, topic(1));
        assert_eq!(world.join(ada, topic(1)), (ada_there, vec![ben_there]));
        assert_eq!(world.hall.depart(ada).len(), 1);
        assert_eq!(world.hall.counts(), (1, 1));
    }
}
