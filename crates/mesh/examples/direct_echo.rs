//! The direct path of a device, for whatever speaks WebRTC at the other end: says back each frame that it hears.
//!
//! `direct_echo offers` makes the offer, `direct_echo answers` waits for one. Both ends' words go over standard input and
//! output, one a line: `offer`, `answer` or `candidate` and its text in base64; `open` and `down` alone.

#![expect(clippy::print_stdout, reason = "its words go over standard output")]

use data_encoding::BASE64;
use halo_mesh::interop::{DirectPath, Word};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut path = DirectPath::open(std::env::args().nth(1).is_some_and(|argument| argument == "offers"));
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => if let Some(word) = heard(&line) { path.tell(word).await },
                None => return Ok(()),
            },
            word = path.next() => match word {
                Some(Word::Offer(text)) => say("offer", &text),
                Some(Word::Answer(text)) => say("answer", &text),
                Some(Word::Candidate(text)) => say("candidate", &text),
                Some(Word::Open) => println!("open"),
                Some(Word::Frame(frame)) => path.tell(Word::Frame(frame)).await,
                Some(Word::Down) | None => {
                    println!("down");
                    return Ok(());
                }
            },
        }
    }
}

fn say(kind: &str, text: &str) {
    println!("{kind} {}", BASE64.encode(text.as_bytes()));
}

fn heard(line: &str) -> Option<Word> {
    let (kind, text) = line.split_once(' ')?;
    let text = String::from_utf8(BASE64.decode(text.as_bytes()).ok()?).ok()?;
    match kind {
        "offer" => Some(Word::Offer(text)),
        "answer" => Some(Word::Answer(text)),
        "candidate" => Some(Word::Candidate(text)),
        _ => None,
    }
}
