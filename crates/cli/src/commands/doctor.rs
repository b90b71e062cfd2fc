//! `halo doctor`: is everything as it should be?

use std::path::Path;

use serde_json::{Value, json};

use crate::connect::connect;
use crate::error::Failure;
use crate::show::{Bar, Out, Page};

pub(super) async fn run(profile: &Path, rebuild: bool, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    let bar = Bar::new(out);
    let report = client.call_showing("doctor", json!({"rebuild": rebuild}), |step| bar.show(&step)).await?;
    bar.clear();
    out.answer(&report, |page| words(page, &report));
    let problems = report.get("problems").and_then(Value::as_array).map_or(0, Vec::len);
    match problems {
        0 => Ok(()),
        1 => Err(Failure::new("cli.problems", "one thing is not as it should be")),
        many => Err(Failure::new("cli.problems", format!("{many} things are not as they should be"))),
    }
}

fn words(page: &Page<'_>, report: &Value) -> String {
    let count = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or_default();
    let looked = format!(
        "Looked at {} spaces, {} blocks, {} documents, {} items.",
        count("spaces"),
        count("blocks"),
        count("documents"),
        count("items")
    );
    let problems = report.get("problems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut lines = vec![looked];
    if count("rebuilt") > 0 {
        lines.push(page.good(&format!("Made the indexes of {} documents anew.", count("rebuilt"))));
    }
    if problems.is_empty() {
        lines.push(page.good("Everything is as it should be."));
    }
    lines.extend(problems.iter().filter_map(Value::as_str).map(|problem| page.alert(problem)));
    let mismatches =
        report.get("mismatches").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !mismatches.is_empty() {
        lines.push("Not what the schema of their type says, and kept as they came:".to_owned());
        lines.extend(mismatches.iter().filter_map(Value::as_str).map(crate::show::plain));
    }
    lines.join("\n")
}
