//! Mails: written from templates, sent over SMTP, or kept for the operator to read where there is no server.
//!
//! The names of accounts and people are other people's text. They are made inert before they go into a mail: nothing in
//! it becomes a link or markup.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use minijinja::{AutoEscape, Environment, Value, context};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tenantry_core::Timestamp;
use tenantry_core::ticket::{Mail, Purpose};
use url::Url;

use crate::problem::{Error, Result};

/// How long the mail server may take for one mail.
const PATIENCE: Duration = Duration::from_secs(15);

/// How many mails are kept where none is sent.
const KEPT: usize = 100;

const TEMPLATES: [(&str, &str); 3] = [
    ("layout.html", include_str!("mail/layout.html")),
    ("layout.txt", include_str!("mail/layout.txt")),
    ("texts", include_str!("mail/texts")),
];

/// A mail as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// To whom.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// For programs that show text.
    pub text: String,
    /// For programs that show pages.
    pub html: String,
}

/// A mail that was kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The mail.
    pub mail: Written,
    /// When it would have been sent.
    pub at: Timestamp,
}

enum Way {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Kept(Mutex<VecDeque<Kept>>),
}

/// Writes and sends mails.
pub struct Mailer {
    from: Mailbox,
    way: Way,
    templates: Environment<'static>,
}

impl Mailer {
    /// Sends over the server at `smtp_url`, whose certificate may be signed by one in the PEM text `smtp_ca`, too.
    ///
    /// # Errors
    /// If the address of the server, or of the sender, is none; if there is no certificate in `smtp_ca`.
    pub fn new(smtp_url: Option<&str>, smtp_ca: Option<&str>, from: &str) -> Result<Self> {
        let from = from.parse().map_err(|error| Error::internal(format!("mail-from `{from}`: {error}")))?;
        let way = match smtp_url {
            Some(url) => Way::Smtp(Box::new(transport(url, smtp_ca)?)),
            None => Way::Kept(Mutex::default()),
        };
        let mut templates = Environment::new();
        templates.set_auto_escape_callback(|name| match name {
            "layout.html" => AutoEscape::Html,
            _ => AutoEscape::None,
        });
        for (name, text) in TEMPLATES {
            templates.add_template(name, text).map_err(Error::internal)?;
        }
        Ok(Self { from, way, templates })
    }

    /// Whether mails are sent at all.
    #[must_use]
    pub fn sends(&self) -> bool {
        matches!(self.way, Way::Smtp(_))
    }

    /// Writes a mail from its template. `detail` is what it tells, `link` what it is about to have followed.
    ///
    /// # Errors
    /// If a template is broken.
    pub fn write(&self, kind: Mail, to: &str, detail: &serde_json::Value, link: Option<&str>) -> Result<Written> {
        let told = inert_values(detail);
        let part = |part: &str| -> Result<String> {
            let texts = self.templates.get_template("texts").map_err(Error::internal)?;
            let text =
                texts.render(context! { kind => kind.as_str(), part, ..told.clone() }).map_err(Error::internal)?;
            Ok(text.trim().to_owned())
        };
        let (subject, action) = (part("subject")?, part("action")?);
        let body = part("body")?;
        let paragraphs: Vec<String> = body.split("\n\n").map(|paragraph| paragraph.trim().to_owned()).collect();
        let laid_out = |name: &str| {
            let values = context! { subject => &subject, paragraphs => &paragraphs, action => &action, link };
            self.templates.get_template(name).and_then(|template| template.render(values)).map_err(Error::internal)
        };
        Ok(Written { to: to.to_owned(), text: laid_out("layout.txt")?, html: laid_out("layout.html")?, subject })
    }

    /// Sends a mail, or keeps it.
    ///
    /// # Errors
    /// If the server does not take it; says why, for the log.
    pub async fn send(&self, mail: Written, now: Timestamp) -> Result<(), String> {
        match &self.way {
            Way::Smtp(transport) => {
                let message = self.message(&mail)?;
                // The transport's own limit is about connecting only: a server that says nothing would hold up all mails.
                match tokio::time::timeout(PATIENCE, transport.send(message)).await {
                    Ok(sent) => sent.map(drop).map_err(|error| error.to_string()),
                    Err(_) => Err(format!("the server said nothing for {} seconds", PATIENCE.as_secs())),
                }
            }
            Way::Kept(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.truncate(KEPT - 1);
                kept.push_front(Kept { mail, at: now });
                Ok(())
            }
        }
    }

    fn message(&self, mail: &Written) -> Result<Message, String> {
        let to: Mailbox = mail.to.parse().map_err(|error| format!("recipient: {error}"))?;
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&mail.subject)
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
            .map_err(|error| error.to_string())
    }

    /// The mails that were kept, newest first.
    #[must_use]
    pub fn kept(&self) -> Vec<Kept> {
        match &self.way {
            Way::Smtp(_) => Vec::new(),
            Way::Kept(kept) => kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect(),
        }
    }
}

/// The way to the mail server.
fn transport(url: &str, ca: Option<&str>) -> Result<AsyncSmtpTransport<Tokio1Executor>> {
    // The address may hold a password: it is not told.
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
        .map_err(|error| Error::internal(format!("smtp-url: {error}")))?
        .timeout(Some(Duration::from_secs(15)));
    if let Some(ca) = ca {
        builder = builder.tls(encryption(url, ca).map_err(|error| Error::internal(format!("smtp-ca: {error}")))?);
    }
    Ok(builder.build())
}

/// How the connection is encrypted, with the certificates of `ca` trusted as well.
///
/// Lettre reads this from the address by itself, but trusts only the usual certificates then, and does not tell what it
/// read. So it is read a second time, in the same way; what is not known here is refused rather than sent in the open.
fn encryption(url: &str, ca: &str) -> Result<Tls, String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let host = url.host_str().ok_or("the mail server has no name")?.to_owned();
    let parameters = TlsParameters::builder(host).add_root_certificate(certificates(ca)?);
    let parameters = parameters.build().map_err(|error| error.to_string())?;
    let asked = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value);
    match (url.scheme(), asked.as_deref()) {
        ("smtps", _) => Ok(Tls::Wrapper(parameters)),
        ("smtp", Some("required")) => Ok(Tls::Required(parameters)),
        ("smtp", Some("opportunistic")) => Ok(Tls::Opportunistic(parameters)),
        ("smtp", None) => Ok(Tls::None),
        _ => Err("the address of the mail server asks for an unknown encryption".to_owned()),
    }
}

/// All certificates in a PEM text.
fn certificates(pem: &str) -> Result<Certificate, String> {
    // Lettre would take a text without any, and the mistake would only show when mail is sent.
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| format!("no certificate can be read from it: {error}"))?;
    Certificate::from_pem(pem.as_bytes()).map_err(|error| error.to_string())
}

/// What the link of a mail is for, if it has one.
#[must_use]
pub const fn purpose(kind: Mail) -> Option<Purpose> {
    match kind {
        Mail::Verify => Some(Purpose::Verify),
        Mail::Enroll => Some(Purpose::Enroll),
        Mail::Reset => Some(Purpose::Reset),
        Mail::ChangeEmail => Some(Purpose::Email),
        Mail::Invitation => Some(Purpose::Invitation),
        Mail::AlreadyUser | Mail::NoUser | Mail::EmailChanged | Mail::PasswordChanged => None,
    }
}

/// The address of the page behind a link.
#[must_use]
pub fn link(public_url: &str, page: &str, token: &str) -> String {
    format!("{}/link/{page}?token={token}", public_url.trim_end_matches('/'))
}

fn inert_values(detail: &serde_json::Value) -> Value {
    let none = serde_json::Map::new();
    let pairs = detail.as_object().unwrap_or(&none).iter();
    let told: BTreeMap<_, _> = pairs.filter_map(|(name, value)| Some((name.clone(), inert(value.as_str()?)))).collect();
    Value::from(told)
}

/// Other people's text without anything that a mail program would make a link of: what looks like an address is pulled
/// apart, and so is markup.
#[must_use]
pub fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut previous = ' ';
    let mut rest = text.chars().filter(|c| !c.is_control()).peekable();
    while let Some(c) = rest.next() {
        let joins = !previous.is_whitespace() && rest.peek().is_some_and(|next| !next.is_whitespace());
        match c {
            '<' | '>' | '[' | ']' | '`' | '|' => out.push(' '),
            '.' | ':' | '/' | '@' | '\\' if joins => {
                out.push(c);
                out.push(' ');
            }
            c => out.push(c),
        }
        previous = out.chars().next_back().unwrap_or(' ');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_cannot_become_links_or_markup() {
        assert_eq!(inert("Acme Inc. & Co."), "Acme Inc. & Co.");
        assert_eq!(inert("https://evil.example/x"), "https: // evil. example/ x");
        assert_eq!(inert("ann@evil.example"), "ann@ evil. example");
        assert_eq!(inert("<a href=x>[y](z)\r\nBcc: q"), " a href=x  y (z)Bcc: q");
    }

    #[test]
    fn an_authority_without_a_certificate_is_refused() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for pem in ["", "ca.pem", key, &key.replace("PRIVATE KEY", "CERTIFICATE"), &key.replace("AAAA", "?")] {
            // Even where it would not be used.
            for url in ["smtp://mail.example", "smtp://mail.example?tls=required", "smtps://mail.example"] {
                let refused = Mailer::new(Some(url), Some(pem), "tenantry@example.com").err().expect("refused");
                assert!(refused.to_string().contains("smtp-ca: "), "{pem}: {refused}");
            }
        }
    }

    #[test]
    fn every_mail_has_a_subject_a_text_and_a_page() {
        let mailer = Mailer::new(None, None, "Tenantry <tenantry@example.com>").expect("mailer");
        for kind in Mail::ALL {
            let detail = json!({"name": "Ann", "organization": "<b>Acme</b> http://evil.example", "inviter": "Bob", "role": "member"});
            let link = purpose(*kind).map(|purpose| link("https://portal.example", purpose.as_str(), "t0k3n"));
            let mail = mailer.write(*kind, "ann@example.com", &detail, link.as_deref()).expect("written");
            assert!(!mail.subject.is_empty() && !mail.subject.contains('\n'), "{kind}: {:?}", mail.subject);
            assert_eq!(mail.text.contains("?token=t0k3n"), link.is_some(), "{kind}: {}", mail.text);
            assert_eq!(mail.html.contains("?token=t0k3n"), link.is_some(), "{kind}");
            assert_eq!(mail.text.contains("Acme"), [Mail::Invitation, Mail::Enroll].contains(kind), "{}", mail.text);
            assert!(!mail.html.contains("<b>") && !mail.text.contains("evil.example"), "{}", mail.text);
            assert!(!mail.text.contains("{{") && !mail.text.contains("{%"), "{}", mail.text);
        }
    }
}
