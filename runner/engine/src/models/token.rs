//! The token of Hugging Face: read where the user keeps it, and shown nowhere.

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::Url;
use reqwest::header::HeaderValue;

use super::error::ModelError;
use crate::host::environment;

/// Variables that hold the token, or name a file that does, as Hugging Face's own tools read them.
const VARIABLE: &str = "HF_TOKEN";
const FILE_VARIABLE: &str = "HF_TOKEN_PATH";

/// A secret. Nothing that prints or stores can make text of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl Token {
    /// The token of a file, or else of the environment, if there is one.
    pub fn find(file: Option<&Path>) -> Result<Option<Self>, ModelError> {
        if let Some(file) = file {
            return Self::of_file(file, "--token-file").map(Some);
        }
        if let Some(text) = environment::variable(VARIABLE) {
            return Self::of_text(&text, VARIABLE.to_owned()).map(Some);
        }
        let file = environment::variable(FILE_VARIABLE).map(PathBuf::from);
        file.map(|file| Self::of_file(&file, FILE_VARIABLE)).transpose()
    }

    fn of_file(file: &Path, whose: &str) -> Result<Self, ModelError> {
        let from = format!("{whose} {}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| ModelError::Token {
            from: from.clone(),
            what: format!("cannot be read: {error}"),
        })?;
        Self::of_text(&text, from)
    }

    /// The token in a text. What is wrong with it is told without a part of it.
    pub fn of_text(text: &str, from: String) -> Result<Self, ModelError> {
        let text = text.trim();
        let refuse = |what: &str| Err(ModelError::Token { from, what: what.to_owned() });
        if text.is_empty() {
            return refuse("is empty");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse("is no token: it holds spaces, line ends or letters beyond ASCII");
        }
        Ok(Self(text.to_owned()))
    }

    /// The header that carries it, or a refusal to send it in the clear over a network.
    pub(super) fn header(&self, endpoint: &Url) -> Result<HeaderValue, ModelError> {
        if endpoint.scheme() != "https" && !is_loopback(endpoint) {
            return Err(ModelError::Endpoint {
                endpoint: shown(endpoint),
                what: "is not encrypted, and the token would be sent in the clear".to_owned(),
            });
        }
        let header = HeaderValue::from_str(&format!("Bearer {}", self.0));
        let mut header = header
            .map_err(|_| ModelError::Token { from: "it".to_owned(), what: "is no token".to_owned() })?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// Whether an address is this machine's own.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An address without what may be secret in it: names, passwords, and signatures in the query.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::{Token, shown};

    #[test]
    fn a_token_shows_itself_to_nobody() {
        let token = Token::of_text(" hf_secret\n", "HF_TOKEN".to_owned()).unwrap();
        let header = token.header(&Url::parse("https://hub.example").unwrap()).unwrap();
        assert!(!format!("{token:?} {header:?}").contains("secret"));
        assert_eq!(header.to_str().unwrap(), "Bearer hf_secret");
    }

    #[test]
    fn what_is_no_token_is_refused_without_a_part_of_it() {
        for (text, what) in
            [("", "is empty"), (" \n", "is empty"), ("hf sec", "is no token"), ("hf_ü", "is no token")]
        {
            let error = Token::of_text(text, "HF_TOKEN".to_owned()).unwrap_err().to_string();
            assert!(error.contains(what) && !error.contains("sec"), "{error}");
        }
    }

    #[test]
    fn a_token_goes_over_no_network_in_the_clear() {
        let token = Token::of_text("hf_secret", "HF_TOKEN".to_owned()).unwrap();
        let sent = |url: &str| token.header(&Url::parse(url).unwrap()).is_ok();
        assert!(sent("http://127.0.0.1:8000") && sent("http://[::1]:1") && sent("http://localhost"));
        assert!(sent("https://huggingface.co"));
        assert!(!sent("http://huggingface.co") && !sent("http://10.0.0.1"));
    }

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        let url = Url::parse("https://me:word@cdn.example:8443/a/b?Signature=abc#d").unwrap();
        assert_eq!(shown(&url), "https://cdn.example:8443/a/b");
    }
}
