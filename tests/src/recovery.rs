//! Calls of a session that recover events: `orosync/subscribe`, and events with positions.

use serde_json::{Value, json};

use crate::client::Client;

/// An event and its position.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The position, opaque to clients.
    pub position: String,
    /// The payload as published.
    pub payload: Value,
}

/// The answer of `orosync/subscribe`.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// The topic's position. Later messages arrive as events.
    pub position: String,
    /// Whether `events` contains all missed events.
    pub complete: bool,
    /// The recovered events, oldest first.
    pub events: Vec<Event>,
}

/// A CALLERROR message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The procedure, or the refused topic.
    pub uri: String,
    /// The reason, as a sentence.
    pub sentence: String,
    /// The code, as in HTTP.
    pub code: u64,
}

impl Recovery {
    /// Payloads of the events.
    pub fn payloads(&self) -> Vec<Value> {
        self.events.iter().map(|event| event.payload.clone()).collect()
    }
}

impl Client {
    /// Calls a procedure. Asserts that nothing arrives before the answer.
    pub fn call(&mut self, procedure: &str, arguments: &[Value]) -> Result<Value, CallError> {
        let mut call = vec![json!(2), json!(procedure), json!(procedure)];
        call.extend_from_slice(arguments);
        self.send_text(&Value::Array(call).to_string());
        let text = self.text();
        match serde_json::from_str::<Vec<Value>>(&text).unwrap_or_default().as_slice() {
            [kind, id, result] if *kind == 3 && *id == procedure => Ok(result.clone()),
            [kind, id, Value::String(uri), Value::String(sentence), details]
                if *kind == 4 && *id == procedure =>
            {
                Err(CallError {
                    uri: uri.clone(),
                    sentence: sentence.clone(),
                    code: details["code"].as_u64().expect("a code"),
                })
            }
            _ => panic!("an answer of {procedure} was expected, not {text}"),
        }
    }

    /// Subscribes with `orosync/subscribe`.
    pub fn recover(&mut self, topic: &str, options: &Value) -> Recovery {
        let answer = self.call("orosync/subscribe", &[json!(topic), options.clone()]);
        recovery(&answer.unwrap_or_else(|refused| panic!("{topic}: {refused:?}")))
    }

    /// Subscribes and recovers the events since this position.
    pub fn recover_since(&mut self, topic: &str, position: &str) -> Recovery {
        self.recover(topic, &json!({ "since": position }))
    }

    /// Asserts that no message is unread.
    pub fn assert_no_message(&mut self) {
        assert_eq!(self.call("orosync/ping", &[]), Ok(Value::Null));
    }

    /// The next message, which must be an event of this topic with a position.
    pub fn event(&mut self, topic: &str) -> Event {
        event(topic, &self.text())
    }
}

/// Parses the result of `orosync/subscribe`. Asserts that it has no other members.
pub fn recovery(answer: &Value) -> Recovery {
    let mut members: Vec<&String> = answer.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
    members.sort();
    assert_eq!(members, ["complete", "events", "position"], "{answer}");
    Recovery {
        position: position(&answer["position"]),
        complete: answer["complete"].as_bool().expect("true or false"),
        events: answer["events"].as_array().expect("a list").iter().map(pair).collect(),
    }
}

/// Parses `[8, topic, payload, position]`. Asserts that there are no other elements.
pub fn event(topic: &str, text: &str) -> Event {
    match serde_json::from_str::<Vec<Value>>(text).unwrap_or_default().as_slice() {
        [kind, of, payload, at] if *kind == 8 && *of == topic => {
            Event { position: position(at), payload: payload.clone() }
        }
        _ => panic!("an event of {topic} with a position was expected, not {text}"),
    }
}

fn pair(event: &Value) -> Event {
    match event.as_array().map(Vec::as_slice) {
        Some([at, payload]) => Event { position: position(at), payload: payload.clone() },
        _ => panic!("[position, payload] was expected, not {event}"),
    }
}

fn position(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a position is a string, not {value}")).to_owned()
}
