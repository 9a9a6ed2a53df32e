//! A server of one's own, and typed callers that talk to it over HTTP.

use std::net::SocketAddr;
use std::path::Path;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tenantry_core::Timestamp;
use tenantry_server::clock::Clock;
use tenantry_server::{Config, Running, Server};
use tenantry_store::{Limits, Location, Store};
use tenantry_testkit::Database;

pub(crate) const OPERATOR: &str = "operator-token-of-the-tests-0123456789";

/// The password of everybody.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// An id that is well-formed and names nothing.
pub(crate) const NOBODY: &str = "acc_7zzzzzzzzzzzzzzzzzzzzzzzzz";

/// 2026-01-31T12:00:00Z.
const START: Timestamp = Timestamp(1_769_860_800_000_000);

/// A running server.
pub(crate) struct Api {
    pub(crate) running: Running,
    pub(crate) clock: Clock,
    /// Kept for as long as the server runs.
    pub(crate) database: Database,
    pub(crate) base: String,
    http: reqwest::Client,
}

impl Api {
    /// Runs `test` against a server of its own; afterwards the invariants must hold.
    pub(crate) async fn run(database: Database, test: impl AsyncFnOnce(&Self)) {
        Self::run_with(database, Limits::DEFAULT, Config::default(), test).await;
    }

    pub(crate) async fn run_with(database: Database, limits: Limits, config: Config, test: impl AsyncFnOnce(&Self)) {
        let api = Self::start(database, Clock::manual(START), limits, config).await;
        test(&api).await;
        api.end().await;
    }

    /// A server that has to be ended.
    pub(crate) async fn begin(database: Database) -> Self {
        Self::start(database, Clock::manual(START), Limits::DEFAULT, Config::default()).await
    }

    /// Checks that the invariants hold, and stops the server.
    pub(crate) async fn end(self) {
        let report = self.running.app.store.fsck().await.expect("fsck");
        assert_eq!(report.findings, [], "the invariants must hold at the end of every test");
        self.running.stop().await;
    }

    /// The same deployment after its server was stopped, something was done to its files, and another server was started.
    pub(crate) async fn restarted(self, meanwhile: impl FnOnce(&Path)) -> Self {
        let Self { running, clock, database, .. } = self;
        running.stop().await;
        meanwhile(&database.directory);
        Self::start(database, clock, Limits::DEFAULT, Config::default()).await
    }

    async fn start(database: Database, clock: Clock, limits: Limits, config: Config) -> Self {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let store = Store::migrate(&Location::from(database.url.as_str()), limits).await.expect("migrate");
        let server = Server::bind(any, any).await.expect("bind").with_gateway(any).await.expect("bind");
        let usage_dir = database.directory.join("usage");
        let config = Config { operator_token: Some(OPERATOR.to_owned()), usage_dir, ..config };
        let running = server.start(store, clock.clone(), config).await.expect("start");
        let base = format!("http://{}", running.control);
        Self { running, clock, database, base, http: reqwest::Client::new() }
    }

    pub(crate) fn operator(&self) -> Caller<'_> {
        self.caller(Some(OPERATOR))
    }

    pub(crate) fn anonymous(&self) -> Caller<'_> {
        self.caller(None)
    }

    pub(crate) fn key(&self, secret: &str) -> Caller<'_> {
        self.caller(Some(secret))
    }

    fn caller(&self, credential: Option<&str>) -> Caller<'_> {
        Caller { api: self, credential: credential.map(str::to_owned), assume: None }
    }

    /// A root, by its id.
    pub(crate) async fn root(&self, name: &str) -> String {
        let body = json!({"name": name, "email": "root@example.com"});
        self.operator().post("/v1/accounts", body).await.created().id()
    }

    /// A child, by its id.
    pub(crate) async fn child(&self, parent: &str, name: &str) -> String {
        let body = json!({"name": name, "email": "child@example.com"});
        self.operator().post(&format!("/v1/accounts/{parent}/children"), body).await.created().id()
    }

    /// A line of accounts from a root down, by their ids.
    pub(crate) async fn line<const N: usize>(&self, name: &str) -> [String; N] {
        let mut ids: Vec<String> = vec![self.root(name).await];
        for level in 1..N {
            ids.push(self.child(&ids[level - 1], &format!("{name} {}", level + 1)).await);
        }
        ids.try_into().expect("N ids")
    }

    /// A key of an account with all of its rights.
    pub(crate) async fn key_of(&self, account: &str) -> Caller<'_> {
        let secret = self.new_key(account, json!({"name": "test"})).await.text("secret");
        self.key(&secret)
    }

    pub(crate) async fn new_key(&self, account: &str, body: Value) -> Answer {
        self.operator().post(&format!("/v1/accounts/{account}/keys"), body).await.created()
    }

    /// The mails to an address, newest first, after all that are due were sent.
    pub(crate) async fn mails(&self, to: &str) -> Vec<String> {
        self.running.deliver().await.expect("deliver");
        let mailbox = self.operator().get("/v1/mailbox?limit=100").await.ok().body;
        let mails = mailbox["data"].as_array().expect("mails").iter();
        mails.filter(|mail| mail["to"] == to).map(|mail| mail["text"].as_str().expect("text").to_owned()).collect()
    }

    /// The token of the newest link that was mailed to an address.
    pub(crate) async fn mailed_token(&self, to: &str) -> String {
        let mails = self.mails(to).await;
        token_in(mails.iter().find(|mail| mail.contains("token=")).unwrap_or_else(|| panic!("no link to {to}")))
    }

    /// Somebody who signed up with `<name>@example.com`, followed the link, and is signed in.
    pub(crate) async fn user(&self, name: &str) -> Person<'_> {
        let email = format!("{name}@example.com");
        let new = json!({"email": email, "password": PASSWORD, "name": name});
        self.anonymous().post("/v1/users", new).await.is(202);
        let token = self.mailed_token(&email).await;
        self.anonymous().post("/v1/users/verify", json!({"token": token})).await.ok();
        self.sign_in(&email).await
    }

    pub(crate) async fn sign_in(&self, email: &str) -> Person<'_> {
        let signed_in =
            self.anonymous().post("/v1/sessions", json!({"email": email, "password": PASSWORD})).await.created();
        Person {
            caller: self.key(&signed_in.text("token")),
            id: signed_in.body["user"]["id"].as_str().expect("id").to_owned(),
            email: email.to_owned(),
            personal: signed_in.body["user"]["accountId"].as_str().expect("id").to_owned(),
        }
    }

    /// A user who was invited to `account` by the operator and accepted.
    pub(crate) async fn member(&self, account: &str, name: &str, role: &str) -> Person<'_> {
        let token = self.invite(&self.operator(), account, &format!("{name}@example.com"), role).await;
        let said = json!({"token": token, "name": name, "password": PASSWORD});
        self.anonymous().post("/v1/invitations/accept", said).await.ok();
        self.sign_in(&format!("{name}@example.com")).await
    }

    /// Invites an address; answers the token of the link.
    pub(crate) async fn invite(&self, inviter: &Caller<'_>, account: &str, email: &str, role: &str) -> String {
        let at = format!("/v1/accounts/{account}/invitations");
        let invited = inviter.post(&at, json!({"email": email, "role": role})).await.created();
        token_in(&invited.text("link"))
    }

    /// What `GET /v1/accounts/{id}` says, as the operator sees it.
    pub(crate) async fn account(&self, id: &str) -> Value {
        self.operator().get(&format!("/v1/accounts/{id}")).await.ok().body
    }
}

/// Runs all of them at once, and answers what came of each.
pub(crate) async fn all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, answer) in running.iter_mut().filter(|(_, answer)| answer.is_none()) {
            if let std::task::Poll::Ready(ready) = future.as_mut().poll(context) {
                *answer = Some(ready);
            }
        }
        let done = running.iter().all(|(_, answer)| answer.is_some());
        if done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, answer)| answer).collect()
}

/// The token of the link in a text.
pub(crate) fn token_in(text: &str) -> String {
    let (_, rest) = text.split_once("token=").unwrap_or_else(|| panic!("no link in {text}"));
    rest.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// A user who is signed in.
#[derive(Clone)]
pub(crate) struct Person<'a> {
    pub(crate) caller: Caller<'a>,
    pub(crate) id: String,
    pub(crate) email: String,
    /// Their personal account.
    pub(crate) personal: String,
}

impl<'a> std::ops::Deref for Person<'a> {
    type Target = Caller<'a>;
    fn deref(&self) -> &Caller<'a> {
        &self.caller
    }
}

/// Somebody with a credential, or without.
#[derive(Clone)]
pub(crate) struct Caller<'a> {
    api: &'a Api,
    pub(crate) credential: Option<String>,
    assume: Option<String>,
}

impl Caller<'_> {
    /// The same caller acting on behalf of another account.
    pub(crate) fn assuming(&self, account: &str) -> Self {
        Self { assume: Some(account.to_owned()), ..self.clone() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.request_to(method, &format!("{}{path}", self.api.base))
    }

    /// The same to another server.
    pub(crate) fn request_to(&self, method: Method, url: &str) -> reqwest::RequestBuilder {
        let mut request = self.api.http.request(method, url);
        if let Some(credential) = &self.credential {
            request = request.header("x-api-key", credential);
        }
        if let Some(account) = &self.assume {
            request = request.header("x-assume-org", account);
        }
        request
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(method, path);
        Answer::of(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// A POST without a body.
    pub(crate) async fn act(&self, path: &str) -> Answer {
        self.send(Method::POST, path, None).await
    }

    /// Moves `account` below `parent`.
    pub(crate) async fn move_below(&self, account: &str, parent: &str) -> Answer {
        self.patch(&format!("/v1/accounts/{account}/parent"), json!({"parentId": parent})).await
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        // Only nginx is answered in headers alone.
        let bare = text.is_empty() && (status == 204 || headers.contains_key("x-tenantry-code"));
        let read = || {
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} with a body that is not JSON: {text:?}"))
        };
        let body: Value = if bare { Value::Null } else { read() };
        if status >= 400 && !bare {
            assert_eq!(headers["content-type"], "application/problem+json");
            assert_eq!(body["status"], status);
            assert_eq!(body["requestId"].as_str(), headers["x-request-id"].to_str().ok());
        }
        Self { status, headers, body }
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.is(200)
    }

    #[track_caller]
    pub(crate) fn created(self) -> Self {
        self.is(201)
    }

    /// Asserts that the request was refused with this status and code.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{:#}", self.body);
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no text {field} in {:#}", self.body)).to_owned()
    }

    #[track_caller]
    pub(crate) fn id(&self) -> String {
        self.text("id")
    }

    /// The names of the rows of a list.
    #[track_caller]
    pub(crate) fn names(&self) -> Vec<&str> {
        let rows = self.body["data"].as_array().unwrap_or_else(|| panic!("no list: {:#}", self.body));
        rows.iter().map(|row| row["name"].as_str().expect("a name")).collect()
    }

    /// The fields of the body, in the order of the wire.
    pub(crate) fn fields(&self) -> Vec<&str> {
        fields(&self.body)
    }
}

/// The names of the fields of an object, sorted.
pub(crate) fn fields(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// A POST with the cookies of a browser.
pub(crate) async fn with_cookie(api: &Api, path: &str, cookie: &str, headers: &[(&str, &str)], body: Value) -> Answer {
    let mut request = api.anonymous().request(Method::POST, path).header("cookie", cookie).json(&body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

/// The cookies that an answer sets, as a browser sends them back.
pub(crate) fn cookies(answer: &Answer) -> Vec<String> {
    let set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text"));
    set.map(|line| line.split(';').next().expect("a pair").to_owned()).collect()
}
