//! What other devices changed, taken in by one that was off.

use halo_echo::DocumentId;

use super::stolen::{kept, lengths, read};
use super::*;

fn task(id: Option<String>, title: &str) -> PutItem {
    let data = json!({ "title": title }).as_object().unwrap().clone();
    PutItem { id, r#type: Some("example.org/type/Task".into()), data, ..PutItem::default() }
}

#[tokio::test]
async fn a_change_that_is_none_holds_up_no_other() {
    let meeting = Meeting::begin().await;
    let computers = [Computer::new(), Computer::new()];
    let (laptop, phone) = (computers[0].on().await, computers[1].on().await);
    for wallet in [&laptop, &phone] {
        meeting.tell(wallet).await;
    }
    identity(&laptop).await;
    let home: SpaceId = laptop.add_space("Home".into()).await.unwrap().id.parse().unwrap();
    let milk = laptop.put_item(&By::Owner, home, task(None, "Milk")).await.unwrap().id;
    link(&laptop, &phone).await;
    until(&phone, "the milk", async |phone| titles(phone, home).await == ["Milk"]).await;
    phone.close().await;
    let phone = computers[1].on().await;

    let before = lengths(&laptop, home).await;
    for title in ["Oat milk", "Soy milk", "Rice milk"] {
        laptop.put_item(&By::Owner, home, task(Some(milk.clone()), title)).await.unwrap();
    }
    let runs = kept(&laptop, home, &before).await;
    let said: Vec<_> = read(&laptop, home, &runs).await.into_iter().flat_map(|said| said.changes).collect();
    let document = DocumentId::from_bytes(&said[0].document).unwrap();
    let changes: Vec<Vec<u8>> = said.into_iter().map(|change| change.bytes).collect();
    assert_eq!(changes.len(), 3);

    // One that is nothing, and one that Automerge would pass over, with all that is behind it.
    let mut altered = changes[0].clone();
    altered[4] ^= 1;
    let mut with_others = changes.clone();
    with_others.insert(1, b"no change".to_vec());
    with_others.insert(2, altered);
    let taken = inside(&phone, move |open| open.take_changes(home, document, &with_others)).await.unwrap();
    assert_eq!(taken, changes.concat());
    // All of them are in, so that nothing is to be kept a second time.
    let again = inside(&phone, move |open| open.take_changes(home, document, &changes)).await.unwrap();
    assert_eq!(again, b"");
}
