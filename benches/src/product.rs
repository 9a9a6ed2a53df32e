//! A server to measure, in this process but asked over HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde_json::{Value, json};
use tenantry_core::account::Limits;
use tenantry_core::id::AccountId;
use tenantry_server::clock::Clock;
use tenantry_server::{App, Config, Running, Server};
use tenantry_store::{Location, Store};

use crate::Result;
use crate::client::{Client, request};

const OPERATOR: &str = "the operator of the benchmarks, 32 or more characters";

/// A server that runs.
pub(crate) struct Product {
    running: Running,
}

impl Product {
    /// Starts a server on a database, which gets the schema if it has none. Other files of it are in `directory`.
    pub(crate) async fn start(location: &Location, directory: &Path) -> Result<Self> {
        let store = Store::migrate(location, Limits::DEFAULT).await?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let usage_dir = directory.join("usage");
        let config = Config { operator_token: Some(OPERATOR.to_owned()), usage_dir, ..Config::default() };
        let started = Server::bind(any, any).await?.start(store, Clock::system(), config).await;
        Ok(Self { running: started.map_err(|error| format!("the server does not start: {error:?}"))? })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running.control
    }

    /// What its requests share.
    pub(crate) fn app(&self) -> &App {
        &self.running.app
    }

    /// Waits until all that calls used is in the database.
    pub(crate) async fn ship(&self) -> Result<()> {
        self.running.ship().await.map_err(|error| error.to_string().into())
    }

    /// Its database.
    pub(crate) fn store(&self) -> &Store {
        &self.running.app.store
    }

    /// Makes a super organization, and returns its id.
    pub(crate) async fn plant(&self, name: &str) -> Result<AccountId> {
        let root = self.operate("POST", "/v1/accounts", &json!({"name": name, "email": "root@bench.example"})).await?;
        let root: AccountId = text(&root, "id")?.parse()?;
        self.operate("PUT", &format!("/v1/accounts/{root}/limits"), &json!({"superOrganization": true})).await?;
        Ok(root)
    }

    /// Makes a key of an account, and returns its secret.
    pub(crate) async fn key(&self, account: AccountId) -> Result<String> {
        let made = self.operate("POST", &format!("/v1/accounts/{account}/keys"), &json!({"name": "bench"})).await?;
        text(&made, "secret")
    }

    /// Makes a user, by the link in the mail that the operator can read where none is sent.
    pub(crate) async fn sign_up(&self, email: &str, password: &str) -> Result<()> {
        let body = json!({"email": email, "password": password, "name": "Bench"});
        let mut client = Client::connect(self.address()).await?;
        client.send(&request("POST", "/v1/users", "", &body.to_string())).await?;
        self.running.deliver().await.map_err(|error| error.to_string())?;
        let mailbox = self.operate("GET", "/v1/mailbox?limit=100", &json!({})).await?;
        let mails = mailbox.get("data").and_then(Value::as_array).into_iter().flatten();
        let mut texts =
            mails.filter(|mail| mail.get("to").is_some_and(|to| to == email)).filter_map(|m| text(m, "text").ok());
        let mail = texts.next().ok_or("no mail")?;
        let token: String =
            mail.split("token=").nth(1).ok_or("no link")?.chars().take_while(char::is_ascii_alphanumeric).collect();
        client.send(&request("POST", "/v1/users/verify", "", &json!({"token": token}).to_string())).await?;
        Ok(())
    }

    /// A request of the operator. It gets a connection of its own: the server closes those that are idle.
    async fn operate(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let mut client = Client::connect(self.address()).await?;
        let answer = client.send(&operator_request(method, path, body)).await?;
        Ok(serde_json::from_slice(answer)?)
    }

    /// Stops it.
    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }
}

/// The bytes of a request of the operator.
pub(crate) fn operator_request(method: &str, path: &str, body: &Value) -> Vec<u8> {
    request(method, path, OPERATOR, &body.to_string())
}

fn text(answer: &Value, field: &str) -> Result<String> {
    let text = answer.get(field).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| format!("the answer has no {field}: {answer}").into())
}
