//! `tenantry demo`: a server with a tree to play with, and curl lines to copy.

use std::path::PathBuf;
use std::process::ExitCode;

use tenantry_server::clock::Clock;
use tenantry_server::demo::{Demo, plant};
use tenantry_server::{Config, Running, Server};
use tenantry_store::{Limits, Location, Store};

use crate::Failure;
use crate::config::{DemoOptions, LogFormat};
use crate::serve::{Signals, log};

pub(crate) async fn run(options: &DemoOptions) -> Result<ExitCode, Failure> {
    log(LogFormat::Text, "warn")?;
    let signals = Signals::listen()?;
    let directory = Directory::make()?;
    let server = Server::bind(options.listen, options.ops_listen).await?;
    let public_url = format!("http://{}", server.control.local_addr()?);
    let location = Location::File(directory.0.join("tenantry.sqlite3"));
    let store = Store::migrate(&location, Limits::DEFAULT).await?;
    let usage_dir = directory.0.join("usage");
    let config = Config { public_url: public_url.clone(), usage_dir, ..Config::default() };
    let running = server.start(store, Clock::system(), config).await?;
    let demo = plant(&running.app).await?;
    print(&public_url, &running, &demo);
    signals.stop(running).await
}

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn make() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("tenantry-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[expect(clippy::print_stdout, reason = "a demo talks to the person who started it")]
fn print(url: &str, running: &Running, demo: &Demo) {
    let Demo { root, child, other_child, grandchild, root_key, child_key, admin, password } = demo;
    let operator = running.new_operator_token.as_deref().unwrap_or_default();
    println!(
        "Tenantry is running with a demo tree. Reference: {url}/docs   Health: http://{ops}/readyz\n\n\
         # The children of Acme, a super organization\n\
         curl '{url}/v2/accounts/{root}/children?limit=20' -H 'X-Auth-Token: {root_key}'\n\n\
         # One more\n\
         curl -X POST {url}/v2/accounts/{root}/children -H 'Content-Type: application/json' -H 'X-Auth-Token: {root_key}' \\\n\
         \x20 -d '{{\"name\": \"Acme Denver\", \"email\": \"denver@acme.example\", \"settings\": {{\"timezone\": \"America/Denver\"}}}}'\n\n\
         # Move Sales from New York to Boston; add ?dryRun=true to see what would change\n\
         curl -X PATCH {url}/v2/accounts/{grandchild}/parent -H 'Content-Type: application/json' -H 'X-Auth-Token: {root_key}' \\\n\
         \x20 -d '{{\"parentId\": \"{other_child}\"}}'\n\n\
         # Act on behalf of New York\n\
         curl {url}/org -H 'x-api-key: {root_key}' -H 'x-assume-org: {child}'\n\
         curl {url}/org/child_orgs -H 'x-api-key: {root_key}'\n\n\
         # Where New York's settings come from\n\
         curl {url}/v1/accounts/{child}/settings -H 'x-api-key: {child_key}'\n\n\
         # New York cannot see its parent\n\
         curl {url}/v1/accounts/{root} -H 'x-api-key: {child_key}'\n\n\
         # Sign in as the admin of Acme; send the token as `Authorization: Bearer`\n\
         curl -X POST {url}/v1/sessions -H 'Content-Type: application/json' \\\n\
         \x20 -d '{{\"email\": \"{admin}\", \"password\": \"{password}\"}}'\n\n\
         # Invite somebody; without a mail server, the answer has the link\n\
         curl -X POST {url}/v1/accounts/{root}/invitations -H 'Content-Type: application/json' -H 'x-api-key: {root_key}' \\\n\
         \x20 -d '{{\"email\": \"ben@acme.example\", \"role\": \"member\"}}'\n\n\
         # Who did what, below Acme\n\
         curl '{url}/v1/accounts/{root}/audit-log?includeDescendants=true' -H 'x-api-key: {root_key}'\n\n\
         # May New York make this call? And why not that one, and what would change it?\n\
         curl -X POST {url}/v1/decisions -H 'Content-Type: application/json' -H 'Authorization: Bearer {operator}' \\\n\
         \x20 -d '{{\"key\": \"{child_key}\", \"ip\": \"192.0.2.7\", \"method\": \"POST\", \"path\": \"/voice/tts/ann\"}}'\n\
         curl -X POST {url}/v1/decisions -H 'Content-Type: application/json' -H 'Authorization: Bearer {operator}' \\\n\
         \x20 -d '{{\"key\": \"{child_key}\", \"ip\": \"192.0.2.7\", \"method\": \"POST\", \"path\": \"/voice/clone\", \"explain\": true}}'\n\n\
         # Everything, as the operator\n\
         curl {url}/v1/accounts -H 'Authorization: Bearer {operator}'\n\n\
         Ctrl-C ends it; nothing is kept.",
        ops = running.ops,
    );
}
