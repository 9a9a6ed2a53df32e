//! Resources, and sharing them downwards.

use serde_json::json;
use tenantry_testkit::both_engines;

use crate::support::Api;

both_engines! {
    async fn devices_are_counted_and_external_ids_unique(database) {
        Api::run(database, async |api| {
            let [root, two] = api.line("Acme").await;
            let at = format!("/v1/accounts/{two}/resources");
            let key = api.key_of(&two).await;
            let device = json!({"kind": "device", "name": "Phone", "externalId": "sn-1", "metadata": {"model": "T42"}});
            let made = key.post(&at, device.clone()).await.created();
            key.post(&at, device).await.refused(409, "external_id_taken");
            key.post(&at, json!({"kind": "voice", "name": "Joanna", "externalId": "sn-1"})).await.created();
            key.post(&at, json!({"kind": "Device", "name": "x"})).await.refused(400, "invalid_field");
            let listed = api.operator().get(&format!("/v2/accounts/{root}/children")).await.ok();
            assert_eq!(listed.body["data"][0]["deviceCount"], 1);
            assert_eq!(key.get(&format!("{at}?kind=voice")).await.ok().names(), ["Joanna"]);

            let one = format!("{at}/{}", made.id());
            let changed = key.patch(&one, json!({"name": "Desk phone", "externalId": null})).await.ok();
            assert_eq!((&changed.body["externalId"], changed.header("etag")), (&json!(null), "\"2\""));
            key.delete(&one).await.ok();
            key.get(&one).await.refused(404, "not_found");
            assert_eq!(api.account(&two).await["deviceCount"], 0);
        }).await;
    }

    async fn shares_reach_down_and_follow_the_tree(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let sibling = api.child(&root, "Sibling").await;
            let elsewhere = api.root("Elsewhere").await;
            let owner = api.key_of(&root).await;
            let voice = owner.post(&format!("/v1/accounts/{root}/resources"), json!({"kind": "voice", "name": "Joanna"})).await.created().id();
            let shares = format!("/v1/accounts/{root}/resources/{voice}/shares");
            let seen = async |id: &str| {
                let key = api.key_of(id).await;
                let list = key.get(&format!("/v1/accounts/{id}/resources?include=shared")).await.ok();
                let one = key.get(&format!("/v1/accounts/{id}/resources/{voice}")).await.status == 200;
                assert_eq!(list.names().len() == 1, one);
                one
            };

            assert!(!seen(&two).await);
            let share = owner.post(&shares, json!({"to": two})).await.created();
            assert_eq!(owner.post(&shares, json!({"to": two})).await.is(201).id(), share.id(), "sharing twice is sharing once");
            assert!(seen(&two).await && !seen(&three).await && !seen(&sibling).await);
            let shared = api.key_of(&two).await.get(&format!("/v1/accounts/{two}/resources?include=shared")).await.ok();
            assert_eq!((&shared.body["data"][0]["shared"], &shared.body["data"][0]["accountId"]), (&json!(true), &json!(root)));
            assert_eq!(api.key_of(&two).await.get(&format!("/v1/accounts/{two}/resources")).await.ok().names().len(), 0);

            owner.post(&shares, json!({"to": root})).await.refused(409, "share_outside_subtree");
            owner.post(&shares, json!({"to": elsewhere})).await.refused(404, "not_found");
            owner.post(&shares, json!({"to": "everybody"})).await.refused(400, "invalid_field");

            // Out of the subtree it is out of sight; back again it is back.
            api.operator().move_below(&two, &elsewhere).await.ok();
            assert!(!seen(&two).await);
            api.operator().move_below(&two, &root).await.ok();
            assert!(seen(&two).await);

            owner.delete(&format!("{shares}/{}", share.id())).await.ok();
            assert!(!seen(&two).await);
            owner.post(&shares, json!({"to": "descendants"})).await.created();
            assert!(seen(&two).await && seen(&three).await && seen(&sibling).await && !seen(&elsewhere).await);
            assert_eq!(owner.get(&shares).await.ok().body["data"][0]["to"], "descendants");
            // Who shares in it cannot change it.
            let child = api.key_of(&two).await;
            child.patch(&format!("/v1/accounts/{two}/resources/{voice}"), json!({"name": "x"})).await.refused(404, "not_found");
            owner.delete(&format!("/v1/accounts/{root}/resources/{voice}")).await.ok();
            assert!(!seen(&three).await);
        }).await;
    }
}
