//! Spaces and items in a terminal.

use serde_json::{Value, json};

use crate::world::World;

fn titles(items: &Value) -> Vec<&str> {
    items.as_array().unwrap().iter().filter_map(|item| item["data"]["title"].as_str()).collect()
}

#[test]
fn items_are_put_found_changed_deleted_and_restored() {
    let world = World::new();
    world.init();
    let _daemon = world.daemon();
    assert_eq!(world.json(&["spaces", "list"]), json!([]));
    let space = world.json(&["spaces", "create", "--name", "Household"])["id"].as_str().unwrap().to_owned();
    // The beginning of a name is enough.
    let here = ["--space", &space[..6]];
    let put = |data: &str, kind: &[&str]| world.json(&[&["items", "put", data], &here[..], kind].concat());
    let milk = put(r#"{"title":"Milk","n":1}"#, &["--type", "example.org/type/Task:0.1.0"]);
    put(r#"{"title":"Bread and butter","n":2}"#, &["--type", "example.org/type/Task:0.1.0"]);
    let id = milk["id"].as_str().unwrap();
    let query = |how: &[&str]| world.json(&[&["items", "query"], &here[..], how].concat());
    assert_eq!(titles(&query(&["--text", "butter"])), ["Bread and butter"]);
    assert_eq!(titles(&query(&["--where", "n=1", "--type", "example.org/type/Task"])), ["Milk"]);
    let ast = r#"{"type":"select","filter":{"type":"object","typename":null,
        "props":{"n":{"type":"compare","operator":"gt","value":1}}}}"#;
    assert_eq!(titles(&query(&[ast])), ["Bread and butter"]);

    put(r#"{"title":"Oat milk"}"#, &["--id", id]);
    assert_eq!(
        world.json(&[&["items", "get", id], &here[..]].concat())["data"],
        json!({"title": "Oat milk"})
    );
    world.json(&[&["items", "delete", id], &here[..]].concat());
    assert_eq!(titles(&world.json(&[&["items", "list"], &here[..]].concat())), ["Bread and butter"]);
    assert_eq!(titles(&query(&["--deleted"])), ["Oat milk"]);
    world.json(&[&["items", "restore", id], &here[..]].concat());
    assert_eq!(world.json(&["spaces", "list"])[0]["items"], 2);

    let report = world.json(&["doctor"]);
    assert_eq!(report["problems"], json!([]));
    let blocks = report["blocks"].as_u64();
    let compacted = world.json(&["spaces", "compact", &space[..6]]);
    assert!(compacted["before"].as_u64() > Some(0), "{compacted}");
    assert_eq!((&compacted["after"], &compacted["waits_for"]), (&json!(0), &json!([])));
    let after = world.json(&["doctor"]);
    assert_eq!((&after["problems"], &after["snapshots"]), (&json!([]), &json!(1)));
    assert!(after["blocks"].as_u64() < blocks, "{after}");
    assert_eq!(titles(&query(&["--text", "milk"])), ["Oat milk"], "nothing of it is lost");
    assert!(report["blocks"].as_u64() > Some(6), "six in this space, and those of the HALO space: {report}");
    assert_eq!(world.run(&["spaces", "leave", &space]).status(), 4, "it asks first, and nobody answers");
    world.json(&["spaces", "leave", &space, "--yes"]);
    assert_eq!(world.json(&["spaces", "list"]), json!([]));
}

#[test]
fn items_have_tags_names_elsewhere_and_a_place_and_keep_to_their_schema() {
    let world = World::new();
    world.init();
    let _daemon = world.daemon();
    let space = world.json(&["spaces", "create", "--name", "Household"])["id"].as_str().unwrap().to_owned();
    let here = ["--space", &space];
    let run = |what: &[&str]| world.json(&[what, &here[..]].concat());
    let task = ["--type", "example.org/type/Task:0.1.0"];
    let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
    let list = id(&run(&[&["items", "put", "{}"], &task[..]].concat()));
    let more = ["--parent", &list, "--tag", "shop", "--tag", "soon", "--key", "github.com=7"];
    let milk = id(&run(&[&["items", "put", r#"{"title":"Milk"}"#], &task[..], &more[..]].concat()));
    let found = |how: &[&str]| run(&[&["items", "query"], how].concat()).as_array().unwrap().len();
    assert_eq!(
        (found(&["--tag", "soon"]), found(&["--tag", "so"]), found(&["--key", "github.com=7"])),
        (1, 0, 1)
    );
    run(&["items", "delete", &list]);
    assert_eq!(found(&["--tag", "soon"]), 0, "hidden with what it belongs to");
    run(&["items", "restore", &list]);
    run(&["items", "put", r#"{"n":1}"#, "--id", &milk, "--merge", "--tag", ""]);
    let item = run(&["items", "get", &milk]);
    assert_eq!((&item["data"], item.get("tags")), (&json!({"title": "Milk", "n": 1}), None));
    assert_eq!((&item["keys"][0]["id"], &item["parent"]), (&json!("7"), &json!(list)));
    let likes = ["--type", "example.org/type/Likes:0.1.0", "--source", &milk, "--target", &list];
    assert_eq!(run(&[&["items", "put", "{}"], &likes[..]].concat())["kind"], "relation");

    let schema = r#"{"typename":"example.org/type/Task","version":"0.1.0",
        "jsonSchema":{"type":"object","properties":{"title":{"type":"string"}}}}"#;
    run(&["items", "put", schema, "--type", "dxos.org/type/Schema:0.1.0"]);
    let refused = world.run(&[&["items", "put", r#"{"title":1}"#], &task[..], &here[..]].concat());
    assert_eq!(refused.status(), 2);
    assert!(refused.stderr().contains("\"title\" is of type number, not string"), "{}", refused.stderr());
    for wrong in [["--key", "github.com"], ["--source", &milk], ["--parent", "nobody"]] {
        let ran = world.run(&[&["items", "put", "{}"], &task[..], &here[..], &wrong[..]].concat());
        assert_eq!(ran.status(), 2, "{wrong:?}: {}", ran.stderr());
    }
    assert_eq!(world.json(&["doctor"])["mismatches"], json!([]));
}

#[test]
fn what_makes_no_sense_is_said_and_changes_nothing() {
    let world = World::new();
    world.init();
    let _daemon = world.daemon();
    let space = world.json(&["spaces", "create", "--name", "Household"])["id"].as_str().unwrap().to_owned();
    let here = ["--space", space.as_str()];
    for (args, status) in [
        (vec!["items", "put", "no json", "--type", "a"], 2),
        (vec!["items", "put", "[1]", "--type", "a"], 2),
        (vec!["items", "put", "{}"], 2),
        (vec!["items", "put", "{}", "--id", "nobody"], 5),
        (vec!["items", "get", "nobody"], 5),
        (vec!["items", "query", "{}"], 2),
        (vec!["items", "query", "--where", "title"], 2),
        (vec!["items", "query", r#"{"type":"select"}"#], 2),
    ] {
        let ran = world.run(&[args.as_slice(), &here].concat());
        assert_eq!(ran.status(), status, "{args:?}: {}", ran.stderr());
    }
    assert_eq!(world.run(&["items", "list", "--space", "elsewhere"]).status(), 2);
    assert_eq!(world.run(&["spaces", "create", "--name", "  "]).status(), 2);
    assert_eq!(world.json(&["spaces", "list"]).as_array().unwrap().len(), 1);
}

// threat: 31
#[test]
fn a_space_goes_into_a_file_and_comes_back() {
    let world = World::new();
    world.init();
    let _daemon = world.daemon();
    let space = world.json(&["spaces", "create", "--name", "Household"])["id"].as_str().unwrap().to_owned();
    let put = |data: &str, more: &[&str]| {
        world.json(&[&["items", "put", data, "--space", &space], more].concat())["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let milk = put(r#"{"title":"Milk"}"#, &["--type", "example.org/type/Task:0.1.0"]);
    put(r#"{"title":"Oat milk from the corner shop"}"#, &["--id", &milk]);
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let (own, sealed, plain) = (file("own.halo"), file("sealed.halo"), file("plain.json"));
    world.json(&["spaces", "export", &space, &own]);
    world.json(&["spaces", "export", &space, &plain, "--plain"]);
    let pass = "correct horse\n";
    world.run_with(&["--json", "spaces", "export", &space, &sealed, "--passphrase-stdin"], pass).json();
    assert_ne!(world.run(&["spaces", "export", &space, &own]).status(), 0, "nothing is written over");

    let read = |path: &str| std::fs::read(path).unwrap();
    for path in [&own, &sealed] {
        // Long enough that random bytes do not spell it by chance.
        let needle = b"milk from the corner shop";
        assert!(!read(path).windows(needle.len()).any(|bytes| bytes == needle), "{path} shows nothing");
    }
    let json: Value = serde_json::from_slice(&read(&plain)).unwrap();
    assert_eq!(
        (&json["name"], &json["items"][0]["data"]["title"]),
        (&json!("Household"), &json!("Oat milk from the corner shop"))
    );

    // While the space is here, it takes in what it lost.
    put(r#"{"title":"Bread"}"#, &["--type", "example.org/type/Task:0.1.0"]);
    let merged = world.json(&["spaces", "import", &own]);
    assert_eq!((&merged["merged"], &merged["space"]["items"]), (&json!(true), &json!(2)));

    world.json(&["spaces", "leave", &space, "--yes"]);
    for (path, input) in [(&own, ""), (&sealed, pass)] {
        let how = if input.is_empty() { vec![] } else { vec!["--passphrase-stdin"] };
        let copy = world
            .run_with(&[&["--json", "spaces", "import", path.as_str()], &how[..]].concat(), input)
            .json();
        assert_eq!((&copy["merged"], &copy["space"]["name"]), (&json!(false), &json!("Household")));
        let there = world.json(&["items", "list", "--space", copy["space"]["id"].as_str().unwrap()]);
        assert_eq!(
            (titles(&there), there[0]["id"].as_str().unwrap()),
            (vec!["Oat milk from the corner shop"], milk.as_str())
        );
    }
    assert_eq!(world.json(&["doctor"])["problems"], json!([]));
    assert_ne!(world.run(&["spaces", "import", &sealed]).status(), 0, "the passphrase is missing");
    assert_ne!(world.run(&["spaces", "import", &plain]).status(), 0, "that is for reading");
    assert_ne!(world.run(&["spaces", "import", &file("nothing")]).status(), 0);
}
