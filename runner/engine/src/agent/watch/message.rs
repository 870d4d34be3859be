//! What the runner and its watching agent say to each other.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use testbed_model::record::sample::Figures;
use testbed_model::stack::Probe;

/// The argument that lets the agent answer for names also after its input has ended.
pub const STAY: &str = "--stay";

/// What the runner wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Order {
    /// Ask until the answer is the one hoped for. A question with the same id is replaced.
    Ask(Question),
    /// Stop asking.
    Forget {
        /// Which question.
        id: String,
    },
    /// Look at a service's metrics once in a while, if it has any. An order with the same id is replaced.
    Look {
        /// Service.
        id: String,
        /// Its address.
        address: Ipv4Addr,
        /// The port where it speaks HTTP.
        port: u16,
    },
}

/// A question to be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Name of the question.
    pub id: String,
    /// The service's address.
    pub address: Ipv4Addr,
    /// The question.
    pub probe: Probe,
}

/// What the agent has to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Report {
    /// An answer that is not the one hoped for, and not the one before.
    Answer {
        /// Which question.
        id: String,
        /// What was heard.
        answer: String,
    },
    /// The answer hoped for.
    Success {
        /// Which question.
        id: String,
        /// What was heard.
        answer: String,
        /// Microseconds from the last asking in vain to this answer's arrival: the service cannot have been able to answer
        /// for longer than that.
        window_us: u64,
    },
    /// What a service tells of itself.
    Figures {
        /// Service.
        id: String,
        /// Those that are not as they were when it was looked at last.
        figures: Figures,
    },
    /// Something does not work.
    Trouble {
        /// What.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use testbed_model::stack::Probe;

    use super::{Order, Question, Report};

    #[test]
    fn messages_are_lines_of_json_that_read_back() {
        let order = Order::Ask(Question {
            id: "stack".to_owned(),
            address: [10, 231, 0, 5].into(),
            probe: Probe::Chat { port: 8000, model: "tiny".to_owned() },
        });
        let line = serde_json::to_string(&order).unwrap();
        assert_eq!(
            line,
            r#"{"t":"ask","id":"stack","address":"10.231.0.5","probe":{"chat":{"port":8000,"model":"tiny"}}}"#
        );
        assert_eq!(serde_json::from_str::<Order>(&line).unwrap(), order);
        let report = Report::Success { id: "stack".to_owned(), answer: "200".to_owned(), window_us: 7 };
        let line = serde_json::to_string(&report).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
    }
}
