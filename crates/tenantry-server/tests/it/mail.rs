//! Mails over TLS, to a real mail server whose certificate only an authority of its own has signed.

use serde_json::{Value, json};
use tenantry_core::Timestamp;
use tenantry_server::mail::{Mailer, Written};
use tenantry_testkit::peers::Peer;

/// Sends a mail with this subject over the mail server at `url`.
async fn send(url: &str, ca: Option<&str>, subject: &str) -> Result<(), String> {
    let mailer = Mailer::new(Some(url), ca, "Tenantry <tenantry@example.com>").expect("a mailer");
    let mail = Written {
        to: "ann@example.com".to_owned(),
        subject: subject.to_owned(),
        text: "Hello".to_owned(),
        html: "<p>Hello</p>".to_owned(),
    };
    mailer.send(mail, Timestamp(0)).await
}

/// Why a mail is not sent.
async fn refusal(url: &str, ca: Option<&str>) -> String {
    send(url, ca, "in vain").await.expect_err("refused")
}

/// The next mail that the server got is the one with this subject: what was refused before it never arrived.
fn assert_arrived(server: &Peer, subject: &str, over_tls: bool) {
    let mail: Value = serde_json::from_str(&server.line()).expect("a mail");
    assert_eq!((&mail["subject"], &mail["tls"]), (&json!(subject), &json!(over_tls)), "{mail}");
}

#[tokio::test]
async fn mail_goes_over_starttls() {
    let (server, ca) = Peer::smtp_with_starttls();
    let plain = format!("smtp://localhost:{}", server.port);
    for asked in ["required", "opportunistic"] {
        let url = format!("{plain}?tls={asked}");
        let untrusted = refusal(&url, None).await;
        assert!(untrusted.contains("certificate"), "{untrusted}");
        send(&url, Some(&ca), asked).await.expect("taken");
        assert_arrived(&server, asked, true);
    }
    // An authority encrypts nothing that the address does not ask for; this server insists on it.
    let open = refusal(&plain, Some(&ca)).await;
    assert!(open.contains("STARTTLS"), "{open}");
}

#[tokio::test]
async fn mail_goes_over_tls_from_the_first_byte() {
    let ((server, ca), (_, another)) = (Peer::smtp_over_tls(), Peer::smtp_over_tls());
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("smtps://{host}:{}", server.port);
        for authority in [None, Some(another.as_str())] {
            let untrusted = refusal(&url, authority).await;
            assert!(untrusted.contains("certificate"), "{untrusted}");
        }
        send(&url, Some(&ca), host).await.expect("taken");
        assert_arrived(&server, host, true);
    }
}

#[tokio::test]
async fn mail_that_must_be_encrypted_is_never_sent_in_the_open() {
    let (server, (_, ca)) = (Peer::smtp(0), Peer::smtp_over_tls());
    let plain = format!("smtp://localhost:{}", server.port);
    for ca in [None, Some(ca.as_str())] {
        let required = refusal(&format!("{plain}?tls=required"), ca).await;
        assert!(required.contains("STARTTLS"), "{required}");
        refusal(&plain.replace("smtp:", "smtps:"), ca).await;
    }
    send(&plain, Some(&ca), "in the open").await.expect("taken");
    assert_arrived(&server, "in the open", false);
}
