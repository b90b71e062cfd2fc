//! Who is let in at all, and where the door is.

use std::net::TcpListener;

use halo_broker::evidence::{Attribution, Kernel, Owner};
use halo_broker::{Broker, BrokerConfig};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::app::{APP, NAVIGATION, Pkce, REDIRECT, authorize_path};
use crate::http::{self, Http};
use crate::world::{World, browser, program};

// threat: 2
#[tokio::test]
async fn a_rebound_name_is_misdirected_and_closed() {
    let world = World::new().await;
    for host in ["evil.example", "evil.example:47110", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:1", "[::1]:1"] {
        let mut http = world.connect(browser()).await;
        let fields = "client_id=https://evil.example&scope=openid";
        let headers = [("Host", host), ("Origin", "https://evil.example")];
        let refused = http.send("POST", "/bc-authorize", &headers, fields).await;
        assert_eq!(refused.status, 421, "{host}");
        assert!(http.is_closed().await, "{host}");
    }
    let mut http = world.connect(browser()).await;
    http.stream.write_all(b"GET /jwks HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(http.read().await.unwrap().status, 421, "no name at all");
    assert!(world.wallet.snapshot().requests.is_empty(), "no prompt");
}

// threat: 3
#[tokio::test]
async fn a_browser_without_a_proper_origin_is_refused() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let fields = [("client_id", "org.example.Tool"), ("scope", "openid")];
    assert_eq!(http.form("/bc-authorize", &[("Origin", "null")], &fields).await.status, 403);
    assert_eq!(http.form("/bc-authorize", &[], &fields).await.status, 403);
    assert_eq!(http.get("/jwks", &[]).await.status, 403);
    let mut tool = world.connect(program("/usr/bin/tool")).await;
    let odd = [("Sec-Fetch-Site", "cross-site")];
    assert_eq!(tool.form("/bc-authorize", &odd, &fields).await.status, 403, "only browsers say so");
    assert!(world.wallet.snapshot().requests.is_empty(), "no prompt");
}

// threat: 19
#[tokio::test]
async fn another_user_of_this_machine_is_refused() {
    let world = World::new().await;
    let mut http = world.connect(Owner::OtherUser).await;
    for path in ["/.well-known/halo", "/jwks", "/authorize"] {
        assert_eq!(http.get(path, &[]).await.status, 403, "{path}");
    }
}

// threat: 19
#[cfg(unix)]
#[tokio::test]
async fn sockets_and_discovery_are_for_this_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new().await;
    let mode = |name: &str| {
        let path = world.runtime_dir().join(name);
        path.metadata().unwrap_or_else(|_| panic!("{}", path.display())).permissions().mode() & 0o777
    };
    assert_eq!(mode("broker.json"), 0o600);
    assert_eq!(mode("broker.sock"), 0o600);
    assert_eq!(mode("control.sock"), 0o600);
    assert_eq!(mode(""), 0o700);
    let open = tempfile::tempdir().unwrap();
    std::fs::set_permissions(open.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let config = BrokerConfig { listen_port: Some(0), runtime_dir: open.path().to_owned() };
    let refused = Broker::start(world.wallet.clone(), config).await.err().unwrap();
    assert_eq!(refused.code(), "broker.open_directory", "others could put their own socket there");
}

// threat: 7
#[tokio::test]
async fn a_squatted_port_is_left_and_discovery_names_the_right_one() {
    // Taken by us, or by somebody else already.
    let _squatter = TcpListener::bind("127.0.0.1:47110");
    let world = World::new().await;
    let run = tempfile::tempdir().unwrap();
    let config = BrokerConfig { listen_port: None, runtime_dir: run.path().join("run") };
    let broker = Broker::start(world.wallet.clone(), config).await.unwrap();
    assert!((47111..=47114).contains(&broker.port()), "{}", broker.port());
    let found: Value =
        serde_json::from_slice(&std::fs::read(run.path().join("run/broker.json")).unwrap()).unwrap();
    assert_eq!(found["url"], broker.url());
    assert_eq!(found["port"], broker.port());
    assert_eq!(found["pid"], std::process::id());
    broker.shutdown().await;
    assert!(!run.path().join("run/broker.json").exists(), "nobody is sent to a port that is free again");
}

// threat: 7
#[tokio::test]
async fn a_port_that_is_squatted_on_one_address_only_counts_as_taken() {
    let Ok(squatter) = TcpListener::bind("[::1]:0") else { return };
    let port = squatter.local_addr().unwrap().port();
    let world = World::new().await;
    let run = tempfile::tempdir().unwrap();
    let config = BrokerConfig { listen_port: Some(port), runtime_dir: run.path().join("run") };
    let refused = Broker::start(world.wallet.clone(), config).await.err().unwrap();
    assert_eq!(refused.code(), "broker.no_port");
    assert!(!run.path().join("run/broker.json").exists());
}

#[tokio::test]
async fn both_loopback_addresses_answer() {
    let world = World::new().await;
    world.kernel.says(program("/usr/bin/tool"));
    let Ok(stream) = tokio::net::TcpStream::connect(("::1", world.port())).await else { return };
    let mut http = Http { stream, port: world.port() };
    assert_eq!(http.get("/.well-known/halo", &[]).await.status, 200);
}

// threat: 4
#[cfg(unix)]
#[tokio::test]
async fn a_program_on_the_socket_is_named_by_the_kernel() {
    let world = World::new().await;
    let Owner::Process(me) = Kernel.process(std::process::id()) else { panic!("we are here") };
    world.kernel.says(Owner::Process(me.clone()));
    let mut stream = tokio::net::UnixStream::connect(world.runtime_dir().join("broker.sock")).await.unwrap();
    let body = "client_id=org.example.Tool&scope=openid";
    let request = format!(
        "POST /bc-authorize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = http::read(&mut stream).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.prompt().await.app.process.unwrap().path, me.path);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_real_kernel_names_this_very_test() {
    let world = World::new().await;
    let run = tempfile::tempdir().unwrap();
    let config = BrokerConfig { listen_port: Some(0), runtime_dir: run.path().join("run") };
    let broker = Broker::start(world.wallet.clone(), config).await.unwrap();
    let mut http = Http::connect(broker.port()).await;
    let fields = [("client_id", "org.example.Tool"), ("scope", "openid")];
    let asked = http.form("/bc-authorize", &[], &fields).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    let process = world.prompt().await.app.process.unwrap();
    assert_eq!(process.pid, std::process::id());
    assert_eq!(process.path.as_deref(), std::env::current_exe().unwrap().to_str());
    broker.shutdown().await;
}

#[tokio::test]
async fn a_page_may_ask_first_and_only_from_its_own_origin() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let headers = [
        ("Origin", APP),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "dpop,content-type"),
        ("Access-Control-Request-Private-Network", "true"),
    ];
    let answer = http.send("OPTIONS", "/token", &headers, "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert_eq!(answer.header("access-control-allow-private-network"), Some("true"));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("DPoP"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert_eq!(answer.header("vary"), Some("Origin"));
    let page = http.get(&authorize_path(APP, REDIRECT, &Pkce::new(), &[]), &[("Origin", APP)]).await;
    assert_eq!(page.status, 403, "no page can read the approval page");
    assert_eq!(page.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn the_approval_page_runs_nothing_but_its_own_files() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let page = http.get(&authorize_path(APP, REDIRECT, &Pkce::new(), &[]), &NAVIGATION).await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let text = page.text();
    assert!(!text.contains("<style") && !text.contains(" style=") && !text.contains("<script>"));
    for file in ["/authorize/page.js", "/authorize/page.css"] {
        assert!(text.contains(file));
        assert_eq!(http.get(file, &[("Sec-Fetch-Site", "same-origin")]).await.status, 200);
    }
    let framed = [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")];
    assert_eq!(http.get(&authorize_path(APP, REDIRECT, &Pkce::new(), &[]), &framed).await.status, 403);
}

// threat: 1
#[tokio::test]
async fn a_page_on_another_origin_is_a_prompt_that_names_it_and_nothing_else() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let evil = "https://evil.example";
    let asked = http.form("/bc-authorize", &[("Origin", evil)], &[("scope", "openid profile")]).await;
    let prompt = world.prompt().await;
    assert_eq!(prompt.app.origin.as_deref(), Some(evil));
    assert_eq!(prompt.app.name, None);
    let id = asked.json()["auth_req_id"].as_str().unwrap().to_owned();
    let fields = [("grant_type", crate::app::CIBA), ("auth_req_id", id.as_str())];
    let waiting = http.form("/token", &[("Origin", evil)], &fields).await;
    assert_eq!(waiting.error(), "authorization_pending", "no data before approval");
    let stolen = http.form("/token", &[("Origin", APP)], &fields).await;
    assert_eq!(stolen.error(), "invalid_grant", "nor for another origin afterwards");
    assert_eq!(http.get("/jwks", &[("Origin", evil)]).await.json(), json!({"keys": []}));
}
