//! How many users sign in in a second, beside the password hashes that this takes at least.

use std::time::{Duration, Instant};

use serde_json::json;
use tenantry_server::password::Passwords;
use tokio::task::JoinSet;

use crate::client::{Client, request};
use crate::options::Options;
use crate::product::Product;
use crate::scratch::Scratch;
use crate::stats::{median, per_second, ratio, thousands};
use crate::table::Row;
use crate::{Failure, Result};

const CLIENTS: usize = 16;
const ROUNDS: usize = 5;
const PASSWORD: &str = "correct horse battery staple";

/// Measures product and floor in turns.
pub(crate) async fn run(scratch: &mut Scratch, options: &Options) -> Result<Vec<Row>> {
    let location = scratch.database().await?;
    let product = Product::start(&location, scratch.directory()).await?;
    let mut requests = Vec::new();
    for number in 0..CLIENTS {
        let email = format!("user{number}@bench.example");
        product.sign_up(&email, PASSWORD).await?;
        let body = json!({"email": email, "password": PASSWORD}).to_string();
        requests.push(request("POST", "/v1/sessions", "", &body));
    }
    let passwords = Passwords::new().map_err(|error| error.to_string())?;
    let hash = passwords.hash(PASSWORD).await.map_err(|error| error.to_string())?;
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floor.push(hashes(&passwords, &hash, options.stretch).await?);
        ours.push(sign_ins(&product, &requests, options.stretch).await?);
    }
    let by_round: Vec<String> = ours.iter().zip(&floor).map(|(ours, floor)| ratio(*ours, *floor)).collect();
    let (ours, floor) = (median(ours), median(floor));
    product.stop().await;
    let rate = |number| format!("{}/s", thousands(number));
    Ok(vec![vec![scratch.engine().to_string(), rate(ours), rate(floor), ratio(ours, floor), by_round.join(", ")]])
}

/// The same check of a password and nothing else, by as many at a time.
async fn hashes(passwords: &Passwords, hash: &str, stretch: Duration) -> Result<u64> {
    let start = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..CLIENTS {
        let (passwords, hash) = (passwords.clone(), hash.to_owned());
        running.spawn(async move {
            let mut done: u64 = 0;
            while start.elapsed() < stretch {
                let fits = passwords.fits(PASSWORD, Some(&hash)).await.map_err(|error| error.to_string())?;
                done += u64::from(fits);
            }
            Ok::<_, Failure>(done)
        });
    }
    total(running, start).await
}

async fn sign_ins(product: &Product, requests: &[Vec<u8>], stretch: Duration) -> Result<u64> {
    let mut clients = Vec::new();
    for request in requests {
        clients.push((Client::connect(product.address()).await?, request.clone()));
    }
    let start = Instant::now();
    let mut running = JoinSet::new();
    for (mut client, request) in clients {
        running.spawn(async move {
            let mut done: u64 = 0;
            while start.elapsed() < stretch {
                client.send(&request).await?;
                done += 1;
            }
            Ok::<_, Failure>(done)
        });
    }
    total(running, start).await
}

async fn total(mut running: JoinSet<Result<u64>>, start: Instant) -> Result<u64> {
    let mut all = 0;
    while let Some(done) = running.join_next().await {
        all += done??;
    }
    Ok(per_second(all, start.elapsed()))
}
