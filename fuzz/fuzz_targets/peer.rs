//! What a peer says of itself, shares of epochs, and proofs of forks: what is taken reads back as the same bytes.
#![no_main]

use halo_protocol::epoch::EpochShare;
use halo_protocol::feed::ForkProof;
use halo_protocol::peer::PeerHello;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(hello) = PeerHello::decode(bytes) {
        assert_eq!(hello.encode(), bytes);
    }
    if let Ok(share) = EpochShare::decode(bytes) {
        assert_eq!(share.encode(), bytes);
    }
    if let Ok(proof) = ForkProof::decode(bytes) {
        assert!(proof.verify().is_ok());
        assert_eq!(ForkProof::decode(&proof.encode()), Ok(proof));
    }
});
