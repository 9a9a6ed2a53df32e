//! Settings and what else is inherited: computed, never copied, and always with its source.

use serde_json::json;
use tenantry_server::Config;
use tenantry_store::Limits;
use tenantry_testkit::both_engines;

use crate::support::Api;

both_engines! {
    async fn settings_say_where_they_come_from(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let patch = async |id: &str, body| api.operator().patch(&format!("/v1/accounts/{id}/settings"), body).await;
            patch(&root, json!({"timezone": "UTC", "language": "en"})).await.ok();
            patch(&two, json!({"timezone": "Europe/Vienna"})).await.ok();
            let key = api.key_of(&three).await;
            let settings = key.get(&format!("/v1/accounts/{three}/settings")).await.ok();
            assert_eq!(settings.body, json!({
                "effective": {"timezone": "Europe/Vienna", "language": "en"},
                "overrides": {},
                "sources": {"timezone": two, "language": root},
                "locks": {}, "lockedSettings": [],
            }));
            // Null resets an override; switching inheritance off and on again restores everything.
            patch(&two, json!({"timezone": null})).await.ok();
            assert_eq!(api.account(&three).await["settings"], json!({"timezone": "UTC", "language": "en"}));
            api.operator().patch(&format!("/v1/accounts/{two}"), json!({"inheritSettings": false})).await.ok();
            assert_eq!(api.account(&three).await["settings"], json!({}));
            api.operator().patch(&format!("/v1/accounts/{two}"), json!({"inheritSettings": true})).await.ok();
            assert_eq!(api.account(&three).await["settings"], json!({"timezone": "UTC", "language": "en"}));
        }).await;
    }

    async fn only_listed_settings_can_be_overridden(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let at = format!("/v1/accounts/{root}/settings");
            let key = api.key_of(&root).await;
            key.patch(&at, json!({"theme": "dark"})).await.refused(409, "setting_not_overridable");
            let child = json!({"name": "x", "email": "x@example.com", "settings": {"theme": "dark"}});
            key.post(&format!("/v1/accounts/{root}/children"), child).await.refused(409, "setting_not_overridable");
            key.patch(&at, json!({"timezone": "Mars/Olympus"})).await.refused(400, "invalid_field");
            key.patch(&at, json!({"recording": {"enabled": true}, "policies": {"retention": 30}})).await.ok();
        }).await;
    }

    async fn the_list_of_settings_is_configuration(database) {
        let config = Config { overridable_settings: ["theme".to_owned()].into(), ..Config::default() };
        Api::run_with(database, Limits::DEFAULT, config, async |api| {
            let root = api.root("Acme").await;
            let at = format!("/v1/accounts/{root}/settings");
            api.operator().patch(&at, json!({"theme": "dark"})).await.ok();
            api.operator().patch(&at, json!({"timezone": "UTC"})).await.refused(409, "setting_not_overridable");
        }).await;
    }

    async fn a_lock_binds_everybody_below(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let patch = async |id: &str, body| api.operator().patch(&format!("/v1/accounts/{id}/settings"), body).await;
            patch(&three, json!({"timezone": "Asia/Tokyo"})).await.ok();
            patch(&root, json!({"timezone": "UTC", "lockedSettings": ["timezone"]})).await.ok();
            let locked = api.operator().get(&format!("/v1/accounts/{three}/settings")).await.ok().body;
            assert_eq!(locked["effective"], json!({"timezone": "UTC"}));
            assert_eq!((&locked["locks"], &locked["overrides"]), (&json!({"timezone": root}), &json!({"timezone": "Asia/Tokyo"})));
            patch(&two, json!({"timezone": "Europe/Vienna"})).await.refused(409, "setting_locked");
            let child = json!({"name": "x", "email": "x@example.com", "settings": {"timezone": "UTC"}});
            api.operator().post(&format!("/v1/accounts/{two}/children"), child).await.refused(409, "setting_locked");
            // Unlocked, the override below counts again.
            patch(&root, json!({"lockedSettings": []})).await.ok();
            assert_eq!(api.account(&three).await["settings"], json!({"timezone": "Asia/Tokyo"}));
        }).await;
    }

    async fn contacts_and_policies_are_inherited_with_their_source(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let patch = async |id: &str, body| api.operator().patch(&format!("/v1/accounts/{id}/inheritance"), body).await;
            patch(&root, json!({"billingContacts": ["billing@acme.example"], "auditPolicies": {"keepDays": 365}})).await.ok();
            let get = async |id: &str| api.operator().get(&format!("/v1/accounts/{id}/inheritance")).await.ok().body;
            assert_eq!(get(&three).await, json!({
                "settings": true, "admins": true,
                "billingContacts": {"inherit": true, "own": null, "effective": ["billing@acme.example"], "source": root},
                "auditPolicies": {"inherit": true, "own": null, "effective": {"keepDays": 365}, "source": root},
            }));
            patch(&two, json!({"inheritBillingContacts": false, "auditPolicies": {"keepDays": 30}})).await.ok();
            let changed = get(&three).await;
            assert_eq!(changed["billingContacts"]["effective"], json!(null));
            assert_eq!(changed["auditPolicies"]["source"], json!(two));
            patch(&two, json!({"inheritBillingContacts": true, "auditPolicies": null})).await.ok();
            assert_eq!(get(&three).await["auditPolicies"]["source"], json!(root));
            patch(&two, json!({"billingContacts": ["nobody"]})).await.refused(400, "invalid_field");
        }).await;
    }

    async fn an_account_can_keep_those_above_out_but_not_their_auditors(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let (top, own) = (api.key_of(&root).await, api.key_of(&two).await);
            own.patch(&format!("/v1/accounts/{two}"), json!({"inheritAdmins": false})).await.ok();
            for id in [&two, &three] {
                top.get(&format!("/v1/accounts/{id}")).await.ok();
                top.get(&format!("/v1/accounts/{id}/audit-log")).await.ok();
                top.patch(&format!("/v1/accounts/{id}"), json!({"name": "x"})).await.refused(403, "permission_denied");
                top.get(&format!("/v1/accounts/{id}/keys")).await.refused(403, "permission_denied");
                top.assuming(id).get("/org").await.refused(403, "assume_forbidden");
            }
            own.patch(&format!("/v1/accounts/{three}"), json!({"name": "x"})).await.ok();
            own.patch(&format!("/v1/accounts/{two}"), json!({"inheritAdmins": true})).await.ok();
            top.assuming(&three).get("/org").await.ok();
        }).await;
    }
}
