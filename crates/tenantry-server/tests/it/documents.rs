//! Generated documents: committed, and fresh.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenantry_core::event::EventKind;
use tenantry_core::permission::Permission;
use tenantry_core::refusal::Code;
use tenantry_server::{openapi, problem, router};
use tenantry_testkit::{Database, assert_golden};

use crate::support::Api;

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

#[test]
fn golden_openapi_document() {
    assert_golden(&docs("openapi.json"), &openapi::render());
}

#[test]
fn golden_tables() {
    let mut page =
        "# Tables\n\n<!-- Generated from the tables in `crates/tenantry-core` by `cargo xtask generate`. -->\n"
            .to_owned();
    page.push_str("\n## Error codes\n\n| code | status | meaning | what to do |\n|---|---|---|---|\n");
    for code in Code::ALL {
        let _ = writeln!(
            page,
            "| `{code}` | {} | {} | {} |",
            problem::status(code.kind()).as_u16(),
            code.title(),
            code.advice()
        );
    }
    page.push_str("\n## Permissions and built-in roles\n\n| permission | allows to | admin | maintainer | member |\n|---|---|---|---|---|\n");
    for permission in Permission::ALL {
        page.push_str(&openapi::permission_row(*permission));
    }
    page.push_str("\n## Events\n\n| event | what happened |\n|---|---|\n");
    for event in EventKind::ALL {
        let _ = writeln!(page, "| `{event}` | {} |", event.about());
    }
    assert_golden(&docs("tables.md"), &page);
}

#[test]
fn every_route_is_in_the_document_and_named_once() {
    let document: Value = serde_json::from_str(&openapi::render()).expect("JSON");
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            assert!(ids.insert(operation["operationId"].as_str().expect("id").to_owned()), "{method} {path}");
        }
    }
    for route in router::routes() {
        assert!(ids.contains(&route.id), "{}", route.id);
        let item = &document["paths"][format!("/v1{}", route.path)][route.method.as_str().to_ascii_lowercase()];
        assert!(item.is_object(), "{} {}", route.method, route.path);
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_come_out_of_the_binary() {
    Api::run(Database::sqlite(), async |api| {
        let get = async |path: &str| {
            let response = reqwest::get(format!("{}{path}", api.base)).await.expect("answer");
            assert_eq!(response.status(), 200, "{path}");
            let policy =
                response.headers().get("content-security-policy").map(|value| value.to_str().expect("text").to_owned());
            (policy, response.text().await.expect("text"))
        };
        let (policy, reference) = get("/docs").await;
        assert!(
            policy.is_some_and(|policy| policy.contains("default-src 'self'")),
            "nothing may be loaded from elsewhere"
        );
        assert!(reference.contains("/docs/scalar.js") && !reference.contains("//cdn"), "{reference}");
        assert!(get("/docs/scalar.js").await.1.len() > 100_000);
        assert!(get("/docs/errors").await.1.contains("id=\"cycle\""));
        let served: Value = serde_json::from_str(&get("/openapi.json").await.1).expect("JSON");
        assert_eq!(served["openapi"], "3.1.0");
    })
    .await;
}
