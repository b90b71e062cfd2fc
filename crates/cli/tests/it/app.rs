//! A native app that signs in over the back channel, with nothing but a socket.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::world::Daemon;

/// Sends a form and returns status and JSON.
pub(crate) fn post(daemon: &Daemon, path: &str, form: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", daemon.port())).unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        daemon.port(),
        form.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

/// Asks to sign in; returns the name of the request for the app.
pub(crate) fn ask(daemon: &Daemon, client: &str) -> String {
    let (status, answer) =
        post(daemon, "/bc-authorize", &format!("client_id={client}&scope=openid%20profile"));
    assert_eq!(status, 200, "{answer}");
    answer["auth_req_id"].as_str().unwrap().to_owned()
}

/// Fetches the tokens of an approved request.
pub(crate) fn tokens(daemon: &Daemon, client: &str, request: &str) -> (u16, Value) {
    let grant = "urn%3Aopenid%3Aparams%3Agrant-type%3Aciba";
    post(daemon, "/token", &format!("client_id={client}&grant_type={grant}&auth_req_id={request}"))
}

/// Trades a refresh token.
pub(crate) fn refreshed(daemon: &Daemon, client: &str, token: &str) -> (u16, Value) {
    post(daemon, "/token", &format!("client_id={client}&grant_type=refresh_token&refresh_token={token}"))
}
