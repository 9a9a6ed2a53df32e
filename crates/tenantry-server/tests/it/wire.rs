//! The rules of the wire: what is accepted, and what is told about what is not.

use reqwest::Method;
use serde_json::json;
use tenantry_testkit::both_engines;

use crate::support::{Answer, Api};

both_engines! {
    async fn s22_one_credential_in_a_header(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let (one, two) = (api.key_of(&root).await.credential.expect("key"), api.key_of(&root).await.credential.expect("key"));
            let get = |headers: &[(&'static str, String)]| {
                let request = api.anonymous().request(Method::GET, "/org");
                Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, value)))
            };
            for name in ["x-api-key", "X-Auth-Token"] {
                get(&[(name, one.clone())]).await.ok();
            }
            get(&[("authorization", format!("Bearer {one}"))]).await.ok();
            get(&[("authorization", format!("bearer {one}")), ("x-api-key", one.clone())]).await.ok();
            get(&[("x-auth-token", two), ("x-api-key", one.clone())]).await.refused(400, "ambiguous_credentials");
            get(&[("authorization", "Basic dTpw".to_owned())]).await.refused(401, "key_malformed");
            get(&[("x-api-key", String::new())]).await.refused(401, "key_malformed");
            for query in [format!("x={one}"), "api_key=1".to_owned(), "access_token=1".to_owned()] {
                api.anonymous().get(&format!("/org?{query}")).await.refused(400, "credential_in_query");
            }
        }).await;
    }

    async fn s31_fields_that_are_not_for_the_caller_are_unknown(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let key = api.key_of(&root).await;
            for field in ["role", "balance", "parent_id", "org_id", "rootId", "superOrganization", "createdAt", "status", "limits"] {
                let refused = key.patch(&format!("/v1/accounts/{root}"), json!({"name": "x", field: 1})).await.refused(400, "unknown_field");
                assert_eq!(refused.body["errors"][0]["field"], field);
            }
            let owner = json!({"name": "k", "userId": "usr_1", "orgId": "acc_1"});
            api.anonymous().post(&format!("/v1/accounts/{root}/keys"), owner.clone()).await.refused(401, "credential_missing");
            key.post(&format!("/v1/accounts/{root}/keys"), owner).await.refused(400, "unknown_field");
            assert_eq!(api.account(&root).await["name"], "Acme");
        }).await;
    }

    async fn bodies_are_json_and_say_what_is_wrong(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let at = format!("/v1/accounts/{root}/children");
            let send = |kind: &'static str, body: String| Answer::of(api.operator().request(Method::POST, &at).header("content-type", kind).body(body));
            let json = "application/json";
            let sound = r#"{"name": "x", "email": "x@example.com"}"#.to_owned();
            send("application/JSON", sound.clone()).await.created();
            for kind in ["text/plain", "application/json; charset=utf-8", "application/x-www-form-urlencoded"] {
                send(kind, sound.clone()).await.refused(415, "media_type_unsupported");
            }
            for body in ["", "{", "nope", &format!("{sound} {sound}")] {
                send(json, body.to_owned()).await.refused(400, "invalid_json");
            }
            let refused = send(json, r#"{"name": "x"}"#.to_owned()).await.refused(400, "invalid_field");
            assert_eq!(refused.body["errors"], json!([{"field": "email", "message": "is required"}]));
            let refused = send(json, r#"{"name": 7, "email": "x@example.com"}"#.to_owned()).await.refused(400, "invalid_field");
            assert_eq!(refused.body["errors"][0]["field"], "name");
            for (field, value) in [("name", ""), ("name", "a\u{7}b"), ("email", "nobody"), ("email", "a@b\r\nBcc: c@d.e")] {
                let mut body = json!({"name": "x", "email": "x@example.com"});
                body[field] = json!(value);
                let refused = api.operator().post(&at, body).await.refused(400, "invalid_field");
                assert_eq!(refused.body["errors"][0]["field"], field);
            }
            let large = json!({"name": "x", "email": "x@example.com", "metadata": {"x": "y".repeat(20_000)}});
            api.operator().post(&at, large).await.refused(400, "invalid_field");
            let huge = json!({"name": "x", "email": "x@example.com", "metadata": {"x": "y".repeat(2 << 20)}});
            api.operator().post(&at, huge).await.refused(413, "body_too_large");
        }).await;
    }

    async fn paths_are_canonical_and_slashes_may_trail(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let operator = api.operator();
            operator.get(&format!("/v1/accounts/{root}/")).await.ok();
            operator.get(&format!("/v2/accounts/{root}/children/?limit=1")).await.ok();
            // reqwest would repair these; a raw request does not.
            for path in ["//v1/accounts", "/v1//accounts", "/v1/../v1/accounts", "/v1/%2e%2e/accounts", "/v1/accounts%2fx", "/v1/accounts;x=1",
                "/v1/accounts%00", "/v1/a%5cb", "/v1/./accounts", "/v1/%252e/accounts"] {
                let answer = crate::network::raw(api, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
                assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("path_invalid"), "{path}: {answer}");
            }
            operator.get("/v1/nothing").await.refused(404, "route_unknown");
            operator.get("/nothing").await.refused(404, "route_unknown");
            operator.get("/v3/accounts").await.refused(404, "route_unknown");
            let wrong = operator.delete(&format!("/v1/accounts/{root}/children")).await.refused(405, "method_not_allowed");
            assert_eq!(wrong.header("allow"), "GET,HEAD,POST");
            operator.get("/v1/accounts/acc_1").await.refused(404, "not_found");
            operator.get("/v1/accounts/ACC_7ZZZZZZZZZZZZZZZZZZZZZZZZZ").await.refused(404, "not_found");
        }).await;
    }

    async fn parameters_are_known_and_in_range(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let at = format!("/v1/accounts/{root}/children");
            for query in ["limit=0", "limit=-1", "limit=101", "limit=1000000000", "limit=ten", "offset=-1", "status=gone", "limt=5"] {
                api.operator().get(&format!("{at}?{query}")).await.refused(400, "invalid_parameter");
            }
            api.operator().get(&format!("{at}?limit=100&offset=1000000000000")).await.ok();
            api.operator().post(&format!("{at}?dryrun=true"), json!({"name": "x", "email": "x@example.com"})).await.refused(400, "invalid_parameter");
            api.operator().post(&format!("{at}?dryRun=yes"), json!({"name": "x", "email": "x@example.com"})).await.refused(400, "invalid_parameter");
        }).await;
    }

    async fn every_answer_has_an_id_and_is_not_stored(database) {
        Api::run(database, async |api| {
            for path in ["/v1/accounts", "/nothing"] {
                let answer = api.operator().get(path).await;
                assert!(answer.header("x-request-id").starts_with("req_"), "{path}");
                assert_eq!((answer.header("cache-control"), answer.header("x-content-type-options")), ("no-store", "nosniff"));
            }
        }).await;
    }
}
