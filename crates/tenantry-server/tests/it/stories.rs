//! Two stories, told from beginning to end over HTTP: the page of an organization, and a super organization.

use serde_json::{Value, json};
use tenantry_core::time::Span;
use tenantry_server::Config;
use tenantry_store::Limits;
use tenantry_testkit::both_engines;
use tenantry_testkit::peers::Peer;

use crate::support::{Api, PASSWORD, token_in};

/// The next mail that the server got.
async fn next_mail(api: &Api, server: &Peer) -> Value {
    api.running.deliver().await.expect("deliver");
    serde_json::from_str(&server.line()).expect("a mail")
}

/// The token of the link in a mail, after the link was followed.
async fn follow(api: &Api, mail: &Value) -> String {
    let text = mail["text"].as_str().expect("text");
    let token = token_in(text);
    let link = text.split_whitespace().find(|word| word.contains("token=")).expect("a link");
    assert!(mail["html"].as_str().expect("html").contains(link), "both forms of the mail have the link");
    let path = link.strip_prefix("http://127.0.0.1:8080").expect("the public address");
    assert_eq!(reqwest::get(format!("{}{path}", api.base)).await.expect("a page").status(), 200);
    token
}

both_engines! {
    async fn the_page_of_an_organization(database) {
        let server = Peer::smtp(1);
        let config = Config {
            smtp_url: Some(format!("smtp://127.0.0.1:{}", server.port)),
            mail_from: "Acme API <no-reply@acme.example>".to_owned(),
            ..Config::default()
        };
        Api::run_with(database, Limits::DEFAULT, config, async |api| {
            // Ann signs up. The mail server does not take the mail at first; it is sent again.
            let new = json!({"email": "ann@example.com", "password": PASSWORD, "name": "Ann"});
            api.anonymous().post("/v1/users", new).await.is(202);
            api.running.deliver().await.expect("deliver");
            api.clock.advance(Span::seconds(90));
            let mail = next_mail(api, &server).await;
            assert_eq!((&mail["to"], &mail["from"]), (&json!(["ann@example.com"]), &json!("Acme API <no-reply@acme.example>")));
            let token = follow(api, &mail).await;
            api.anonymous().post("/v1/users/verify", json!({"token": token})).await.ok();
            let ann = api.sign_in("ann@example.com").await;

            // She makes an organization, is its admin, and invites two people.
            let org = ann.post("/v1/accounts", json!({"name": "Acme", "email": "ops@acme.example"})).await.created().id();
            let invitations = format!("/v1/accounts/{org}/invitations");
            let ben = ann.post(&invitations, json!({"email": "ben@example.com", "role": "member"})).await.created();
            assert_eq!((ben.text("status").as_str(), ben.body.get("link")), ("pending", None), "the mail has the link");
            let mail = next_mail(api, &server).await;
            assert_eq!(mail["subject"], "You are invited to join Acme");
            assert!(mail["text"].as_str().expect("text").contains("Ann invites you"), "{mail}");
            let bens = follow(api, &mail).await;
            let eve = ann.post(&invitations, json!({"email": "eve@example.com", "role": "member"})).await.created().id();
            let eves = follow(api, &next_mail(api, &server).await).await;
            let pending = ann.get(&format!("{invitations}?status=pending")).await.ok().body;
            assert_eq!(pending["pagination"]["total"], 2);

            // One is taken back; the other is accepted by somebody new, who can read and not more.
            ann.delete(&format!("{invitations}/{eve}")).await.ok();
            let accept = |token: &str| json!({"token": token, "name": "Ben", "password": PASSWORD});
            api.anonymous().post("/v1/invitations/accept", accept(&eves)).await.refused(410, "invitation_over");
            api.anonymous().post("/v1/invitations/accept", accept(&bens)).await.ok();
            let ben = api.sign_in("ben@example.com").await;
            ben.get(&format!("/v1/accounts/{org}")).await.ok();
            ben.get(&format!("/v1/accounts/{org}/members")).await.ok();
            ben.patch(&format!("/v1/accounts/{org}"), json!({"name": "Ben's"})).await.refused(403, "permission_denied");
            ben.post(&invitations, json!({"email": "x@example.com", "role": "member"})).await.refused(403, "permission_denied");

            // A maintainer invites, but cannot touch the admin; and the admin cannot leave.
            let (at_ann, at_ben) = (format!("/v1/accounts/{org}/members/{}", ann.id), format!("/v1/accounts/{org}/members/{}", ben.id));
            ann.patch(&at_ben, json!({"role": "maintainer"})).await.ok();
            ben.post(&invitations, json!({"email": "cleo@example.com", "role": "member"})).await.created();
            let cleos = follow(api, &next_mail(api, &server).await).await;
            api.anonymous().post("/v1/invitations/accept", accept(&cleos)).await.ok();
            ben.patch(&at_ann, json!({"role": "member"})).await.refused(403, "rank_exceeded");
            ben.delete(&at_ann).await.refused(409, "last_admin");
            ann.act(&format!("/v1/accounts/{org}/leave")).await.refused(409, "admin_cannot_leave");

            // The organization cannot be canceled while others are in it.
            let subscription = format!("/v1/accounts/{org}/organization-subscription");
            let key = ann.post(&format!("/v1/accounts/{org}/keys"), json!({"name": "production"})).await.created();
            let refused = ann.delete(&subscription).await.refused(409, "members_remain");
            for name in ["ben@example.com", "cleo@example.com"] {
                assert!(refused.text("detail").contains(name), "{}", refused.text("detail"));
            }
            let members = ann.get(&format!("/v1/accounts/{org}/members")).await.ok().body;
            for member in members["data"].as_array().expect("members").iter().filter(|member| member["userId"] != ann.id) {
                let id = member["userId"].as_str().expect("id");
                ann.delete(&format!("/v1/accounts/{org}/members/{id}")).await.ok();
            }
            assert_eq!(ann.delete(&subscription).await.ok().text("status"), "canceled");
            api.key(&key.text("secret")).get("/org").await.ok();

            // Her personal account never saw any of it.
            let me = ann.get("/v1/users/me").await.ok().body;
            assert_eq!(me["organizations"][0]["accountId"], org);
            let log = ann.get(&format!("/v1/accounts/{}/audit-log?limit=100", ann.personal)).await.ok().body;
            let actions: Vec<_> = log["data"].as_array().expect("rows").iter().map(|row| row["action"].as_str().expect("text")).collect();
            assert_eq!(actions, ["session.created", "account.created"]);
            assert_eq!(ann.get(&format!("/v1/accounts/{}/keys", ann.personal)).await.ok().body["pagination"]["total"], 0);
        })
        .await;
    }

    async fn a_super_organization(database) {
        Api::run(database, async |api| {
            let root = api.root("Reseller").await;
            let boss = api.member(&root, "boss", "admin").await;
            let links = format!("/v1/accounts/{root}/enrollment-links");
            boss.act(&links).await.refused(409, "not_a_super_organization");
            api.operator().put(&format!("/v1/accounts/{root}/limits"), json!({"superOrganization": true})).await.ok();

            // A customer enrolls with the link, which works twice, and is the admin of a child organization.
            let link = boss.post(&links, json!({"name": "Website", "maxUses": 2})).await.created();
            assert!(link.text("url").contains("/link/enrollment?token="));
            let enroll = |name: &str, email: &str| json!({"token": link.text("token"), "name": name, "email": email, "password": PASSWORD});
            let asked = api.anonymous().post("/v1/enroll", enroll("Customer", "carl@example.com")).await.is(202);
            assert_eq!(asked.text("status"), "mail_sent");
            let token = api.mailed_token("carl@example.com").await;
            let made = api.anonymous().post("/v1/users/verify", json!({"token": token})).await.ok().body;
            let child = made["organization"]["id"].as_str().expect("id").to_owned();
            assert_eq!((&made["organization"]["parent_id"], &made["organization"]["userCount"]), (&json!(root), &json!(1)));
            let carl = api.sign_in("carl@example.com").await;
            // Who is signed in enrolls at once; then the link is used up.
            let second = carl.post("/v1/enroll", json!({"token": link.text("token"), "name": "Customer 2"})).await.is(202);
            assert_eq!(second.text("status"), "enrolled");
            carl.post("/v1/enroll", json!({"token": link.text("token"), "name": "Customer 3"})).await.refused(409, "link_exhausted");
            let other = boss.act(&links).await.created();
            boss.delete(&format!("{links}/{}", other.id())).await.ok();
            let late = json!({"token": other.text("token"), "name": "Late"});
            carl.post("/v1/enroll", late).await.refused(410, "link_over");

            // The super organization's admin acts on the customer's behalf: it stands in both logs.
            let renamed = boss.assuming(&child).patch(&format!("/v1/accounts/{child}"), json!({"name": "Customer Ltd"})).await.ok();
            assert_eq!((renamed.header("x-tenantry-actor"), renamed.header("x-tenantry-subject")), (boss.id.as_str(), child.as_str()));
            for (who, account) in [(&carl, &child), (&boss, &root)] {
                let log = who.get(&format!("/v1/accounts/{account}/audit-log?action=account.updated")).await.ok().body;
                let row = &log["data"][0];
                assert_eq!((&row["actor"]["userId"], &row["actor"]["accountId"], &row["subject"]), (&json!(boss.id), &json!(root), &json!(child)));
            }

            // A second level, and its own people.
            let branch = carl.post(&format!("/v1/accounts/{child}/children"), json!({"name": "Branch", "email": "b@example.com"})).await.created().id();
            boss.patch(&format!("/v1/accounts/{branch}"), json!({"name": "Branch 1"})).await.ok();
            carl.get(&format!("/v1/accounts/{root}")).await.refused(404, "not_found");

            // Switched off, the people above have no rights below any more, but still read the log.
            carl.patch(&format!("/v1/accounts/{child}"), json!({"inheritAdmins": false})).await.ok();
            for account in [&child, &branch] {
                boss.patch(&format!("/v1/accounts/{account}"), json!({"name": "x"})).await.refused(403, "permission_denied");
                boss.assuming(account).get("/org").await.refused(403, "assume_forbidden");
                boss.get(&format!("/v1/accounts/{account}/members")).await.refused(403, "permission_denied");
                boss.get(&format!("/v1/accounts/{account}/audit-log")).await.ok();
            }
            let log = boss.get(&format!("/v1/accounts/{root}/audit-log?includeDescendants=true&limit=100")).await.ok().body;
            let hidden = log["data"].as_array().expect("rows").iter().filter(|row| row["accountId"] == json!(child)).count();
            assert!(hidden >= 3, "{hidden} rows of the child in the log of the whole tree");
            carl.patch(&format!("/v1/accounts/{branch}"), json!({"name": "Branch 2"})).await.ok();
        })
        .await;
    }
}
