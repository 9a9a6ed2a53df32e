//! What an operator meets at the console: commands, configuration, tokens, refusals and signals.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenantry_testkit::{Database, both_engines};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::{OPERATOR, Server, Write, finish, serve, tamper, tenantry, tenantry_on};

both_engines! {
    async fn migrate_prepares_an_empty_database(database) {
        let refusal = finish(tenantry_on(&database, &["fsck"])).await.refused();
        assert!(refusal.contains("run `tenantry migrate`"), "{refusal}");
        for _ in 0..2 {
            let told = finish(tenantry_on(&database, &["migrate"])).await.succeeded();
            assert_eq!(told, "The schema is up to date.\n");
        }
        let told = finish(tenantry_on(&database, &["fsck"])).await.succeeded();
        assert_eq!(told, "0 accounts, 0 changes: all invariants hold\n");

        let mut server = Server::start(&database).await;
        let ready = server.api.http.get(format!("{}/readyz", server.ops)).send().await.unwrap();
        assert_eq!(ready.status(), 200);
        server.api.plant("Acme").await;
        server.stop().await.succeeded();
        let told = finish(tenantry_on(&database, &["fsck"])).await.succeeded();
        assert_eq!(told, "1 accounts, 1 changes: all invariants hold\n");
    }

    async fn a_newer_schema_is_refused(database) {
        finish(tenantry_on(&database, &["migrate"])).await.succeeded();
        tamper(
            &database,
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 999, 'from the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
        for command in
            [serve(&database), tenantry_on(&database, &["migrate"]), tenantry_on(&database, &["fsck"])]
        {
            let refusal = finish(command).await.refused();
            assert!(refusal.contains("has migration 999") && refusal.contains("run a newer binary"), "{refusal}");
        }
    }

    async fn the_database_of_another_program_is_refused(database) {
        finish(tenantry_on(&database, &["migrate"])).await.succeeded();
        tamper(&database, "UPDATE _sqlx_migrations SET checksum = checksum || checksum").await;
        for command in [serve(&database), tenantry_on(&database, &["migrate"])] {
            let refusal = finish(command).await.refused();
            assert!(refusal.contains("migration 1 was changed after it was applied"), "{refusal}");
        }
    }

    async fn fsck_names_what_does_not_hold(database) {
        let mut server = Server::start(&database).await;
        let root = server.api.plant("Acme").await;
        let child = Write::post(format!("/v1/accounts/{root}/children"), json!({"name": "A", "email": "a@example.com"}));
        server.api.send(&child).await.unwrap().expect_status(201);
        server.stop().await.succeeded();

        for (sql, invariant) in [
            ("UPDATE account SET child_count = 7 WHERE parent_id IS NULL", "I5 tree"),
            ("UPDATE changelog_head SET rev = rev + 1 WHERE bucket = 0", "changelog"),
            ("DELETE FROM audit_log_scope", "I10 an audit row in nobody's log"),
            ("DELETE FROM audit_log", "I10 a change without its audit row"),
        ] {
            tamper(&database, sql).await;
            let ended = finish(tenantry_on(&database, &["fsck"])).await;
            assert_eq!(ended.status.code(), Some(1), "{sql}");
            assert!(ended.stdout.contains(&format!("VIOLATED {invariant}: ")), "{sql}: {}", ended.stdout);
            assert!(ended.stdout.ends_with("INVARIANTS ARE VIOLATED\n"), "{}", ended.stdout);

            let ended = finish(tenantry_on(&database, &["fsck", "--json"])).await;
            assert_eq!(ended.status.code(), Some(1), "{sql}");
            let report: Value = ended.stdout.parse().unwrap();
            let findings = report["findings"].as_array().unwrap();
            assert!(findings.iter().any(|finding| finding["invariant"] == invariant), "{sql}: {report}");
        }
    }

    async fn the_first_start_makes_an_operator_token(database) {
        let mut first = Server::spawn(serve(&database)).await;
        let ended = first.stop().await;
        let tokens: Vec<_> = ended.stdout.split_whitespace().filter(|word| word.starts_with("tny_operator_")).collect();
        let [token] = tokens[..] else { panic!("one token, once: {}", ended.stdout) };
        assert!(!ended.stderr.contains(token), "the token stands in the log");

        let mut second = Server::spawn(serve(&database)).await;
        second.api.get("/v1/accounts", token).await.expect_status(200);
        second.api.get("/v1/accounts", OPERATOR).await.expect_status(401);
        assert_eq!(second.stop().await.succeeded(), "");
    }

    async fn two_servers_do_not_share_a_directory(database) {
        let mut server = Server::start(&database).await;
        let refusal = finish(serve(&database)).await.refused();
        assert!(refusal.contains("usage: in use by another process"), "{refusal}");
        server.stop().await.succeeded();
        Server::start(&database).await.stop().await.succeeded();
    }

    async fn what_was_sealed_with_one_secret_is_not_opened_with_another(database) {
        let with = |secret: &str| {
            let mut command = serve(&database);
            command.env("TENANTRY_SECRET", secret);
            command
        };
        for _ in 0..2 {
            Server::spawn(with("the secret of the deployment")).await.stop().await.succeeded();
        }
        for other in [with("another secret"), serve(&database)] {
            assert!(finish(other).await.refused().contains("began with another `secret`"));
        }
    }

    async fn a_request_in_flight_is_answered_before_the_end(database) {
        let mut server = Server::start(&database).await;
        // Leaves an idle connection behind, which must not keep the server.
        let root = server.api.plant("Acme").await;
        let body = json!({"name": "Slow", "email": "slow@example.com"}).to_string();
        let (one, other) = body.split_at(body.len() / 2);
        let mut slow = held_request(&server, &format!("/v1/accounts/{root}/children"), body.len()).await;
        slow.write_all(one.as_bytes()).await.unwrap();

        let told = Instant::now();
        server.terminate().await;
        server.logged("stopping").await;
        slow.write_all(other.as_bytes()).await.unwrap();
        let mut answer = String::new();
        slow.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        server.ended().await.succeeded();
        assert!(told.elapsed() < Duration::from_secs(15), "it waited for the end of the drain time");

        let server = Server::start(&database).await;
        assert_eq!(server.api.total(&format!("/v1/accounts/{root}/children")).await, 1);
    }
}

/// Opens a request whose body the server waits for.
async fn held_request(server: &Server, path: &str, length: usize) -> TcpStream {
    let address = server.api.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nx-api-key: {OPERATOR}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Sent when the handler asks for the body: from then on the request is in flight.
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut told = vec![0; go_on.len()];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(told, go_on);
    stream
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_the_server() {
    let database = Database::sqlite();
    let mut command = serve(&database);
    command.env("TENANTRY_OPERATOR_TOKEN", OPERATOR).args(["--drain-timeout", "1"]);
    let mut server = Server::spawn(command).await;
    let _held = held_request(&server, "/v1/accounts", 10).await;
    let told = Instant::now();
    server.terminate().await;
    server.ended().await.succeeded();
    assert!(told.elapsed() >= Duration::from_secs(1), "it did not wait");
    assert!(told.elapsed() < Duration::from_secs(15), "it waited for ever");
}

#[tokio::test]
async fn a_second_signal_ends_the_server_at_once() {
    let database = Database::sqlite();
    let mut server = Server::start(&database).await;
    let _held = held_request(&server, "/v1/accounts", 10).await;
    server.terminate().await;
    server.logged("stopping").await;
    let told = Instant::now();
    server.stop().await.refused();
    assert!(told.elapsed() < Duration::from_secs(15), "it waited for the end of the drain time");
}

#[tokio::test]
async fn a_short_operator_token_is_refused() {
    let database = Database::sqlite();
    let (short, long) = ("operator-token-of-31-characters", "operator-token-of-32-characters.");
    let mut command = serve(&database);
    command.env("TENANTRY_OPERATOR_TOKEN", short);
    let refusal = finish(command).await.refused();
    assert!(refusal.contains("fewer than 32 characters"), "{refusal}");
    assert!(!refusal.contains(short), "{refusal}");

    let mut command = serve(&database);
    command.env("TENANTRY_OPERATOR_TOKEN", long);
    let mut server = Server::spawn(command).await;
    server.api.get("/v1/accounts", long).await.expect_status(200);
    assert_eq!(server.stop().await.succeeded(), "");
}

/// A command line that reads a configuration file with this text.
fn configured(database: &Database, text: &str, arguments: &[&str]) -> tokio::process::Command {
    let path = database.directory.join("configuration.toml");
    std::fs::write(&path, text).unwrap();
    let mut command = tenantry_on(database, arguments);
    command.env("TENANTRY_CONFIG", path);
    command
}

#[tokio::test]
async fn a_file_configures_the_server() {
    let database = Database::sqlite();
    // All of 127.0.0.0/8 is this machine: an address that can only come from the file.
    let text = "listen = \"127.0.0.2:0\"\nops-listen = \"127.0.0.3:0\"\nlog-format = \"json\"\ndrain-timeout = 5\n";
    let mut server = Server::spawn(configured(&database, text, &["serve"])).await;
    assert!(server.api.url.starts_with("http://127.0.0.2:"), "{}", server.api.url);
    assert!(server.ops.starts_with("http://127.0.0.3:"), "{}", server.ops);
    // The next one has the same directory, which it does not share with one that is still ending.
    server.kill().await;

    let mut command = configured(&database, text, &["serve", "--listen", "127.0.0.4:0"]);
    command.env("TENANTRY_LISTEN", "127.0.0.5:0").env("TENANTRY_OPS_LISTEN", "127.0.0.5:0");
    let server = Server::spawn(command).await;
    assert!(server.api.url.starts_with("http://127.0.0.4:"), "a flag wins over a variable: {}", server.api.url);
    assert!(server.ops.starts_with("http://127.0.0.5:"), "a variable wins over the file: {}", server.ops);
}

#[tokio::test]
async fn a_file_with_a_mistake_is_refused_by_name() {
    let database = Database::sqlite();
    for (text, told) in [
        ("listne = \"127.0.0.1:0\"", "there is no setting `listne`"),
        ("json = \"true\"", "there is no setting `json`"),
        ("[listen]\nport = 1", "`listen` takes a text"),
        ("listen = 127.0.0.1", "configuration.toml, line 1: "),
        ("listen = \"nowhere\"", "nowhere"),
        ("default-max-depth = 17", "17"),
    ] {
        let ended = finish(configured(&database, text, &["serve"])).await;
        assert!(!ended.status.success(), "{text}");
        assert!(ended.stderr.contains(told), "{text}: {}", ended.stderr);
    }
    let mut command = serve(&database);
    command.env("TENANTRY_CONFIG", database.directory.join("missing.toml"));
    let refusal = finish(command).await.refused();
    assert!(refusal.contains("missing.toml: "), "{refusal}");
}

#[tokio::test]
async fn the_authority_of_the_mail_server_is_read_or_refused() {
    let database = Database::sqlite();
    let path = database.directory.join("ca.pem");
    let command = || {
        let mut command = serve(&database);
        command.args(["--smtp-url", "smtps://mail.example", "--smtp-ca"]).arg(&path);
        command
    };
    let refusal = finish(command()).await.refused();
    assert!(refusal.contains("smtp-ca: ") && refusal.contains("ca.pem: "), "{refusal}");
    std::fs::write(&path, "This is no certificate.").unwrap();
    let refusal = finish(command()).await.refused();
    assert!(refusal.contains("smtp-ca: no certificate can be read from it"), "{refusal}");
}

#[tokio::test]
async fn openapi_is_json() {
    let document: Value = finish(tenantry(&["openapi"])).await.succeeded().parse().unwrap();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{}", document["openapi"]);
    assert!(document["paths"]["/v1/accounts/{account}/children"]["post"].is_object());
}
