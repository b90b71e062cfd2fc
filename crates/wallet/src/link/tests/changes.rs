//! What other devices changed, taken in by one that was off.

use halo_echo::{DocumentId, LARGEST_CHUNK};
use serde_json::{Map, Value};

use super::stolen::{kept, lengths, read};
use super::*;

fn titled(title: &str) -> Map<String, Value> {
    json!({ "title": title }).as_object().unwrap().clone()
}

fn task(id: Option<String>, data: Map<String, Value>) -> PutItem {
    PutItem { id, r#type: Some("example.org/type/Task".into()), data, ..PutItem::default() }
}

/// A phone that was off while a laptop gave an item one thing after the other, and what it is to take in of that.
struct Off {
    _computers: [Computer; 2],
    _laptop: Wallet,
    phone: Wallet,
    home: SpaceId,
    document: DocumentId,
    changes: Vec<Vec<u8>>,
}

impl Off {
    async fn during(written: Vec<Map<String, Value>>) -> Self {
        let computers = [Computer::new(), Computer::new()];
        let (home, milk) = {
            let meeting = Meeting::begin().await;
            let (laptop, phone) = (computers[0].on().await, computers[1].on().await);
            for wallet in [&laptop, &phone] {
                meeting.tell(wallet).await;
            }
            identity(&laptop).await;
            let home: SpaceId = laptop.add_space("Home".into()).await.unwrap().id.parse().unwrap();
            let milk = laptop.put_item(&By::Owner, home, task(None, titled("Milk"))).await.unwrap().id;
            link(&laptop, &phone).await;
            until(&phone, "the milk", async |phone| titles(phone, home).await == ["Milk"]).await;
            for wallet in [laptop, phone] {
                wallet.close().await;
            }
            (home, milk)
        };
        let (laptop, phone) = (computers[0].on().await, computers[1].on().await);

        let before = lengths(&laptop, home).await;
        let many = written.len();
        for data in written {
            laptop.put_item(&By::Owner, home, task(Some(milk.clone()), data)).await.unwrap();
        }
        let runs = kept(&laptop, home, &before).await;
        let said: Vec<_> =
            read(&laptop, home, &runs).await.into_iter().flat_map(|said| said.changes).collect();
        let document = DocumentId::from_bytes(&said[0].document).unwrap();
        let changes: Vec<Vec<u8>> = said.into_iter().map(|change| change.bytes).collect();
        assert_eq!(changes.len(), many);
        Self { _computers: computers, _laptop: laptop, phone, home, document, changes }
    }

    async fn take(&self, changes: Vec<Vec<u8>>) -> Vec<u8> {
        let (home, document) = (self.home, self.document);
        inside(&self.phone, move |open| open.take_changes(home, document, &changes)).await.unwrap()
    }
}

#[tokio::test]
async fn a_change_that_is_none_holds_up_no_other() {
    let off = Off::during(["Oat milk", "Soy milk", "Rice milk"].map(titled).to_vec()).await;
    // One that is nothing, and one that Automerge would pass over, with all that is behind it.
    let mut altered = off.changes[0].clone();
    altered[4] ^= 1;
    let mut with_others = off.changes.clone();
    with_others.insert(1, b"no change".to_vec());
    with_others.insert(2, altered);
    assert_eq!(off.take(with_others).await, off.changes.concat());
    // All of them are in, so that nothing is to be kept a second time.
    assert_eq!(off.take(off.changes.clone()).await, b"");
}

#[tokio::test]
async fn a_change_that_is_none_holds_up_no_other_however_much_there_is_of_them() {
    // Names of properties are written as they are, and at once. Together they are more than one change may be.
    let data = |number| {
        let name = char::from(b'a' + number).to_string().repeat(800_000);
        json!({ "title": "Milk", (name): true }).as_object().unwrap().clone()
    };
    let off = Off::during((0..6).map(data).collect()).await;
    assert!(off.changes.concat().len() > LARGEST_CHUNK);
    let mut with_others = off.changes.clone();
    with_others.push(b"no change".to_vec());
    with_others.insert(1, b"neither".to_vec());
    assert!(off.take(with_others).await == off.changes.concat());
    assert_eq!(titles(&off.phone, off.home).await, ["Milk"], "what is in memory is not kept yet");
    assert!(off.take(off.changes.clone()).await.is_empty(), "it is there");
}
