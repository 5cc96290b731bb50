//! A report as SARIF 2.1.0 (OASIS, 2020), which code hosts show beside the changed lines.

use serde_json::{Value, json};

use super::report::{Finding, Report, Weight};

/// Words of a rule's name.
const WORDS: usize = 7;

/// The report as one SARIF log. Paths are seen from where the command ran: `folder` stands before each.
pub fn log(report: &Report, folder: &str) -> Value {
    let mut rules: Vec<Value> = Vec::new();
    let mut results = Vec::new();
    for finding in &report.findings {
        let id = rule(&finding.message);
        if !rules.iter().any(|rule| rule["id"] == id.as_str()) {
            rules.push(json!({ "id": id, "shortDescription": { "text": finding.message } }));
        }
        results.push(result(finding, &id, folder));
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "crossdock policy check", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(finding: &Finding, id: &str, folder: &str) -> Value {
    let level = match finding.severity {
        Weight::Error => "error",
        Weight::Warning => "warning",
    };
    let mut text = finding.message.clone();
    for more in finding.label.iter().chain(&finding.notes) {
        text.push_str(". ");
        text.push_str(more);
    }
    if let Some(help) = &finding.help {
        text.push_str(". Help: ");
        text.push_str(help);
    }
    let mut result = json!({ "ruleId": id, "level": level, "message": { "text": text } });
    if let Some(place) = &finding.place {
        let uri = format!("{}/{}", folder.trim_end_matches('/'), place.file);
        let mut physical = json!({ "artifactLocation": { "uri": uri } });
        if place.line > 0 {
            physical["region"] = json!({ "startLine": place.line, "startColumn": place.column,
                "endColumn": place.column + place.width });
        }
        result["locations"] = json!([{ "physicalLocation": physical }]);
    }
    result
}

/// A name for findings of one kind: the message without what it quotes and counts.
fn rule(message: &str) -> String {
    let outside = message.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let words = outside.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    words.take(WORDS).map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_of_one_kind_share_a_rule_and_keep_their_places() {
        let file = "apis/a.yaml".into();
        let mut report = Report::of(1);
        report.push(Finding::error("unknown key `scope`").in_file(&file).help("did you mean `scopes`?"));
        report.push(Finding::error("unknown key `mach`"));
        report.push(Finding::warning("this key expires in 12 days"));
        let log = log(&report, "policies/");
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"].as_array().map(Vec::len), Some(2));
        assert_eq!(run["results"][0]["ruleId"], "unknown-key");
        assert_eq!(run["results"][0]["message"]["text"], "unknown key `scope`. Help: did you mean `scopes`?");
        let place = &run["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "policies/apis/a.yaml");
        assert_eq!(run["results"][2]["ruleId"], "this-key-expires-in-days");
        assert_eq!(run["results"][2]["level"], "warning");
    }
}
