//! The document of one new item, read without Automerge: as Automerge reads it, or not at all.
#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;

use halo_echo::{Beginning, Document, DocumentId, Item, NewDocument, Pen};
use sha2::{Digest, Sha256};

static EMPTY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    Document::directory(Pen { actor: [1; 16], seconds: 1 }, "00").expect("an empty directory").save()
});

thread_local! {
    static BEGINNING: RefCell<Option<Beginning>> = const { RefCell::new(None) };
}

libfuzzer_sys::fuzz_target!(|said: &[u8]| {
    // A change that says this, with the checksum it has then: what is wrong is what it says.
    let mut change = vec![1];
    let mut length = said.len();
    while length > 0x7f {
        change.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    change.push(length as u8);
    change.extend(said);
    let checksum = &Sha256::digest(&change)[..4];
    let bytes = [EMPTY.as_slice(), &[0x85, 0x6f, 0x4a, 0x83], checksum, &change].concat();
    let id = DocumentId::from_random([0; 16]);
    let new = BEGINNING.with_borrow_mut(|beginning| NewDocument::read(id, &bytes, beginning));
    if let Some(new) = new {
        let document = Document::load(&bytes).expect("Automerge reads it too");
        assert_eq!((document.heads(), Item::all_in(id, &document.objects())), (vec![new.head], new.items));
    }
});
