//! Events for certain sessions only: the answers to other sessions do not contain them and stay complete.

use orosync_protocol::{Audience, SessionId, SessionIds};
use orosync_tests::client::{Client, OROSYNC};
use orosync_tests::source::Source;
use serde_json::{Value, json};

use super::{TOPIC, server_with};

fn id(client: &mut Client) -> SessionId {
    let session = client.call("orosync/session", &[]).expect("an answer");
    SessionId::parse_or_nobody(session["session"].as_str().expect("an id"))
}

fn only(id: SessionId) -> SessionIds {
    SessionIds::new(vec![id]).expect("one")
}

#[test]
fn events_for_other_sessions_are_left_out_and_the_answer_stays_complete() {
    let server = server_with("shards = 2\n");
    let mut source = Source::to(&server.endpoint());
    let mut anna = Client::anonymous(&server, OROSYNC);
    let mut ben = Client::anonymous(&server, OROSYNC);
    let start = anna.recover(TOPIC, &json!({})).position;
    ben.recover(TOPIC, &json!({}));
    let (anna_id, ben_id) = (id(&mut anna), id(&mut ben));
    source.publish(TOPIC, &json!("all"));
    source.publish_to(TOPIC, &json!("anna"), Audience { eligible: only(anna_id), ..Audience::default() });
    source.publish_to(TOPIC, &json!("not anna"), Audience { exclude: only(anna_id), ..Audience::default() });
    source.publish_to(TOPIC, &json!("ben"), Audience { eligible: only(ben_id), ..Audience::default() });
    source.publish_to(
        TOPIC,
        &json!("nobody"),
        Audience { eligible: only(SessionId(7)), ..Audience::default() },
    );
    source.flush();

    let mut carl = Client::anonymous(&server, OROSYNC);
    let mut end = String::new();
    for (page, expected) in [
        (&mut anna, &["all", "anna"][..]),
        (&mut ben, &["all", "not anna", "ben"]),
        (&mut carl, &["all", "not anna"]),
    ] {
        if end.is_empty() || expected.len() == 3 {
            for payload in expected {
                assert_eq!(page.event(TOPIC).payload, *payload, "as an event");
            }
        }
        let recovery = page.recover_since(TOPIC, &start);
        assert!(recovery.complete);
        assert_eq!(recovery.payloads(), expected.iter().map(|word| Value::from(*word)).collect::<Vec<_>>());
        assert!(
            end.is_empty() || end == recovery.position,
            "all sessions have the position of the last event"
        );
        end = recovery.position;
    }
}
