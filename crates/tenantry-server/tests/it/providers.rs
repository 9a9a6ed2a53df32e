//! Signing in at a real OpenID Connect provider, through its own pages.

use std::collections::BTreeMap;

use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tenantry_server::Config;
use tenantry_server::config::Provider;
use tenantry_store::Limits;
use tenantry_testkit::peers::Peer;
use tenantry_testkit::{Database, both_engines};

use crate::support::{Answer, Api, cookies, with_cookie};

/// A browser that keeps cookies, follows redirects within the provider, and fills in its forms.
struct Browser {
    http: reqwest::Client,
    provider: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new(port: u16) -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none()).build().expect("a client");
        Self { http, provider: format!("http://127.0.0.1:{port}"), cookies: BTreeMap::new() }
    }

    /// Goes to the provider's page, signs in as `login`, consents, and ends where the provider sends the browser back to:
    /// the parameters of that address.
    async fn visit(&mut self, url: &str, login: &str) -> BTreeMap<String, String> {
        let mut next = self.open(self.http.get(url)).await;
        for _ in 0..20 {
            next = match next {
                Page::Elsewhere(url) if !url.starts_with(&self.provider) => return parameters(&url),
                Page::Elsewhere(url) => self.open(self.http.get(url)).await,
                Page::Form(action, prompt) => {
                    let body = format!("prompt={prompt}&login={login}&password=x");
                    let form =
                        self.http.post(action).header("content-type", "application/x-www-form-urlencoded").body(body);
                    self.open(form).await
                }
            };
        }
        panic!("the provider sends the browser round in circles");
    }

    async fn open(&mut self, request: reqwest::RequestBuilder) -> Page {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header("cookie", cookies.join("; ")).send().await.expect("the provider");
        for set in response.headers().get_all("set-cookie") {
            let pair = set.to_str().expect("text").split(';').next().expect("a pair");
            let (name, value) = pair.split_once('=').expect("a pair");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        if let Some(location) = response.headers().get("location") {
            let location = location.to_str().expect("text");
            let whole =
                if location.starts_with('/') { format!("{}{location}", self.provider) } else { location.to_owned() };
            return Page::Elsewhere(whole);
        }
        let (status, html) = (response.status(), response.text().await.expect("a page"));
        let between = |start: &str, end: char| html.split_once(start).and_then(|(_, rest)| rest.split(end).next());
        let action = between("action=\"", '"').unwrap_or_else(|| panic!("{status}, no form in {html}"));
        let prompt = between("name=\"prompt\" value=\"", '"').expect("a prompt");
        Page::Form(action.to_owned(), prompt.to_owned())
    }
}

enum Page {
    Elsewhere(String),
    Form(String, String),
}

fn parameters(url: &str) -> BTreeMap<String, String> {
    let (_, query) = url.split_once('?').expect("parameters");
    query.split('&').filter_map(|pair| pair.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

fn answer(parameters: &BTreeMap<String, String>) -> Value {
    json!({"state": parameters["state"], "code": parameters["code"]})
}

/// What the page does to which the provider sends the browser back.
async fn confirm(api: &Api, cookie: &str, answer: Value) -> Answer {
    with_cookie(api, "/v1/sessions/provider/confirm", cookie, &[], answer).await
}

async fn sign_in(api: &Api, browser: &mut Browser, login: &str) -> Answer {
    let away = api.anonymous().post("/v1/sessions/provider", json!({"provider": "corp"})).await.ok();
    let back = browser.visit(&away.text("url"), login).await;
    confirm(api, &cookies(&away)[0], answer(&back)).await
}

async fn with_provider(database: Database, test: impl AsyncFnOnce(&Api, u16)) {
    let peer = Peer::oidc(&format!("{}/link/provider", Config::default().public_url));
    let provider = Provider {
        name: "corp".to_owned(),
        issuer: format!("http://127.0.0.1:{}", peer.port),
        client_id: "tenantry".to_owned(),
        client_secret: "a secret of the tests".to_owned(),
    };
    let config = Config { providers: vec![provider], ..Config::default() };
    Api::run_with(database, Limits::DEFAULT, config, async |api| test(api, peer.port).await).await;
}

both_engines! {
    async fn who_comes_back_is_signed_in(database) {
        with_provider(database, async |api, port| {
            assert_eq!(api.anonymous().get("/v1/providers").await.ok().body["data"], json!(["corp"]));
            let first = sign_in(api, &mut Browser::new(port), "ann").await.created();
            assert_eq!((&first.body["user"]["email"], &first.body["user"]["name"]), (&json!("ann@example.com"), &json!("ann of the provider")));
            let ann = api.key(&first.text("token"));
            let me = ann.get("/v1/users/me").await.ok().body;
            assert_eq!((&me["security"]["password"], &me["security"]["identities"][0]["provider"]), (&json!(false), &json!("corp")));
            let again = sign_in(api, &mut Browser::new(port), "ann").await.created();
            assert_eq!(again.body["user"]["id"], first.body["user"]["id"], "the same user");
        }).await;
    }

    async fn s27_an_address_alone_links_nobody(database) {
        with_provider(database, async |api, port| {
            let ann = api.user("ann").await;
            sign_in(api, &mut Browser::new(port), "ann").await.refused(409, "identity_taken");
            sign_in(api, &mut Browser::new(port), "unverified-eve").await.refused(400, "provider_refused");
            // Who is signed in links themselves.
            let mut browser = Browser::new(port);
            let away = ann.post("/v1/users/me/identities", json!({"provider": "corp"})).await.ok();
            let back = browser.visit(&away.text("url"), "ann").await;
            let ben = api.user("ben").await;
            // What somebody else began cannot be finished, nor used to sign in.
            let cookie = format!("__Host-tenantry-away={}", back["state"]);
            confirm(api, &cookie, answer(&back)).await.refused(400, "token_invalid");
            ann.post("/v1/users/me/identities/confirm", answer(&back)).await.created();
            assert_eq!(sign_in(api, &mut Browser::new(port), "ann").await.created().body["user"]["id"], ann.id);
            let away = ben.post("/v1/users/me/identities", json!({"provider": "corp"})).await.ok();
            let back = Browser::new(port).visit(&away.text("url"), "ann").await;
            ben.post("/v1/users/me/identities/confirm", answer(&back)).await.refused(409, "identity_taken");
        }).await;
    }

    async fn answers_of_a_provider_are_good_once(database) {
        with_provider(database, async |api, port| {
            let away = api.anonymous().post("/v1/sessions/provider", json!({"provider": "corp"})).await.ok();
            let back = Browser::new(port).visit(&away.text("url"), "ann").await;
            let cookie = &cookies(&away)[0];
            let forged = json!({"state": back["state"], "code": "forged"});
            confirm(api, cookie, forged).await.refused(400, "provider_refused");
            confirm(api, cookie, answer(&back)).await.refused(400, "token_invalid");
            let unknown = json!({"state": "0".repeat(32), "code": back["code"]});
            confirm(api, &format!("__Host-tenantry-away={}", "0".repeat(32)), unknown).await.refused(400, "token_invalid");
        }).await;
    }

    async fn nobody_is_signed_in_with_the_answer_of_somebody_else(database) {
        with_provider(database, async |api, port| {
            let theirs = api.anonymous().post("/v1/sessions/provider", json!({"provider": "corp"})).await.ok();
            let back = Browser::new(port).visit(&theirs.text("url"), "ann").await;
            api.anonymous().post("/v1/sessions/provider/confirm", answer(&back)).await.refused(400, "token_invalid");
            let own = api.anonymous().post("/v1/sessions/provider", json!({"provider": "corp"})).await.ok();
            confirm(api, &cookies(&own)[0], answer(&back)).await.refused(400, "token_invalid");
            confirm(api, &cookies(&theirs)[0], answer(&back)).await.created();
        }).await;
    }
}
