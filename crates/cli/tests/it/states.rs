//! A command that says one JSON line after the other, such as an invitation's states.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::World;

/// Longer than anything here takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A command that runs; ended when dropped.
pub(crate) struct States {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl States {
    pub(crate) fn start(world: &World, args: &[&str]) -> Self {
        let mut child = world.halo(&[&["--json"], args].concat()).stdin(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(256);
        // Read beside, so that waiting has an end.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, input, lines }
    }

    /// The next line; `None` once it has ended.
    pub(crate) fn next(&mut self) -> Option<Value> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(serde_json::from_str(&line).unwrap()),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it says nothing more"),
        }
    }

    /// The first line that says this state.
    pub(crate) fn until(&mut self, state: &str) -> Value {
        while let Some(said) = self.next() {
            if said["state"] == state {
                return said;
            }
            assert!(
                !["ERROR", "TIMEOUT", "CANCELLED", "EXPIRED"].contains(&said["state"].as_str().unwrap_or("")),
                "{said}"
            );
        }
        panic!("it ended before {state}")
    }

    /// The first line of which this is true.
    pub(crate) fn find(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        let mut last = Value::Null;
        while started.elapsed() < PATIENCE {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => last = serde_json::from_str(&line).unwrap(),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended before {what}; {last}"),
                Err(RecvTimeoutError::Timeout) => {
                    let unsaid = wanted(&last);
                    panic!("it says nothing more before {what} (true by now: {unsaid}); {last}");
                }
            }
            if wanted(&last) {
                return last;
            }
        }
        panic!("it did not come to {what}; {last}")
    }

    pub(crate) fn types(&mut self, line: &str) {
        // It may have ended already.
        let _ = writeln!(self.input.as_mut().unwrap(), "{line}");
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Lets it end by itself, and tells how it did.
    pub(crate) fn end(mut self) -> i32 {
        drop(self.input.take());
        while self.next().is_some() {}
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for States {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
