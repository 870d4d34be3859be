//! A name server that knows no names.
//!
//! The daemon's own resolver answers for the services of a stack and passes everything else on. In a network without a
//! way out it would try for ten seconds to reach the host's name server; told to ask here instead, it hears at once that
//! there is no such name.

use std::io;
use std::net::Ipv4Addr;

use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedSender;

use super::message::Report;

const PORT: u16 = 53;

/// Header of a message: id, flags, four counts.
const HEADER: usize = 12;

/// After the name of a question: its type and class.
const TYPE_AND_CLASS: usize = 4;

/// The longest message without extensions, and what resolvers send in practice.
const LONGEST_QUERY: usize = 4096;

/// Answers until the process ends. Where the port is not to be had, it says so once and leaves.
pub(super) async fn serve(reports: UnboundedSender<Report>) {
    if let Err(e) = answer_all(PORT).await {
        let _ = reports.send(Report::Trouble { message: format!("names are not answered for: {e}") });
    }
}

async fn answer_all(port: u16) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
    let mut buffer = vec![0; LONGEST_QUERY];
    loop {
        // An unreachable asker is reported to the next call; the others still want their answers.
        let Ok((length, asker)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(answer) = no_such_name(&buffer[..length]) {
            let _ = socket.send_to(&answer, asker).await;
        }
    }
}

/// The answer `NXDOMAIN` to a query (RFC 1035, 4.1), or none to what is not a query.
pub fn no_such_name(query: &[u8]) -> Option<Vec<u8>> {
    let header = query.get(..HEADER)?;
    let is_response = header[2] & 0x80 != 0;
    let questions = u16::from_be_bytes([header[4], header[5]]);
    if is_response || questions != 1 {
        return None;
    }
    let mut end = HEADER;
    loop {
        let length = usize::from(*query.get(end)?);
        match length {
            0 => break,
            1..=63 => end += 1 + length,
            // A pointer has nothing to point to in the first name of a message.
            _ => return None,
        }
    }
    let question = query.get(HEADER..end + 1 + TYPE_AND_CLASS)?;
    let mut answer = Vec::with_capacity(HEADER + question.len());
    answer.extend_from_slice(&header[..2]);
    // A response with the query's operation and its wish for recursion; authoritative, so that nobody asks elsewhere.
    answer.push(0x80 | header[2] & 0x79 | 0x04);
    // Recursion is available, and there is no such name.
    answer.push(0x80 | 0x03);
    answer.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    answer.extend_from_slice(question);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::no_such_name;

    /// `example.com`, type A, class IN, recursion desired.
    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";

    #[test]
    fn a_query_is_told_that_there_is_no_such_name() {
        let answer = no_such_name(QUERY).unwrap();
        assert_eq!(answer[..2], QUERY[..2], "same id");
        assert_eq!(answer[2..4], [0x85, 0x83], "authoritative response, recursion, NXDOMAIN");
        assert_eq!(answer[12..], QUERY[12..], "same question");
    }

    #[test]
    fn extensions_are_left_out_of_the_answer() {
        let mut query = QUERY.to_vec();
        query[11] = 1;
        query.extend_from_slice(b"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00");
        assert_eq!(no_such_name(&query), no_such_name(QUERY));
    }

    #[test]
    fn a_response_and_a_pointer_get_no_answer() {
        let mut response = QUERY.to_vec();
        response[2] |= 0x80;
        assert_eq!(no_such_name(&response), None);
        let mut pointer = QUERY.to_vec();
        pointer[12] = 0xC0;
        assert_eq!(no_such_name(&pointer), None);
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_is_answered_with_more_than_it_brought(query in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(answer) = no_such_name(&query) {
                prop_assert!(answer.len() <= query.len());
                prop_assert!(answer[2] & 0x80 != 0);
            }
        }

        #[test]
        fn a_cut_query_is_no_query(length in 0..QUERY.len()) {
            prop_assert_eq!(no_such_name(&QUERY[..length]), None);
        }
    }
}
