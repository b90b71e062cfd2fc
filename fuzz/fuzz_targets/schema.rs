//! Schemas: whatever is taken as one checks any value in so many steps and no more.
#![no_main]

use halo_echo::schema::Schema;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let (schema, value) = (json.get("schema").unwrap_or(&json), json.get("value").unwrap_or(&json));
    if let Ok(schema) = Schema::parse(schema) {
        assert!(schema.check(value).len() <= 10);
    }
});
