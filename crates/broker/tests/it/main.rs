//! The broker from outside: real sockets, real HTTP, a wallet in a temporary directory.

mod app;
mod control;
mod doors;
mod first_contact;
mod floods;
mod http;
mod openid;
mod sign_out;
mod silence;
mod world;
