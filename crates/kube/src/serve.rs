//! Serving: puts signaller and TURN together, and takes them down again.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use halo_mesh::signaller::{Counts, PATH, Page, Signaller, SignallerConfig};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::args::{Serve, TurnAt};
use crate::error::KubeError;
use crate::turn::{Quotas, Reach, Turn, TurnConfig};

/// STUN's and TURN's registered port (RFC 8656).
const TURN_PORT: u16 = 3478;

/// A KUBE that serves.
pub(crate) struct Kube {
    signaller: Signaller,
    turn: Option<Arc<Turn>>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    signal_url: String,
}

impl Kube {
    /// Takes its places.
    pub(crate) async fn start(serve: &Serve) -> Result<Self, KubeError> {
        let listener = TcpListener::bind(serve.listen)
            .await
            .map_err(|source| KubeError::Listen { address: serve.listen, source })?;
        let listening = listener.local_addr().map_err(KubeError::system("the socket has no address"))?;
        let tls = match (&serve.tls_cert, &serve.tls_key) {
            (Some(certificate), Some(key)) => Some(acceptor(certificate, key)?),
            _ => None,
        };
        let signal_url = signal_url(serve.public_url.as_ref(), reachable(listening), tls.is_some())?;
        let turn = match turn_at(serve, listening)? {
            None => None,
            Some(address) => Some(Arc::new(start_turn(serve, address, listening.port()).await?)),
        };
        let (started, for_ice, for_pages) = (Instant::now(), turn.clone(), turn.clone());
        let config = SignallerConfig {
            ice: Arc::new(move || for_ice.as_ref().map(|turn| turn.servers()).unwrap_or_default()),
            pages: Arc::new(move |path, counts| page(path, counts, for_pages.as_deref(), started)),
            ..SignallerConfig::default()
        };
        let signaller = Signaller::new(config).map_err(KubeError::system("no randomness"))?;
        Ok(Self { signaller, turn, listener, tls, signal_url })
    }

    /// The line that says it serves.
    pub(crate) fn ready(&self) -> serde_json::Value {
        serde_json::json!({
            "ready": true,
            "signal_url": self.signal_url,
            "turn_url": self.turn.as_ref().map(|turn| turn.url()),
        })
    }

    /// Serves until `stop`, then says goodbye to everybody.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) -> Result<(), KubeError> {
        let Self { signaller, turn, listener, tls, .. } = self;
        let serving = signaller.serve(listener, tls);
        tokio::pin!(serving);
        let outcome = tokio::select! {
            outcome = &mut serving => outcome,
            () = stop => {
                signaller.close();
                serving.await
            }
        };
        if let Some(turn) = turn {
            turn.close().await;
        }
        outcome.map_err(KubeError::system("serving ended"))
    }
}

/// Where clients find signalling.
fn signal_url(public: Option<&Url>, listening: SocketAddr, tls: bool) -> Result<String, KubeError> {
    let Some(public) = public else {
        return Ok(format!("{}://{listening}{PATH}", if tls { "wss" } else { "ws" }));
    };
    let bad = |why| KubeError::BadUrl { url: public.to_string(), why };
    let scheme = match public.scheme() {
        "https" | "wss" => "wss",
        "http" | "ws" => "ws",
        _ => return Err(bad("it must begin with https:// or http://")),
    };
    let host = public.host_str().ok_or_else(|| bad("it names no host"))?;
    if !matches!(public.path(), "" | "/") || public.query().is_some() {
        return Err(bad("it must not name a path"));
    }
    let port = public.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{scheme}://{host}{port}{PATH}"))
}

/// An address that others can use, for one that only says "all of them".
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(own_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), address.port())
    } else {
        address
    }
}

/// The address that this machine shows to the world, as far as it knows. Nothing is sent for it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // An address for documentation (RFC 5737): connecting a UDP socket only chooses a route.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
}

fn turn_at(serve: &Serve, listening: SocketAddr) -> Result<Option<SocketAddr>, KubeError> {
    match serve.turn {
        Some(TurnAt::Off) => Ok(None),
        Some(TurnAt::At(address)) if address.ip().is_unspecified() => {
            let own = own_address().ok_or(KubeError::NoAddress)?;
            Ok(Some(SocketAddr::new(own, address.port())))
        }
        Some(TurnAt::At(address)) => Ok(Some(address)),
        None if listening.ip().is_unspecified() => {
            Ok(own_address().map(|address| SocketAddr::new(address, TURN_PORT)))
        }
        None => Ok(Some(SocketAddr::new(listening.ip(), TURN_PORT))),
    }
}

async fn start_turn(serve: &Serve, listen: SocketAddr, signal_port: u16) -> Result<Turn, KubeError> {
    let public_host = serve.public_url.as_ref().and_then(Url::host_str).map(str::to_owned);
    let written = public_host.as_deref().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    let public = written.and_then(|host| host.parse().ok()).unwrap_or(listen.ip());
    let host = public_host.unwrap_or_else(|| match listen.ip() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    });
    let secret = match &serve.data {
        Some(dir) => crate::data::turn_secret(dir)?,
        None => crate::random()?,
    };
    let reach = if serve.turn_allow_private { Reach::PrivateToo } else { Reach::Public };
    let own = vec![signal_port];
    Turn::start(TurnConfig { listen, public, host, reach, quotas: Quotas::default(), secret, own }).await
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, KubeError> {
    let bad = |path: &Path, why: String| KubeError::BadFile { path: path.to_owned(), why };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| bad(certificate, format!("holds no certificates: {error}")))?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| bad(key, format!("holds no private key: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| bad(certificate, format!("and its key do not go together: {error}")))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn page(path: &str, counts: &Counts, turn: Option<&Turn>, started: Instant) -> Option<Page> {
    match path {
        "/health" => {
            Some(Page { status: 200, media_type: "text/plain; charset=utf-8", body: "ok\n".to_owned() })
        }
        "/metrics" => {
            let media_type = "text/plain; version=0.0.4; charset=utf-8";
            Some(Page { status: 200, media_type, body: metrics(counts, turn, started) })
        }
        _ => None,
    }
}

/// Numbers, for Prometheus. No label names anybody.
fn metrics(counts: &Counts, turn: Option<&Turn>, started: Instant) -> String {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let mut rows = vec![
        ("kube_uptime_seconds", "gauge", "Since the start.", started.elapsed().as_secs()),
        ("kube_signal_clients", "gauge", "Connections now.", count(counts.clients)),
        ("kube_signal_topics", "gauge", "Topics with somebody there.", count(counts.topics)),
        ("kube_signal_arrivals_total", "counter", "Connections.", counts.arrived),
        ("kube_signal_refusals_total", "counter", "What was refused.", counts.refused),
        ("kube_signal_payloads_total", "counter", "Payloads forwarded.", counts.forwarded),
        ("kube_signal_payload_bytes_total", "counter", "Their bytes.", counts.forwarded_bytes),
    ];
    if let Some(turn) = turn {
        let counters = turn.counters();
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        rows.extend([
            ("kube_turn_allocations", "gauge", "Relayed addresses now.", count(turn.allocations())),
            ("kube_turn_relayed_bytes_total", "counter", "Bytes relayed.", read(&counters.relayed)),
            (
                "kube_turn_denied_total",
                "counter",
                "Packets to or from where TURN may not reach.",
                read(&counters.denied),
            ),
            (
                "kube_turn_over_quota_total",
                "counter",
                "Requests and packets beyond a quota.",
                read(&counters.over_quota),
            ),
        ]);
    }
    let mut text = String::new();
    for (name, kind, help, value) in rows {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_where_to_go() {
        let listening = "192.0.2.7:80".parse().unwrap();
        let told = |public: &str, tls| {
            let public: Option<Url> = (!public.is_empty()).then(|| public.parse().unwrap());
            signal_url(public.as_ref(), listening, tls).map_err(|error| error.to_string())
        };
        assert_eq!(told("", false).unwrap(), "ws://192.0.2.7:80/signal");
        assert_eq!(told("", true).unwrap(), "wss://192.0.2.7:80/signal");
        assert_eq!(told("https://kube.example", false).unwrap(), "wss://kube.example/signal");
        assert_eq!(told("http://[2001:db8::1]:8080/", false).unwrap(), "ws://[2001:db8::1]:8080/signal");
        assert!(told("https://kube.example/here", false).unwrap_err().contains("path"));
        assert!(told("ftp://kube.example", false).unwrap_err().contains("https://"));
    }
}
