//! `SpaceArchive`: a tar file as DXOS's host writes it, `metadata.json` and `docs/ID.bin`.
//!
//! Read within limits: whoever brings one may have made it by hand.

use halo_wallet::DocumentId;
use serde_json::json;

use super::peer::Failure;

/// Tar counts in blocks of so many bytes (POSIX.1-1988, ustar).
const BLOCK: usize = 512;
/// Documents of one archive.
const MOST_DOCUMENTS: usize = 100_000;
const METADATA: &str = "metadata.json";
const DOCUMENTS: &str = "docs/";

/// Writes a space.
pub(super) fn write(
    space: &str,
    root: &str,
    created: u64,
    documents: &[(DocumentId, Vec<u8>)],
) -> Result<Vec<u8>, Failure> {
    let mut tar = Vec::new();
    for (id, bytes) in documents {
        entry(&mut tar, &format!("{DOCUMENTS}{id}.bin"), bytes)?;
    }
    let metadata = json!({
        "version": 1,
        "createdAt": created,
        "originalSpaceId": space,
        "echo": { "currentRootUrl": root },
    });
    entry(&mut tar, METADATA, metadata.to_string().as_bytes())?;
    // Two empty blocks say that nothing follows.
    tar.resize(tar.len() + 2 * BLOCK, 0);
    Ok(tar)
}

fn entry(tar: &mut Vec<u8>, name: &str, content: &[u8]) -> Result<(), Failure> {
    let mut head = [0; BLOCK];
    let size = format!("{:011o}\0", content.len());
    let fields: [(usize, &[u8]); 8] = [
        (0, name.as_bytes()),
        (100, b"0000644\0"),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, size.as_bytes()),
        (136, b"00000000000\0"),
        (148, b"        "),
        (156, b"0"),
    ];
    for (at, bytes) in fields.into_iter().chain([(257, b"ustar\x0000".as_slice())]) {
        let place = head.get_mut(at..at + bytes.len()).ok_or_else(|| bad("a name is too long"))?;
        place.copy_from_slice(bytes);
    }
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    if let Some(place) = head.get_mut(148..156) {
        place.copy_from_slice(sum.as_bytes());
    }
    tar.extend(head);
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    Ok(())
}

/// Reads the documents of an archive.
pub(super) fn read(tar: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut rest = tar;
    let (mut documents, mut described) = (Vec::new(), false);
    while let Some((head, after)) = rest.split_at_checked(BLOCK) {
        if head.iter().all(|byte| *byte == 0) {
            break;
        }
        let name = text(head, 0..100)?;
        let size =
            usize::from_str_radix(text(head, 124..136)?.trim(), 8).map_err(|_| bad("a size is none"))?;
        let content = after.get(..size).ok_or_else(|| bad("it ends in a file"))?;
        rest = after.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
        described |= name == METADATA;
        if name.starts_with(DOCUMENTS) {
            if documents.len() >= MOST_DOCUMENTS {
                return Err(bad("it has more than 100,000 documents"));
            }
            documents.push(content.to_vec());
        }
    }
    if described { Ok(documents) } else { Err(bad("it has no metadata")) }
}

fn text(head: &[u8], at: std::ops::Range<usize>) -> Result<&str, Failure> {
    let field = head.get(at).unwrap_or_default();
    let length = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    std::str::from_utf8(field.get(..length).unwrap_or_default()).map_err(|_| bad("a head is no text"))
}

fn bad(what: &str) -> Failure {
    Failure::new("INVALID", format!("that is no archive of a space: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let documents = [
            (DocumentId::from_random([1; 16]), vec![7; 513]),
            (DocumentId::from_random([2; 16]), Vec::new()),
        ];
        let tar = write("BSPACE", "automerge:root", 5, &documents).unwrap();
        assert_eq!(tar.len() % BLOCK, 0);
        let read = read(&tar).unwrap();
        assert_eq!(read, documents.map(|(_, bytes)| bytes));
    }

    #[test]
    fn what_is_cut_or_has_absurd_sizes_is_refused() {
        let tar = write("B", "automerge:r", 5, &[(DocumentId::from_random([1; 16]), vec![7; 600])]).unwrap();
        assert!(read(tar.get(..BLOCK + 100).unwrap()).is_err(), "it ends in a file");
        assert!(read(&[]).is_err(), "no metadata");
        let mut absurd = tar.clone();
        absurd[124..136].copy_from_slice(b"77777777777\0");
        assert!(read(&absurd).is_err());
        absurd[124..136].copy_from_slice(b"not a number");
        assert!(read(&absurd).is_err());
    }
}
