//! When the user's devices are to be met anew.

use super::*;

#[tokio::test]
async fn the_same_meeting_of_another_time_that_it_was_unlocked_is_another_one() {
    let (meeting, computer) = (Meeting::begin().await, Computer::new());
    let wallet = computer.on().await;
    identity(&wallet).await;
    assert!(wallet.job(|engine| engine.wanted_meeting()).await.unwrap().is_none(), "nobody can come");
    meeting.tell(&wallet).await;
    let wanted = async || wallet.job(|engine| engine.wanted_meeting()).await.unwrap().unwrap();
    let before = wanted().await;
    assert!(wanted().await.is(&before));
    // Whoever joined before can prove nothing any more: its keys went with the lock.
    wallet.lock().await.unwrap();
    wallet.unlock(None, false).await.unwrap();
    assert!(!wanted().await.is(&before));
}
