//! No secret ever stands in the logs, whatever level they are at, nor in the files of the database.

use std::path::Path;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tenantry_testkit::{Database, both_engines};

use crate::server::{Api, OPERATOR, Server, Write, finish, read, serve, tenantry};

/// A name that must stand in the database: a search that does not find it finds nothing.
const CANARY: &str = "canary-of-the-keys";

const PASSWORD: &str = "the-password-of-the-database";

both_engines! {
    async fn s20_no_secret_is_logged_or_stored(database) {
        let mut command = serve(&database);
        command.env("TENANTRY_LOG", "trace").env("TENANTRY_OPERATOR_TOKEN", OPERATOR);
        let mut server = Server::spawn(command).await;
        let one = server.api.clone();
        let two = Api { http: Client::builder().http2_prior_knowledge().build().unwrap(), ..one.clone() };

        let mut secrets = vec![OPERATOR.to_owned()];
        for api in [one, two] {
            secrets.extend(keys_of_a_new_account(&api).await);
            secrets.extend(secrets_of_a_new_user(&api).await);
        }
        let traces = traces(&secrets);
        check_files(&database, &traces);
        let ended = server.stop().await;
        check_files(&database, &traces);

        for (trace, secret) in &traces {
            let place = ended.stderr.lines().find(|line| line.contains(trace.as_str()));
            assert_eq!(place, None, "{secret} stands in the log");
            assert!(!ended.stdout.contains(trace), "{secret} was printed");
        }
        for level in ["TRACE", "DEBUG", "INFO"] {
            assert!(ended.stderr.contains(&format!("\"level\":\"{level}\"")), "nothing was logged at {level}");
        }
        ended.succeeded();
    }
}

/// Makes keys in all ways there are, and uses and misuses them in all ways there are; answers their secrets.
async fn keys_of_a_new_account(api: &Api) -> Vec<String> {
    let account = api.plant("Acme").await;
    let keys = format!("/v1/accounts/{account}/keys");
    let make = |credential: &str, once: Option<&str>| Write {
        credential: credential.to_owned(),
        once: once.map(str::to_owned),
        ..Write::post(&keys, json!({"name": CANARY}))
    };
    let first = api.send(&make(OPERATOR, None)).await.unwrap().expect_status(201).field("secret");

    // Answers to requests with an idempotency key are kept.
    let once = make(&first, Some("once"));
    let made = api.send(&once).await.unwrap().expect_status(201);
    let second = made.field("secret");
    let again = api.send(&once).await.unwrap().expect_status(201);
    assert!(again.replayed && again.text == made.text);

    let rotate = Write::post(format!("{keys}/{}/rotate", made.field("id")), json!({"overlap": "now"}))
        .once(&format!("rotate-{account}"));
    let third = api.send(&rotate).await.unwrap().expect_status(201).field("secret");
    api.get("/org", &second).await.expect_status(401);

    for secret in [first.as_str(), third.as_str(), OPERATOR] {
        use_well(api, &account, secret).await;
        use_badly(api, &account, secret, &first).await;
    }
    let suspend = Write::post(format!("/v1/accounts/{account}/suspend"), json!({}));
    api.send(&suspend).await.unwrap().expect_status(200);
    api.get("/org", &third).await.expect_status(403);
    vec![first, second, third]
}

/// Makes a user in all ways there are for them to prove who they are; answers all that nobody else may know.
async fn secrets_of_a_new_user(api: &Api) -> Vec<String> {
    let post = async |credential: &str, path: &str, body: Value, status: u16| {
        let write = Write { credential: credential.to_owned(), ..Write::post(path, body) };
        api.send(&write).await.unwrap().expect_status(status).json()
    };
    let tag = unique();
    let (email, password) = (format!("user-{tag}@example.com"), format!("the-password-of-{tag}"));
    post("", "/v1/users", json!({"email": email, "password": password, "name": "Ann"}), 202).await;
    let verify = mailed_token(api, &email, &[]).await;
    post("", "/v1/users/verify", json!({"token": verify}), 200).await;
    let sign_in = json!({"email": email, "password": password});
    let session = text(&post("", "/v1/sessions", sign_in, 201).await, "token");
    let begun = post(&session, "/v1/users/me/authenticator", json!({}), 201).await;
    post("", "/v1/users/password-reset", json!({"email": email}), 202).await;
    let reset = mailed_token(api, &email, &[&verify]).await;

    let account = api.plant("Acme").await;
    let limits = api.http.put(format!("{}/v1/accounts/{account}/limits", api.url)).header("x-api-key", OPERATOR);
    read(json_body(limits, &json!({"superOrganization": true}))).await.unwrap().expect_status(200);
    let invitations = format!("/v1/accounts/{account}/invitations");
    let invited = post(OPERATOR, &invitations, json!({"email": email, "role": "admin"}), 201).await;
    let links = format!("/v1/accounts/{account}/enrollment-links");
    let link = post(OPERATOR, &links, json!({}), 201).await;
    let invitation = token_in(&text(&invited, "link"));
    post(&session, "/v1/invitations/accept", json!({"token": invitation}), 200).await;
    vec![password, verify, session, text(&begun, "secret"), reset, invitation, text(&link, "token")]
}

fn unique() -> u32 {
    static COUNTER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// The token of a link to an address that is none of those before, out of the mailbox that the operator reads where no mail is sent.
async fn mailed_token(api: &Api, email: &str, before: &[&String]) -> String {
    for _ in 0..100 {
        let mailbox = api.get("/v1/mailbox?limit=100", OPERATOR).await.expect_status(200).json();
        let mails = mailbox["data"].as_array().unwrap().clone();
        // The mail of a repeated request comes a moment later than the answer.
        let found = mails.iter().filter(|mail| mail["to"] == email).map(|mail| token_in(&text(mail, "text")));
        if let Some(token) = found.into_iter().find(|token| !before.contains(&token)) {
            return token;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no mail to {email}");
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

fn token_in(text: &str) -> String {
    text.split("token=").nth(1).unwrap().chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Presents a credential in each of the headers for it.
async fn use_well(api: &Api, account: &str, secret: &str) {
    let address = format!("{}/v1/accounts/{account}", api.url);
    let get = || api.http.get(&address);
    for request in [get().header("x-api-key", secret), get().header("x-auth-token", secret), get().bearer_auth(secret)]
    {
        read(request).await.unwrap().expect_status(200);
    }
    let rename =
        api.http.patch(&address).header("x-api-key", secret).header("idempotency-key", format!("rename-{account}"));
    read(json_body(rename, &json!({"name": "Renamed"}))).await.unwrap().expect_status(200);
}

/// Puts a credential where none belongs.
async fn use_badly(api: &Api, account: &str, secret: &str, other: &str) {
    let at = |path: &str| format!("{}{path}", api.url);
    let get = |path: &str| api.http.get(at(path)).header("x-api-key", secret);
    let post = |path: &str| api.http.post(at(path)).header("x-api-key", secret);
    let keys = format!("/v1/accounts/{account}/keys");
    let refused = [
        api.http.get(at(&format!("/v1/org?api_key={secret}"))),
        api.http.get(at(&format!("/v1/org?colour={secret}"))),
        api.http.get(at("/v1/org")).header("x-api-key", format!("{secret}x")),
        api.http.get(at("/v1/org")).header("x-api-key", format!("{other}x")).bearer_auth(secret),
        api.http.get(at("/v1/org")).header("authorization", format!("Basic {secret}")),
        get("/v1/org").header("x-assume-org", secret),
        get(&format!("/{secret}")),
        get(&format!("/v1/accounts/{secret}")),
        get(&format!("/v1/accounts/{account}/keys/{secret}")),
        get(&format!("/v1/accounts?status={secret}")),
        api.http.request(Method::PATCH, at(&format!("/v1/org/{secret}"))).header("x-api-key", secret),
        post(&keys).header("content-type", "application/json").body(format!("{{\"name\": {secret}}}")),
        post(&keys).header("content-type", "application/json").body(format!("{{\"{secret}\": 1}}")),
        post(&keys).header("content-type", secret).body("{}"),
        json_body(post(&keys), &json!({"name": format!("{secret}\u{0}")})),
        json_body(post(&keys), &json!({"name": "n", "environment": secret})),
        json_body(post(&keys), &json!({"name": "n", "scopes": [secret]})),
        json_body(post(&keys).header("if-match", secret).header("idempotency-key", secret), &json!({"name": ""})),
        json_body(post(&format!("{keys}?dryRun={secret}")), &json!({"name": "n"})),
    ];
    for request in refused {
        let shown = format!("{request:?}");
        let answer = read(request).await.unwrap();
        assert!((400..500).contains(&answer.status), "{shown}: {answer:?}");
    }
    let dry = read(json_body(post(&format!("{keys}?dryRun=true")), &json!({"name": "n"}))).await.unwrap();
    assert_eq!(dry.expect_status(200).json()["result"]["secret"], Value::Null);
}

fn json_body(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.to_string())
}

/// What must not be found anywhere, beside the secret that it would give away. Of a key that is all but the
/// ends, which are shown so that people can tell keys apart.
fn traces(secrets: &[String]) -> Vec<(String, &str)> {
    let trace = |secret: &str| match secret.rsplit_once('_') {
        Some((key, _)) => key.rsplit_once('_').unwrap().1[..24].to_owned(),
        None => secret.to_owned(),
    };
    secrets.iter().map(|secret| (trace(secret), secret.as_str())).collect()
}

/// Searches the files of an embedded database, its write-ahead log included, and those of usage.
fn check_files(database: &Database, traces: &[(String, &str)]) {
    if database.is_postgres() {
        return;
    }
    let of = |directory: &Path| std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let usage = database.directory.join("usage");
    let files: Vec<_> = of(&database.directory).chain(of(&usage)).filter(|path| path.is_file()).collect();
    let contents: Vec<_> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let found = |text: &str| {
        let holds = |bytes: &Vec<u8>| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        files.iter().zip(&contents).find(|(_, bytes)| holds(bytes)).map(|(path, _)| path.as_path())
    };
    assert!(found(CANARY).is_some(), "the names of the keys are not found in {files:?}");
    for (trace, secret) in traces {
        assert_eq!(found(trace), None::<&Path>, "{secret} is stored");
    }
}

#[tokio::test]
async fn the_password_of_the_database_is_not_shown() {
    let at = |rest: &str| format!("postgres://tenantry:{PASSWORD}@127.0.0.1:{rest}");
    // Nothing listens at port 1: that takes as long as the server waits for a connection, so all at once.
    let (nobody, unreadable, unknown) = (at("1/tenantry"), at("port/tenantry"), at("1/tenantry?sslmode=perhaps"));
    tokio::join!(
        refused_without_password("serve", &nobody),
        refused_without_password("migrate", &nobody),
        refused_without_password("fsck", &nobody),
        refused_without_password("serve", &unreadable),
        refused_without_password("serve", &unknown),
    );
}

async fn refused_without_password(tool: &str, address: &str) {
    let mut command = tenantry(&[tool, "--database-url", address]);
    for listener in ["TENANTRY_LISTEN", "TENANTRY_GATEWAY_LISTEN", "TENANTRY_OPS_LISTEN"] {
        command.env(listener, "127.0.0.1:0");
    }
    command.env("TENANTRY_LOG", "trace");
    let refusal = finish(command).await.refused();
    assert!(refusal.contains("database") && !refusal.contains(PASSWORD), "{tool}: {refusal}");
}

#[tokio::test]
async fn help_shows_no_secret_of_the_environment() {
    let mut command = tenantry(&["serve", "--help"]);
    command.env("TENANTRY_OPERATOR_TOKEN", OPERATOR).env("TENANTRY_DATABASE_URL", PASSWORD);
    let help = finish(command).await.succeeded();
    assert!(help.contains("TENANTRY_OPERATOR_TOKEN"), "{help}");
    assert!(!help.contains(OPERATOR) && !help.contains(PASSWORD), "{help}");
}

#[tokio::test]
async fn no_secret_of_the_file_is_shown() {
    let directory = tenantry_testkit::fresh_directory("configuration");
    let path = directory.join("tenantry.toml");
    for (text, arguments) in [
        (format!("operator-token = \"{OPERATOR}\"\ndatabase-url = \"{PASSWORD}\""), ["serve", "--help"]),
        (format!("operator-token = \"{OPERATOR}\ndatabase-url = \"{PASSWORD}\""), ["fsck", "--json"]),
    ] {
        std::fs::write(&path, text).unwrap();
        let mut command = tenantry(&arguments);
        command.env("TENANTRY_CONFIG", &path);
        let ended = finish(command).await;
        let said = ended.stdout + &ended.stderr;
        assert!(!said.contains(OPERATOR) && !said.contains(PASSWORD), "{said}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}

/// Whoever else has an account on the machine reads neither keys' hashes nor the audit log.
#[tokio::test]
async fn the_files_of_the_database_are_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let database = Database::sqlite();
    let server = Server::start(&database).await;
    server.api.plant("Acme").await;
    let directory = std::path::Path::new(&database.url).parent().unwrap();
    for file in std::fs::read_dir(directory).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", file.path().display());
    }
}
