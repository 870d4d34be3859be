//! Findings as SARIF 2.1.0, which code scanning services read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Edit, Finding, Fix, Rule};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The name under which the project's root is known to readers.
const ROOT: &str = "%SRCROOT%";

/// The whole document. `version` is that of the runner.
pub fn sarif(findings: &[Finding], version: &str) -> Value {
    let rules: Vec<Value> = Rule::ALL.iter().map(|rule| describe(*rule)).collect();
    let results: Vec<Value> = findings.iter().map(result).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "testbed", "version": version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn describe(rule: Rule) -> Value {
    json!({
        "id": rule.name(),
        "shortDescription": { "text": rule.summary() },
        "defaultConfiguration": { "level": rule.level().name() },
    })
}

fn result(finding: &Finding) -> Value {
    let hint = finding.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    let mut result = json!({
        "ruleId": finding.rule.name(),
        "ruleIndex": Rule::ALL.iter().position(|rule| *rule == finding.rule),
        "level": finding.level.name(),
        "message": { "text": format!("{}{hint}", finding.message) },
        "partialFingerprints": { "testbed/v1": fingerprint(finding) },
    });
    if let Some(location) = location(finding) {
        result["locations"] = json!([location]);
    }
    if let Some(fix) = &finding.fix {
        result["fixes"] = json!([fix_value(fix)]);
    }
    result
}

fn location(finding: &Finding) -> Option<Value> {
    let mut location = serde_json::Map::new();
    if let Some(file) = &finding.file {
        let mut physical = json!({ "artifactLocation": artifact(file) });
        if let Some(line) = finding.line {
            physical["region"] = json!({ "startLine": line });
        }
        location.insert("physicalLocation".to_owned(), physical);
    }
    if let Some(case) = &finding.case {
        let logical = json!([{ "fullyQualifiedName": case, "kind": "function" }]);
        location.insert("logicalLocations".to_owned(), logical);
    }
    (!location.is_empty()).then_some(Value::Object(location))
}

fn fix_value(fix: &Fix) -> Value {
    let mut by_file: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for edit in &fix.edits {
        by_file.entry(&edit.file).or_default().push(replacement(edit));
    }
    let changes: Vec<Value> = by_file
        .into_iter()
        .map(|(file, replacements)| json!({ "artifactLocation": artifact(file), "replacements": replacements }))
        .collect();
    json!({ "description": { "text": fix.description }, "artifactChanges": changes })
}

fn replacement(edit: &Edit) -> Value {
    let length = u32::try_from(edit.old.chars().count()).unwrap_or(u32::MAX);
    json!({
        "deletedRegion": {
            "startLine": edit.line,
            "startColumn": edit.column,
            "endLine": edit.line,
            "endColumn": edit.column.saturating_add(length),
        },
        "insertedContent": { "text": edit.new },
    })
}

fn artifact(file: &str) -> Value {
    json!({ "uri": uri(file), "uriBaseId": ROOT })
}

/// A path as the reference that RFC 3986 wants: everything but the unreserved characters and `/` is escaped.
fn uri(path: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(escape).collect()
}

/// What a finding is, without its line: it stays the same finding when something above it changes.
fn fingerprint(finding: &Finding) -> String {
    let parts = [
        Some(finding.rule.name()),
        finding.suite.as_deref(),
        finding.file.as_deref(),
        finding.case.as_deref(),
        Some(&finding.message),
    ];
    let text: Vec<&str> = parts.into_iter().map(Option::unwrap_or_default).collect();
    blake3::hash(text.join("\0").as_bytes()).to_hex().chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::sarif;
    use crate::check::{Edit, Finding, Fix, Rule};

    fn finding() -> Finding {
        let edit = Edit {
            file: "t/é a.py".to_owned(),
            line: 3,
            column: 14,
            old: "premerge".to_owned(),
            new: "pre_merge".to_owned(),
        };
        Finding {
            case: Some("t/é a.py::test_x".to_owned()),
            file: Some("t/é a.py".to_owned()),
            line: Some(3),
            hint: Some("write `pre_merge`".to_owned()),
            fix: Some(Fix { description: "replace".to_owned(), edits: vec![edit] }),
            ..Finding::of(Rule::AliasedSpelling, Some("unit"), "older spelling".to_owned())
        }
    }

    #[test]
    fn a_finding_has_its_rule_place_and_fix() {
        let document = sarif(&[finding()], "1.0.0");
        insta::assert_snapshot!(serde_json::to_string_pretty(&document["runs"][0]["results"][0]).unwrap(), @r#"
        {
          "fixes": [
            {
              "artifactChanges": [
                {
                  "artifactLocation": {
                    "uri": "t/%C3%A9%20a.py",
                    "uriBaseId": "%SRCROOT%"
                  },
                  "replacements": [
                    {
                      "deletedRegion": {
                        "endColumn": 22,
                        "endLine": 3,
                        "startColumn": 14,
                        "startLine": 3
                      },
                      "insertedContent": {
                        "text": "pre_merge"
                      }
                    }
                  ]
                }
              ],
              "description": {
                "text": "replace"
              }
            }
          ],
          "level": "warning",
          "locations": [
            {
              "logicalLocations": [
                {
                  "fullyQualifiedName": "t/é a.py::test_x",
                  "kind": "function"
                }
              ],
              "physicalLocation": {
                "artifactLocation": {
                  "uri": "t/%C3%A9%20a.py",
                  "uriBaseId": "%SRCROOT%"
                },
                "region": {
                  "startLine": 3
                }
              }
            }
          ],
          "message": {
            "text": "older spelling\nhint: write `pre_merge`"
          },
          "partialFingerprints": {
            "testbed/v1": "20141e857867d32899cfa4c4f55c86f9"
          },
          "ruleId": "aliased-spelling",
          "ruleIndex": 3
        }
        "#);
    }

    #[test]
    fn every_rule_is_described_at_its_index() {
        let findings: Vec<Finding> =
            Rule::ALL.iter().map(|rule| Finding::of(*rule, None, String::new())).collect();
        let document = sarif(&findings, "1.0.0");
        let run = &document["runs"][0];
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
            assert!(result.get("locations").is_none());
        }
    }

    #[test]
    fn a_finding_stays_the_same_when_it_moves() {
        let moved = Finding { line: Some(9), ..finding() };
        let print = |finding| sarif(&[finding], "1")["runs"][0]["results"][0]["partialFingerprints"].clone();
        assert_eq!(print(moved), print(finding()));
        assert_ne!(print(Finding { case: None, ..finding() }), print(finding()));
    }
}
