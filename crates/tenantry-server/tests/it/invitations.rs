//! Invitations: tokens, answers, seats, and what is checked again when somebody accepts.

use serde_json::{Value, json};
use tenantry_core::time::Span;
use tenantry_testkit::both_engines;

use crate::support::{Api, PASSWORD, all, token_in};

fn at(account: &str) -> String {
    format!("/v1/accounts/{account}/invitations")
}

fn invited(email: &str, role: &str) -> Value {
    json!({"email": email, "role": role})
}

/// What a new user says who accepts.
fn new(token: &str) -> Value {
    json!({"token": token, "name": "New", "password": PASSWORD})
}

const ACCEPT: &str = "/v1/invitations/accept";

both_engines! {
    async fn an_invitation_is_answered_by_a_new_or_a_present_user(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let admin = api.member(&org, "admin", "admin").await;
            let token = api.invite(&admin, &org, "New@Example.com", "member").await;
            let seen = api.anonymous().post("/v1/invitations/preview", json!({"token": token})).await.ok().body;
            assert_eq!((&seen["organization"], &seen["role"], &seen["registered"]), (&json!("Acme"), &json!("member"), &json!(false)));
            api.anonymous().post(ACCEPT, json!({"token": token})).await.refused(400, "invalid_field");
            let accepted = api.anonymous().post(ACCEPT, new(&token)).await.ok().body;
            assert_eq!((&accepted["accountId"], &accepted["role"]), (&json!(org), &json!("member")));
            api.sign_in("new@example.com").await.get(&format!("/v1/accounts/{org}")).await.ok();

            let (ann, eve) = (api.user("ann").await, api.user("eve").await);
            let token = api.invite(&admin, &org, "ann@example.com", "maintainer").await;
            api.anonymous().post(ACCEPT, new(&token)).await.refused(401, "sign_in_required");
            eve.post(ACCEPT, json!({"token": token})).await.refused(403, "wrong_address");
            ann.post(ACCEPT, json!({"token": token})).await.ok();
            ann.post(ACCEPT, json!({"token": token})).await.refused(409, "invitation_used");
            admin.post(&at(&org), invited("ANN@example.com", "member")).await.refused(409, "already_member");
            let list = admin.get(&format!("{}?status=accepted", at(&org))).await.ok().body;
            assert_eq!((&list["pagination"]["total"], &list["data"][0]["invitedBy"]), (&json!(3), &json!(admin.id)));
        }).await;
    }

    async fn s23_tokens_that_are_not_right_tell_nothing(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let token = api.invite(&api.operator(), &org, "new@example.com", "member").await;
            let mut altered = token.clone();
            altered.replace_range(0..1, if token.starts_with('a') { "b" } else { "a" });
            let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.";
            api.anonymous().post("/v1/users", json!({"email": "x@example.com", "password": PASSWORD, "name": "X"})).await.is(202);
            let other_purpose = api.mailed_token("x@example.com").await;
            let mut told = Vec::new();
            for wrong in [altered.as_str(), none, "", &other_purpose, &org] {
                for path in [ACCEPT, "/v1/invitations/preview", "/v1/invitations/decline"] {
                    let body = if path == ACCEPT { new(wrong) } else { json!({"token": wrong}) };
                    let refused = api.anonymous().post(path, body).await.refused(400, "token_invalid");
                    told.push(refused.text("detail"));
                }
            }
            told.dedup();
            assert_eq!(told.len(), 1, "{told:?}");
            // The token proves nothing but what it is for.
            api.anonymous().post("/v1/users/verify", json!({"token": token})).await.refused(400, "token_invalid");
        }).await;
    }

    async fn s25_what_changed_since_is_checked_again(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let admin = api.member(&org, "admin", "admin").await;
            let max = api.member(&org, "max", "maintainer").await;
            let invite = async |email: &str, role: &str| admin.post(&at(&org), invited(email, role)).await.created();
            // Canceled, declined, expired.
            let canceled = invite("a@example.com", "member").await;
            let answer = admin.delete(&format!("{}/{}", at(&org), canceled.id())).await.ok();
            assert_eq!(answer.text("status"), "canceled");
            admin.delete(&format!("{}/{}", at(&org), canceled.id())).await.ok();
            api.anonymous().post(ACCEPT, new(&token_in(&canceled.text("link")))).await.refused(410, "invitation_over");
            let declined = token_in(&invite("b@example.com", "member").await.text("link"));
            api.anonymous().post("/v1/invitations/decline", json!({"token": declined})).await.ok();
            api.anonymous().post(ACCEPT, new(&declined)).await.refused(410, "invitation_over");
            let late = invite("c@example.com", "member").await;
            admin.post(&at(&org), invited("C@example.com", "member")).await.refused(409, "invitation_pending");
            api.clock.advance(Span::days(7));
            let admin = api.sign_in("admin@example.com").await;
            let max = api.sign_in(&max.email).await;
            api.anonymous().post(ACCEPT, new(&token_in(&late.text("link")))).await.refused(410, "invitation_over");
            // Sent again, it works for another week; invited again, too.
            let again = admin.act(&format!("{}/{}/resend", at(&org), late.id())).await.ok();
            assert_eq!(again.text("status"), "pending");
            api.anonymous().post(ACCEPT, new(&token_in(&again.text("link")))).await.ok();
            // The role is gone.
            let role = admin.post(&format!("/v1/accounts/{org}/roles"), json!({"name": "temp", "permissions": ["account.read"]})).await.created().id();
            let of_role = admin.post(&at(&org), invited("d@example.com", "temp")).await.created();
            admin.delete(&format!("/v1/accounts/{org}/roles/{role}")).await.ok();
            api.anonymous().post(ACCEPT, new(&token_in(&of_role.text("link")))).await.refused(409, "invitation_stale");
            // Who invited may not any more.
            let by_max = token_in(&max.post(&at(&org), invited("e@example.com", "maintainer")).await.created().text("link"));
            let role = |role: &str| json!({"role": role});
            let member = format!("/v1/accounts/{org}/members/{}", max.id);
            admin.patch(&member, role("member")).await.ok();
            api.anonymous().post(ACCEPT, new(&by_max)).await.refused(409, "invitation_stale");
            admin.patch(&member, role("maintainer")).await.ok();
            api.anonymous().post(ACCEPT, new(&by_max)).await.ok();
            // The key that invited was revoked.
            let key = api.new_key(&org, json!({"name": "k"})).await;
            let by_key = api.invite(&api.key(&key.text("secret")), &org, "f@example.com", "member").await;
            api.operator().act(&format!("/v1/accounts/{org}/keys/{}/revoke", key.id())).await.ok();
            api.anonymous().post(ACCEPT, new(&by_key)).await.refused(409, "invitation_stale");
        }).await;
    }

    async fn s25_a_hundred_who_accept_one_invitation_are_one_member(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let ann = api.user("ann").await;
            let token = api.invite(&api.operator(), &org, "ann@example.com", "member").await;
            let answers = all((0..100).map(|_| ann.post(ACCEPT, json!({"token": token}))).collect()).await;
            assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
            for refused in answers.into_iter().filter(|answer| answer.status != 200) {
                assert!(["invitation_used", "already_member"].contains(&refused.refused(409, "invitation_used").text("code").as_str()));
            }
            assert_eq!(api.account(&org).await["userCount"], 1);
        }).await;
    }

    async fn s25_a_hundred_who_accept_for_one_seat_are_one_member(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            api.member(&org, "admin", "admin").await;
            let mut tokens = Vec::new();
            for n in 0..100 {
                tokens.push(api.invite(&api.operator(), &org, &format!("user{n}@example.com"), "member").await);
            }
            let features = format!("/v1/accounts/{org}/features");
            api.operator().put(&features, json!({"seats.max": 2})).await.ok();
            let anybody = api.anonymous();
            let answers = all(tokens.iter().map(|token| anybody.post(ACCEPT, new(token))).collect()).await;
            let (joined, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
            assert_eq!((joined.len(), refused.len()), (1, 99));
            for answer in refused {
                answer.refused(409, "seats_exceeded");
            }
            assert_eq!(api.account(&org).await["userCount"], 2);
            // Nothing is half done: who was refused is no user, and comes in when there is room.
            api.operator().put(&features, json!({"seats.max": 101})).await.ok();
            let left = tokens.iter().map(|token| anybody.post(ACCEPT, new(token))).collect::<Vec<_>>();
            assert_eq!(all(left).await.iter().filter(|answer| answer.status == 200).count(), 99);
        }).await;
    }

    async fn pending_invitations_hold_seats_against_a_cap_only(database) {
        Api::run(database, async |api| {
            let [parent, org] = api.line("Acme").await;
            api.member(&org, "admin", "admin").await;
            let operator = api.operator();
            operator.post(&at(&org), invited("a@example.com", "member")).await.created();
            operator.put(&format!("/v1/accounts/{parent}/features"), json!({"seats.max": 3})).await.ok();
            let pending = operator.post(&at(&org), invited("b@example.com", "member")).await.created().id();
            operator.post(&at(&org), invited("c@example.com", "member")).await.refused(409, "seats_exceeded");
            let seats = operator.get(&format!("/v1/accounts/{org}/organization-subscription")).await.ok().body["seats"].clone();
            assert_eq!(seats, json!({"used": 1, "pending": 2, "max": 3}));
            operator.delete(&format!("{}/{pending}", at(&org))).await.ok();
            operator.post(&at(&org), invited("c@example.com", "member")).await.created();
            // Nobody lifts their own cap.
            let admin = api.sign_in("admin@example.com").await;
            admin.put(&format!("/v1/accounts/{org}/features"), json!({"seats.max": 9})).await.refused(403, "permission_denied");
        }).await;
    }

    async fn several_are_invited_or_nobody(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let admin = api.member(&org, "admin", "admin").await;
            let bulk = format!("{}/bulk", at(&org));
            let many = |emails: &[&str]| json!({"invitations": emails.iter().map(|email| invited(email, "member")).collect::<Vec<_>>()});
            let refused = admin.post(&bulk, many(&["a@example.com", "not an address"])).await.refused(400, "invalid_field");
            assert_eq!(refused.body["errors"][0]["field"], "invitations[1].email");
            let refused = admin.post(&bulk, many(&["a@example.com", "admin@example.com"])).await.refused(409, "already_member");
            assert_eq!(refused.body["errors"][0]["field"], "invitations[1].email");
            admin.post(&bulk, many(&["a@example.com", "A@example.com"])).await.refused(409, "invitation_pending");
            assert_eq!(admin.get(&format!("{}?status=pending", at(&org))).await.ok().body["pagination"]["total"], 0);
            let made = admin.post(&bulk, many(&["a@example.com", "b@example.com"])).await.created();
            assert_eq!(made.body["data"].as_array().map(Vec::len), Some(2));
            assert_eq!((api.mails("a@example.com").await.len(), api.mails("b@example.com").await.len()), (1, 1));
        }).await;
    }

    async fn s28_looking_at_a_link_changes_nothing(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let token = api.invite(&api.operator(), &org, "new@example.com", "member").await;
            for _ in 0..3 {
                let page = reqwest::get(format!("{}/link/invitation?token={token}", api.base)).await.expect("a page");
                let header = |name: &str| page.headers()[name].to_str().expect("text").to_owned();
                assert_eq!((page.status().as_u16(), header("referrer-policy").as_str()), (200, "no-referrer"));
                assert!(header("content-security-policy").contains("default-src 'self'"));
                assert!(!page.text().await.expect("text").contains(&token), "the page does not repeat the token");
                api.anonymous().post("/v1/invitations/preview", json!({"token": token})).await.ok();
            }
            api.anonymous().post(ACCEPT, new(&token)).await.ok();
        }).await;
    }

    async fn s29_an_organization_invites_only_so_many(database) {
        Api::run(database, async |api| {
            let org = api.root("<b>Evil</b> https://evil.example").await;
            let admin = api.member(&org, "admin", "admin").await;
            let many = |round: usize| {
                let people: Vec<_> = (0..100).map(|n| invited(&format!("u{round}-{n}@example.com"), "member")).collect();
                json!({"invitations": people})
            };
            let bulk = format!("{}/bulk", at(&org));
            for round in 0..4 {
                admin.post(&bulk, many(round)).await.created();
            }
            let refused = admin.post(&bulk, many(5)).await.refused(429, "too_many_attempts");
            assert!(refused.header("retry-after").parse::<u32>().is_ok());
            // What an organization is called cannot become a link in a mail.
            let mail = api.mails("u3-99@example.com").await.remove(0);
            assert!(!mail.contains("evil.example") && !mail.contains("<b>"), "{mail}");
        }).await;
    }
}
