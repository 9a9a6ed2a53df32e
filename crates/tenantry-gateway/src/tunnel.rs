//! Connections that became something else than HTTP: bytes in both directions until one side ends.

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

/// Ties a client's connection to one of the API behind, once both were handed over. `held` is let go of at the end.
pub(crate) fn run(client: OnUpgrade, behind: OnUpgrade, held: impl Send + 'static) {
    tokio::spawn(async move {
        let _held = held;
        // One after the other: the answer that both wait for is sent before this runs.
        let (client, behind) = (client.await, behind.await);
        if let Err(error) = tie(client, behind).await {
            tracing::debug!(%error, "a tunnel ended");
        }
    });
}

async fn tie(
    client: hyper::Result<Upgraded>,
    behind: hyper::Result<Upgraded>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (mut client, mut behind) = (TokioIo::new(client?), TokioIo::new(behind?));
    copy_bidirectional(&mut client, &mut behind).await?;
    Ok(())
}
