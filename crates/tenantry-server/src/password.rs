//! Passwords: hashed with Argon2id, on threads of their own, as many at a time as there are cores.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

use crate::problem::{Error, Result};

/// Hashes and checks passwords with the parameters that OWASP recommends: 19 MiB, two passes, one lane.
#[derive(Clone)]
pub struct Passwords {
    places: Arc<Semaphore>,
    /// A hash that no password fits: checking against it takes as long as checking against a user's.
    dummy: Arc<str>,
}

impl Passwords {
    /// # Errors
    /// If the operating system has no randomness to give.
    pub fn new() -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let dummy = hash_now("no password of anybody")?;
        Ok(Self { places: Arc::new(Semaphore::new(cores)), dummy: dummy.into() })
    }

    /// The PHC string of a password.
    ///
    /// # Errors
    /// If the machine fails.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = password.to_owned();
        self.apart(move || hash_now(&password)).await?
    }

    /// Whether the password fits. Without a hash it does not, and that takes as long to find out.
    ///
    /// # Errors
    /// If the machine fails.
    pub async fn fits(&self, password: &str, hash: Option<&str>) -> Result<bool> {
        let known = hash.is_some();
        let (password, hash) = (password.to_owned(), hash.unwrap_or(&self.dummy).to_owned());
        let fits = self.apart(move || fits_now(&password, &hash)).await?;
        Ok(fits && known)
    }

    /// Runs work that keeps a core busy where it does not keep requests waiting.
    async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _place = self.places.acquire().await.map_err(Error::internal)?;
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)
    }
}

fn hash_now(password: &str) -> Result<String> {
    let hashed: PasswordHash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| Error::internal(format!("hashing a password: {error}")))?;
    Ok(hashed.to_string())
}

fn fits_now(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_fits_and_nothing_fits_nobody() {
        let passwords = Passwords::new().expect("passwords");
        let hash = passwords.hash("correct horse").await.expect("hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.fits("correct horse", Some(&hash)).await.expect("check"));
        assert!(!passwords.fits("wrong horse", Some(&hash)).await.expect("check"));
        assert!(!passwords.fits("no password of anybody", None).await.expect("check"));
    }
}
