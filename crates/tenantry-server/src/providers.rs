//! Signing in at an identity provider: OpenID Connect with discovery, PKCE, state and nonce.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims};
use openidconnect::{
    AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse as _,
};
use serde::{Deserialize, Serialize};
use tenantry_core::Refusal;
use tenantry_core::refusal::Code;
use tokio::sync::OnceCell;

use crate::config::Provider;
use crate::problem::{Error, Result};

/// How long a provider may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Has TLS use ring wherever nothing else is said: the HTTP client asks the process. The second time changes nothing.
pub fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The providers of a deployment.
pub(crate) struct Providers {
    http: Http,
    known: BTreeMap<String, Known>,
}

struct Known {
    provider: Provider,
    /// Read when it is first needed.
    metadata: OnceCell<CoreProviderMetadata>,
}

/// What has to be kept while somebody is at a provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Away {
    pub(crate) provider: String,
    nonce: String,
    verifier: String,
}

/// Who somebody is at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) provider: String,
    pub(crate) subject: String,
    pub(crate) email: Option<String>,
    /// Whether the provider vouches for the address.
    pub(crate) email_verified: bool,
    pub(crate) name: Option<String>,
}

impl Providers {
    /// # Errors
    /// If there is no HTTP client to be had.
    pub(crate) fn new(providers: &[Provider]) -> Result<Self> {
        use_ring();
        // Redirects are not followed: a provider must not send us somewhere else.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(Error::internal)?;
        let known = |provider: &Provider| {
            (provider.name.clone(), Known { provider: provider.clone(), metadata: OnceCell::new() })
        };
        Ok(Self { http: Http(http), known: providers.iter().map(known).collect() })
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.known.keys().cloned().collect()
    }

    /// The address of the provider's page, and what has to be kept until the browser comes back from it with `state`.
    ///
    /// # Errors
    /// `invalid_field` for a provider that there is not; `provider_refused` if it cannot be reached.
    pub(crate) async fn begin(&self, name: &str, state: String, redirect: &str) -> Result<(String, Away)> {
        let (known, metadata) = self.known(name).await?;
        let client = client(known, metadata, redirect)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, _, nonce) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || CsrfToken::new(state), Nonce::new_random)
            .add_scope(Scope::new("email".to_owned()))
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        let away =
            Away { provider: name.to_owned(), nonce: nonce.secret().clone(), verifier: verifier.secret().clone() };
        Ok((url.to_string(), away))
    }

    /// Exchanges the code for what the provider says about who came with it.
    ///
    /// # Errors
    /// `provider_refused`.
    pub(crate) async fn finish(&self, away: &Away, code: &str, redirect: &str) -> Result<Claims> {
        let (known, metadata) = self.known(&away.provider).await?;
        let client = client(known, metadata, redirect)?;
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(refused)?
            .set_pkce_verifier(PkceCodeVerifier::new(away.verifier.clone()))
            .request_async(&self.http)
            .await
            .map_err(refused)?;
        let token = tokens.id_token().ok_or_else(|| refused("there is no ID token"))?;
        let claims = token.claims(&client.id_token_verifier(), &Nonce::new(away.nonce.clone())).map_err(refused)?;
        let mut known = Claims {
            provider: away.provider.clone(),
            subject: claims.subject().as_str().to_owned(),
            email: claims.email().map(|email| email.as_str().to_owned()),
            email_verified: claims.email_verified().unwrap_or(false),
            name: claims.name().and_then(|names| names.get(None)).map(|name| name.as_str().to_owned()),
        };
        // Strict providers tell who somebody is, but not more, in the token itself.
        if known.email.is_none() && client.user_info_url().is_some() {
            let request =
                client.user_info(tokens.access_token().clone(), Some(claims.subject().clone())).map_err(refused)?;
            let told: CoreUserInfoClaims = request.request_async(&self.http).await.map_err(refused)?;
            known.email = told.email().map(|email| email.as_str().to_owned());
            known.email_verified = told.email_verified().unwrap_or(false);
            known.name =
                told.name().and_then(|names| names.get(None)).map(|name| name.as_str().to_owned()).or(known.name);
        }
        Ok(known)
    }

    async fn known(&self, name: &str) -> Result<(&Provider, CoreProviderMetadata)> {
        let unknown = || Refusal::field("provider", format!("takes {}", self.names().join(", ")));
        let known = self.known.get(name).ok_or_else(unknown)?;
        let discover = || async {
            let issuer = IssuerUrl::new(known.provider.issuer.clone()).map_err(refused)?;
            CoreProviderMetadata::discover_async(issuer, &self.http).await.map_err(refused)
        };
        Ok((&known.provider, known.metadata.get_or_try_init(discover).await?.clone()))
    }
}

/// The HTTP client that the library asks for, on the one that is there already.
struct Http(reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Failed>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async {
            let response = self.0.execute(request.try_into().map_err(Failed)?).await.map_err(Failed)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut answer = HttpResponse::new(response.bytes().await.map_err(Failed)?.to_vec());
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok(answer)
        })
    }
}

/// A request to a provider that failed.
#[derive(Debug)]
struct Failed(reqwest::Error);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}

type Client = CoreClient<
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointMaybeSet,
    openidconnect::EndpointMaybeSet,
>;

fn client(provider: &Provider, metadata: CoreProviderMetadata, redirect: &str) -> Result<Client> {
    let redirect = RedirectUrl::new(redirect.to_owned()).map_err(Error::internal)?;
    let (id, secret) = (provider.client_id.clone(), provider.client_secret.clone());
    let client = CoreClient::from_provider_metadata(metadata, ClientId::new(id), Some(ClientSecret::new(secret)));
    Ok(client.set_redirect_uri(redirect))
}

fn refused(error: impl std::fmt::Display) -> Error {
    Refusal::new(Code::ProviderRefused, format!("The provider did not confirm it: {error}.")).into()
}
